"""Two archived runs beside each other: the same items, subtracted one by one, with bounds from the gates' statistics.

    bounds = paired_bounds(measured_a, measured_b, "r_at_5", confidence=0.975)      # of b - a
    flips = flipped(measured_a, measured_b, "r_at_5")

A difference has bounds only where both runs scored the same items of the same split with the same evaluator; else
`BlockedError` says why, and a caller shows the two values without a difference. Does not judge: nobody promotes a run
because it beats another one here; a gate with a pinned baseline does that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from interlock.contracts.measurement import Measurement
from interlock.contracts.verdict import Cause
from interlock.gates.bootstrap import Scores
from interlock.gates.pairing import difference_curve, paired, paired_differences
from interlock.gates.sample import BlockedError, Sample, checked_sample
from interlock.gates.statistics import Bounds
from interlock.reports.difference import MetricChange
from interlock.runs.review.intervals import for_each
from interlock.stages.verdicts import Measured

TWO_SIDED_95 = 0.975
"""Confidence of each bound by itself that makes the pair of them a two-sided 95 % interval."""


@dataclass(frozen=True, kw_only=True)
class Flips:
    """Items that one run has right and the other wrong."""

    metric: str
    """A rate: each item scores 0 or 1."""
    gained: tuple[str, ...]
    """Items with 0 in the first run and 1 in the second, sorted."""
    lost: tuple[str, ...]
    """The other way round, sorted."""
    n: int
    """Items compared."""


def paired_bounds(a: Measured, b: Measured, metric: str, *, confidence: float) -> Bounds:
    """Bounds of the mean of `b - a` over the items, each of them with `confidence` by itself, in the metric's unit.

    The same two runs give the same bounds. Raises BlockedError, whose `reason` is a sentence, where the metric is
    missing or unfit in one of the runs, or was not measured on the same items in the same way.
    """
    before, after = _sample(a, metric), _sample(b, metric)
    rng = np.random.default_rng([int(a.run_id, 16), int(b.run_id, 16)])
    return difference_curve(paired(after, before), rng=rng)(confidence)


def item_differences(a: Measured, b: Measured, metric: str) -> Scores:
    """`b - a` [n], item by item. Raises BlockedError as `paired_bounds` does."""
    return paired_differences(_sample(b, metric), _sample(a, metric))


def changes(a: Measured, b: Measured, *, confidence: float = TWO_SIDED_95) -> tuple[MetricChange, ...]:
    """Every measurement that one of the runs has, in the order of their names."""
    names = sorted({*a.measurements, *b.measurements})
    return tuple(for_each(lambda name: _change(a, b, name, confidence), names))


def flipped(a: Measured, b: Measured, metric: str) -> Flips:
    """Items that flipped between two runs. Raises BlockedError as `paired_bounds` does, and for anything but a rate."""
    before, after = _sample(a, metric), _sample(b, metric)
    return _flips(metric, before, after)


def flipped_from(measured: Measured, metric: str, baseline: str) -> Flips:
    """Items on which a run and a baseline that was measured with it disagree; `gained` are the run's."""
    facts = {"scores": measured.scores, "items": measured.items}
    before = checked_sample(baseline, measured.measurements, **facts)
    after = checked_sample(metric, measured.measurements, **facts)
    return _flips(metric, before, after)


def _flips(metric: str, before: Sample, after: Sample) -> Flips:
    differences = paired_differences(after, before)
    if not {before.measurement.estimator, after.measurement.estimator} == {"rate"}:
        raise BlockedError(Cause.NOT_COMPARABLE, f"{metric}: no rate, so that nothing can flip")
    assert after.items is not None
    return Flips(
        metric=metric,
        gained=tuple(str(item) for item in after.items[differences > 0]),
        lost=tuple(str(item) for item in after.items[differences < 0]),
        n=int(differences.size),
    )


def _change(a: Measured, b: Measured, name: str, confidence: float) -> MetricChange:
    found = [measured.measurements.get(name) for measured in (a, b)]
    values = [item.value if item else None for item in found]
    unit = next(item.unit for item in found if item)
    bounds: Bounds | None = None
    why = _unfit(found)
    if not why:
        try:
            bounds = paired_bounds(a, b, name, confidence=confidence)
        except BlockedError as blocked:
            why = _without_names(blocked.reason)
    return MetricChange(metric=name, unit=unit, before=values[0], after=values[1], difference=bounds, why_unpaired=why)


def _unfit(found: list[Measurement | None]) -> str:
    """Why two measurements have nothing to be paired by; empty when they may have."""
    a, b = found
    if a is None or b is None:
        return "measured in one of the runs alone"
    if a.scores is None or b.scores is None:
        return "single values, without scores of items"
    return "" if a.split_sha256 and b.split_sha256 else "its items belong to no recorded split"


def _sample(measured: Measured, metric: str) -> Sample:
    """The sample under a name that says whose it is: the pairing refuses to compare a measurement with itself."""
    own: Mapping[str, Measurement] = measured.measurements
    if metric not in own:
        raise BlockedError(Cause.MISSING, f"{metric}: not measured in run {measured.run_id}")
    sample = checked_sample(metric, own, scores=measured.scores, items=measured.items)
    scores = sample.measurement.scores
    place = scores and scores.model_copy(update={"file": f"{measured.run_id}/{scores.file}"})
    renamed = sample.measurement.model_copy(update={"name": f"{metric} of run {measured.run_id}", "scores": place})
    return replace(sample, measurement=renamed)


def _without_names(reason: str) -> str:
    """The pairing's sentence without its subject, which stands beside it in every table."""
    return reason.partition(": ")[2] or reason
