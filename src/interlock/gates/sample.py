"""Is a measurement fit to be judged? Every doubt has a name and blocks the gate that asked.

Per-item scores, where a measurement states them, must be there and must give the stated value: the judge believes the
items, not the summary. A lane cannot be judged on a number that nobody can recompute.

Does not cover whether the scores' file is the recorded one: the judge stage checks digests when it reads files.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interlock.contracts.measurement import Bins, Measurement
from interlock.contracts.verdict import Cause
from interlock.gates.bootstrap import Scores
from interlock.gates.calibration import plain_error

ItemIds = Sequence[Any] | NDArray[Any]
"""Names of the items of one measurement, in the order of its scores."""

TOLERANCE = 1e-6
"""How far a stated value may lie from the one its scores give (relative and absolute): float32 rounding, no more."""

_LARGEST = 1e100
_RANGE_OF_UNIT = {"cosine": (-1.0, 1.0), "bool": (0.0, 1.0)}
_TWO_COLUMNS = ("ratio", "calibration")


class BlockedError(Exception):
    """A gate cannot be judged. Caught by the judge and never seen by users."""

    def __init__(self, cause: Cause, reason: str) -> None:
        super().__init__(reason)
        self.cause, self.reason = cause, reason


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A measurement that holds together, with its scores ordered by item."""

    measurement: Measurement
    value: float
    """What the scores give; the stated value where there are no scores."""
    scores: Scores | None
    """float64 [n] in the order of `items`; None when the measurement states none. Of a ratio its numerators, of a
    calibration 1 where correct."""
    second: Scores | None = None
    """float64 [n]: denominators of a ratio, confidences of a calibration; None for every other estimator."""
    items: NDArray[np.str_] | None
    """Sorted item ids [n]."""


def checked_sample(
    name: str, measurements: Mapping[str, Measurement], *, scores: Mapping[str, Any], items: Mapping[str, ItemIds]
) -> Sample:
    """The sample of `name`, or BlockedError saying what is wrong with it.

    Scores are [n]; of a ratio [n, 2] numerators and denominators, of a calibration [n, 2] correct and confidence.
    """
    measurement = _found(name, measurements)
    value = _checked_value(measurement)
    if measurement.scores is None:
        return Sample(measurement=measurement, value=value, scores=None, items=None)
    if name not in scores or name not in items:
        where = f"{measurement.scores.file}, column {measurement.scores.column}"
        raise BlockedError(Cause.SCORES_MISSING, f"{name}: its per-item scores ({where}) were not found")
    values = _as_scores(name, scores[name], num_columns=2 if measurement.estimator in _TWO_COLUMNS else 1)
    ids = _as_items(name, items[name])
    if not len(values) == ids.size == measurement.n:
        found = f"{len(values)} scores of {ids.size} items were found"
        raise BlockedError(Cause.SCORES_DISAGREE, f"{name}: n={measurement.n} is stated, {found}")
    order = np.argsort(ids, kind="stable")
    values, ids = values[order], ids[order]
    _refuse_duplicates(name, ids)
    first, second = (values[:, 0], values[:, 1]) if values.ndim == 2 else (values, None)
    _refuse_outside(measurement, first, second)
    value = _reproduced(measurement, first, second)
    return Sample(measurement=measurement, value=value, scores=first, items=ids, second=second)


def score_range(measurement: Measurement) -> tuple[float, float]:
    """Smallest and largest possible score; infinite where neither the measurement nor its unit says."""
    if measurement.score_range is not None:
        return measurement.score_range
    if measurement.estimator in ("rate", "calibration"):
        return 0.0, 1.0
    return _RANGE_OF_UNIT.get(measurement.unit, (-math.inf, math.inf))


def _found(name: str, measurements: Mapping[str, Measurement]) -> Measurement:
    if name not in measurements:
        raise BlockedError(Cause.MISSING, f"{name}: not among the {len(measurements)} measurements")
    measurement = measurements[name]
    if measurement.name != name:
        raise BlockedError(Cause.MISNAMED, f"{name}: the measurement found there is named {measurement.name}")
    return measurement


def _checked_value(measurement: Measurement) -> float:
    name, value = measurement.name, measurement.value
    if value is None or not math.isfinite(value):
        why = f": {measurement.reason}" if measurement.reason else ""
        raise BlockedError(Cause.NO_VALUE, f"{name}: no finite value (n={measurement.n}){why}")
    if measurement.n < 1:
        raise BlockedError(Cause.TOO_FEW, f"{name}: {value:g} was measured on n=0 items")
    low, high = score_range(measurement)
    if not low - TOLERANCE <= value <= high + TOLERANCE:
        raise BlockedError(Cause.OUT_OF_RANGE, f"{name}: {value:g} lies outside {low:g} .. {high:g}, n={measurement.n}")
    return value


def _as_scores(name: str, raw: Any, *, num_columns: int) -> Scores:
    try:
        values = np.asarray(raw)
    except ValueError:  # ragged nested lists
        raise BlockedError(Cause.SCORES_INVALID, f"{name}: its scores are not one number per item") from None
    if values.shape[1:] != ((2,) if num_columns == 2 else ()) or values.ndim == 0 or values.dtype.kind not in "biuf":
        found = f"{values.dtype} of shape {values.shape}"
        wanted = "one number per item" if num_columns == 1 else "two numbers per item"
        raise BlockedError(Cause.SCORES_INVALID, f"{name}: its scores are {found}, not {wanted}")
    values = values.astype(np.float64)
    num_bad = int(np.count_nonzero(~(np.abs(values) <= _LARGEST)))  # negated, so that NaN counts as bad
    if num_bad:
        raise BlockedError(Cause.SCORES_INVALID, f"{name}: {num_bad} of {values.size} scores are not finite")
    return values


def _as_items(name: str, raw: ItemIds) -> NDArray[np.str_]:
    if isinstance(raw, str):
        raise BlockedError(Cause.SCORES_INVALID, f"{name}: its items are one text, not one id per item")
    return np.array([str(item) for item in raw], dtype=np.str_)


def _refuse_duplicates(name: str, ordered_ids: NDArray[np.str_]) -> None:
    repeated = ordered_ids[1:][ordered_ids[1:] == ordered_ids[:-1]]
    if repeated.size:
        raise BlockedError(
            Cause.DUPLICATE_ITEMS,
            f"{name}: {repeated.size} of {ordered_ids.size} items are counted again, first {str(repeated[0])!r}",
        )


def _refuse_outside(measurement: Measurement, values: Scores, second: Scores | None) -> None:
    name = measurement.name
    if measurement.estimator in ("rate", "calibration") and not np.isin(values, (0.0, 1.0)).all():
        worst = float(values[~np.isin(values, (0.0, 1.0))][0])
        what = "a rate has scores" if measurement.estimator == "rate" else "being correct is"
        raise BlockedError(Cause.OUT_OF_RANGE, f"{name}: {what} 0 and 1, not {worst:g} (n={values.size})")
    if measurement.estimator == "ratio":
        assert second is not None
        return _refuse_denominators(name, second)
    low, high = score_range(measurement)
    what, checked = ("scores", values) if second is None else ("confidences", second)
    smallest, largest = float(checked.min()), float(checked.max())
    if smallest < low - TOLERANCE or largest > high + TOLERANCE:
        raise BlockedError(
            Cause.OUT_OF_RANGE,
            f"{name}: {what} {smallest:g} .. {largest:g} lie outside {low:g} .. {high:g}, n={values.size}",
        )
    return None


def _refuse_denominators(name: str, denominators: Scores) -> None:
    total, smallest = float(denominators.sum()), float(denominators.min())
    if smallest < 0:
        raise BlockedError(Cause.DENOMINATOR, f"{name}: a denominator is {smallest:g}, under 0 (n={denominators.size})")
    if total <= 1 / _LARGEST:
        raise BlockedError(Cause.DENOMINATOR, f"{name}: its {denominators.size} denominators add up to {total:g}")


def _reproduced(measurement: Measurement, values: Scores, second: Scores | None) -> float:
    """The value as the scores give it; a `value` estimator has its own formula and is taken as stated."""
    stated = measurement.value
    assert stated is not None
    if measurement.estimator == "value":
        return stated
    computed = _computed(measurement, values, second)
    if not math.isclose(stated, computed, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
        raise BlockedError(
            Cause.SCORES_DISAGREE,
            f"{measurement.name}: {stated:.9g} is stated, its {values.size} scores give {computed:.9g}",
        )
    return computed


def _computed(measurement: Measurement, values: Scores, second: Scores | None) -> float:
    if second is not None:
        if measurement.estimator == "ratio":
            return float(values.sum() / second.sum())
        return plain_error(values, second, measurement.bins or Bins())
    if measurement.estimator == "quantile":
        assert measurement.quantile is not None
        return float(np.quantile(values, measurement.quantile))
    return float(values.mean())
