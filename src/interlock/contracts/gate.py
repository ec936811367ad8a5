"""Gate specifications: what must hold before anything moves forward.

A gate names a metric (or a check), a direction, a target or a baseline margin, a confidence, a minimum sample and a
severity. How it is judged stands in `interlock.gates.judge`; the direction is declared here and never guessed.
"""

from typing import Annotated, Literal

from pydantic import Field

from interlock.contracts.base import Contract

Severity = Literal["block", "advise", "halt"]
"""`block` decides the verdict, `advise` is reported only, `halt` also stops a running training at once."""

Direction = Literal["at_least", "at_most"]


class _Gate(Contract):
    severity: Severity = "block"
    """What a result other than pass does."""
    phase: Literal["kpi", "shipped", "training"] = "kpi"
    """`training` and `kpi` gates are known after evaluate, `shipped` gates need the exported file."""
    on_failure: str = ""
    """What to do when it does not pass, for the report and the rule policy."""


class ThresholdGate(_Gate):
    """A metric against a fixed target, judged on its one-sided confidence bound."""

    kind: Literal["threshold"]
    metric: str
    """Name of the measurement, e.g. `r_at_5`."""
    direction: Direction
    """`at_least`: larger is better; `at_most`: smaller is better."""
    target: float
    """The value to reach, in the measurement's own unit."""
    unit: str = "ratio"
    """Unit the target is meant in; a measurement in another unit is blocked."""
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] | None = 0.95
    """Confidence of the one-sided bound; null compares the plain value."""
    n_min: Annotated[int, Field(ge=1)] = 1
    """Fewer samples than this block the gate."""


class BaselineGate(_Gate):
    """The paired difference (metric - baseline) against a margin, on the same items."""

    kind: Literal["baseline"]
    metric: str
    """Name of the measurement, e.g. `r_at_5`."""
    baseline: str
    """Name of the measurement to compare with, e.g. `bm25.r_at_5`; it must carry per-item scores of the same items."""
    direction: Direction
    """`at_least`: metric - baseline >= margin; `at_most`: metric - baseline <= margin."""
    margin: float = 0.0
    """Required difference, in the measurement's own unit."""
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] | None = 0.95
    """Confidence of the one-sided bound of the paired mean difference; null compares the plain difference."""
    n_min: Annotated[int, Field(ge=2)] = 2
    """Fewer pairs than this block the gate."""


class PredicateGate(_Gate):
    """A named yes/no check with evidence, e.g. `no_nan_inf`."""

    kind: Literal["predicate"]
    check: str
    """Name of a measurement whose value is 0 (no) or 1 (yes) with unit `bool`."""


Gate = Annotated[ThresholdGate | BaselineGate | PredicateGate, Field(discriminator="kind")]
