"""Measurements: a number with its unit, sample size, split, evaluator and, where they exist, per-item scores."""

from typing import Annotated, Literal

from pydantic import Field

from interlock.contracts.base import Contract

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

Estimator = Literal["rate", "mean", "quantile", "value"]
"""How the value follows from the items: a share of yes/no items, a mean, a quantile, or a plain value."""


class ScoresRef(Contract):
    """Where the per-item scores of a measurement stand."""

    file: str
    """Path relative to the stage folder, e.g. `per_query.parquet`."""
    column: str
    """Column holding one finite score per item."""
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
    """Which quantile, for `estimator: quantile`."""
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


class Measurements(Contract):
    """The file `measurements.json`: every measurement of one stage."""

    run_id: str
    """The run that was measured."""
    items: tuple[Measurement, ...]
    """In a fixed order, each name once."""
