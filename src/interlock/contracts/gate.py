"""Gate specifications: what must hold before anything moves forward.

A gate names a metric (or a check), a direction, a target or a baseline margin, a confidence, a minimum sample and a
severity. How it is judged stands in `interlock.gates.judge`; the direction is declared here and never guessed.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from interlock.contracts.base import Contract
from interlock.contracts.measurement import Sha256

Severity = Literal["block", "advise", "halt"]
"""`block` decides the verdict, `advise` is reported only, `halt` also stops a running training at once."""

Direction = Literal["at_least", "at_most"]

RunId = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]


class _Gate(Contract):
    severity: Severity = "block"
    """What a result other than pass does."""
    phase: Literal["kpi", "shipped", "training"] = "kpi"
    """`training` and `kpi` gates are known after evaluate, `shipped` gates need the exported file."""
    on_failure: str = ""
    """What to do when it does not pass, for the report and the rule policy."""


class _ComparedGate(_Gate):
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] | None = 0.95
    """Confidence of the one-sided bound; null compares the plain value (of a baseline gate the plain difference)."""
    family: Annotated[str, Field(min_length=1)] | None = None
    """Gates of one family name are passed jointly: the chance that any of them passes wrongly stays under
    1 - confidence (Holm 1979). They share one confidence, and are all known before export or all after it."""

    @model_validator(mode="after")
    def _a_family_needs_confidence(self) -> "_ComparedGate":
        if self.family is not None and self.confidence is None:
            raise ValueError("a gate of a family needs a confidence: plain comparisons have no error to share")
        return self


class ThresholdGate(_ComparedGate):
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
    n_min: Annotated[int, Field(ge=1)] = 1
    """Fewer samples than this block the gate."""


class BaselineGate(_ComparedGate):
    """The paired difference (metric - baseline) against a margin, on the same items."""

    kind: Literal["baseline"]
    metric: str
    """Name of the measurement, e.g. `r_at_5`."""
    baseline: str
    """Name of the measurement to compare with, e.g. `bm25.r_at_5`; it must carry per-item scores of the same items."""
    baseline_run: RunId | None = None
    """Run in the archive whose `baseline` is compared with; None: the run's own. A configuration may also say
    `registry:LANE@production` (or `@staging`): composing writes down the run that holds it then."""
    direction: Direction
    """`at_least`: metric - baseline >= margin; `at_most`: metric - baseline <= margin."""
    margin: float = 0.0
    """Required difference, in the measurement's own unit."""
    baseline_sha256: Sha256 | None = None
    """Pins the baseline: `interlock.gates.pairing.scores_sha256` of its items and scores. Any other baseline under
    that name is blocked. None compares with whatever stands there now; every row states what it was."""
    n_min: Annotated[int, Field(ge=2)] = 2
    """Fewer pairs than this block the gate."""

    @property
    def reference(self) -> str:
        """Name under which the judge finds the baseline: `baseline`, or `run:<id>/<baseline>` of another run."""
        return self.baseline if self.baseline_run is None else reference_name(self.baseline_run, self.baseline)


class PredicateGate(_Gate):
    """A named yes/no check with evidence, e.g. `no_nan_inf`."""

    kind: Literal["predicate"]
    check: str
    """Name of a measurement whose value is 0 (no) or 1 (yes) with unit `bool`."""


Gate = Annotated[ThresholdGate | BaselineGate | PredicateGate, Field(discriminator="kind")]


def reference_name(run_id: str, metric: str) -> str:
    """Name of another run's measurement beside a run's own."""
    return f"run:{run_id}/{metric}"


def families(gates: Mapping[str, Gate]) -> dict[str, dict[str, ThresholdGate | BaselineGate]]:
    """Gates that belong to a family, by family name."""
    found: dict[str, dict[str, ThresholdGate | BaselineGate]] = {}
    for name, gate in gates.items():
        if not isinstance(gate, PredicateGate) and gate.family is not None:
            found.setdefault(gate.family, {})[name] = gate
    return found


def mixed_family(family: str, members: Mapping[str, ThresholdGate | BaselineGate]) -> str | None:
    """Why the gates of a family cannot be judged jointly, or None when they can."""
    asked = sorted({f"{gate.confidence:g}" for gate in members.values() if gate.confidence is not None})
    if len(asked) > 1:
        return f"family {family}: its gates ask for confidence {' and '.join(asked)}; one family has one confidence"
    if len({gate.phase == "shipped" for gate in members.values()}) > 1:
        return f"family {family}: some of its gates are known only after export (phase shipped); make two families"
    return None
