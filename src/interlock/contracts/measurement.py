"""Measurements: a number with its unit, sample size, split, evaluator and, where they exist, per-item scores."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from interlock.contracts.base import Contract

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

Estimator = Literal["rate", "mean", "quantile", "ratio", "calibration", "value"]
"""How the value follows from the items:

    rate         share of yes/no items
    mean         mean of one score per item
    quantile     quantile of one score per item
    ratio        sum of one score over the sum of another, e.g. tokens per second
    calibration  expected calibration error over `bins`, as everybody computes it; the judge takes its bias off
                 (`interlock.gates.calibration`)
    value        a plain number
"""


class Bins(Contract):
    """How a calibration error sorts its items by confidence."""

    count: Annotated[int, Field(ge=1, le=1000)] = 15
    """Number of bins."""
    layout: Literal["equal_width", "equal_mass"] = "equal_width"
    """`equal_width`: bins of width 1 / count over 0..1, each with its upper edge; `equal_mass`: quantiles of the
    confidences (equal ones stay together)."""


class ScoresRef(Contract):
    """Where the per-item scores of a measurement stand."""

    file: str
    """Path relative to the stage folder, e.g. `per_query.parquet`."""
    column: str
    """Column holding one finite score per item; for a ratio what is counted, for a calibration 1 where correct."""
    denominator: str | None = None
    """For a ratio: column of what the score is divided by, e.g. seconds; zero or more per item."""
    confidence: str | None = None
    """For a calibration: column of the stated probability of being correct, 0..1."""
    item: str = "query_id"
    """Column naming the item, so that comparisons pair the same ones."""
    sha256: Sha256
    """Digest of the file."""


class Measurement(Contract):
    """One measured number. `value` None means it could not be measured; `reason` says why."""

    name: str
    """Metric name, e.g. `r_at_5`; of a baseline: `bm25.r_at_5`."""
    value: float | None
    """The estimate; predicates use 0.0 and 1.0."""
    unit: str
    """`ratio`, `cosine`, `ms`, `bool`, `nats`, `s`, `count` ..."""
    n: Annotated[int, Field(ge=0)]
    """Number of items behind the value."""
    estimator: Estimator
    """How the value follows from its items."""
    quantile: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None
    """Which quantile, for `estimator: quantile`; values follow numpy's default, linear interpolation."""
    score_range: tuple[float, float] | None = None
    """Smallest and largest score an item can have, where that is known (a rate is 0..1 by itself). Needed for an
    interval when nearly all items score the same. Of a ratio: smallest and largest value."""
    bins: Bins | None = None
    """Bins of a calibration error."""
    split: str = ""
    """Name of the data split, e.g. `test`."""
    split_sha256: Sha256 | None = None
    """Digest of the items measured; comparisons need the same one."""
    evaluator_sha256: Sha256 | None = None
    """Digest of the code that measured; comparisons need the same one."""
    scores: ScoresRef | None = None
    """Per-item scores, where they exist."""
    reason: str = ""
    """Why there is no value, or a remark for the report."""
    evidence: str
    """Pointer to the value: `evaluate/metrics.json#/r_at_5@sha256:...`."""

    @model_validator(mode="after")
    def _fits_its_estimator(self) -> "Measurement":
        if (self.quantile is None) == (self.estimator == "quantile"):
            raise ValueError(f"{self.name}: `quantile` belongs to estimator quantile, and to no other")
        if (self.bins is None) == (self.estimator == "calibration"):
            raise ValueError(f"{self.name}: `bins` belong to estimator calibration, and to no other")
        self._refuse_second_column("denominator", "ratio")
        self._refuse_second_column("confidence", "calibration")
        if self.score_range is not None and not self.score_range[0] < self.score_range[1]:
            raise ValueError(f"{self.name}: score_range needs its smaller number first, not {self.score_range}")
        return self

    def _refuse_second_column(self, field: str, estimator: str) -> None:
        if self.scores is not None and (getattr(self.scores, field) is None) == (self.estimator == estimator):
            raise ValueError(f"{self.name}: scores.{field} belongs to estimator {estimator}, and to no other")


class Measurements(Contract):
    """The file `measurements.json`: every measurement of one stage."""

    run_id: str
    """The run that was measured."""
    items: tuple[Measurement, ...]
    """In a fixed order, each name once."""

    @model_validator(mode="after")
    def _names_once(self) -> "Measurements":
        names = [item.name for item in self.items]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"measured more than once: {', '.join(repeated)}")
        return self
