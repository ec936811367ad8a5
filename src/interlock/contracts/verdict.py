"""Verdicts: what the judge says of one gate and of a whole run."""

from collections.abc import Iterable
from enum import StrEnum

from pydantic import model_validator

from interlock.contracts.base import Contract
from interlock.contracts.gate import Severity
from interlock.errors import ExitCode


class Verdict(StrEnum):
    """The four states. Only `pass` moves forward."""

    PASS = "pass"
    INCONCLUSIVE = "inconclusive"
    BLOCKED = "blocked"
    FAIL = "fail"


_ORDER = (Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.BLOCKED, Verdict.FAIL)

EXIT_CODES = {
    Verdict.PASS: ExitCode.PASS,
    Verdict.FAIL: ExitCode.FAIL,
    Verdict.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
    Verdict.BLOCKED: ExitCode.BLOCKED,
}


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Fold verdicts: fail > blocked > inconclusive > pass. Nothing to fold is `blocked`: silence never passes."""
    return max(verdicts, key=_ORDER.index, default=Verdict.BLOCKED)


class Cause(StrEnum):
    """Why a gate could not be judged."""

    MISSING = "missing"
    """Nothing is measured under that name."""
    NOT_EXPORTED = "not_exported"
    """It belongs to the shipped file, which is not made before the other gates pass."""
    MISNAMED = "misnamed"
    """The measurement found there carries another name."""
    NO_VALUE = "no_value"
    """It was tried and gave no value, or a value that is not finite."""
    UNIT = "unit"
    """It is in another unit than the gate or the baseline."""
    TOO_FEW = "too_few"
    """It has fewer items than the gate asks for."""
    OUT_OF_RANGE = "out_of_range"
    """A value or a score that cannot be."""
    NO_INTERVAL = "no_interval"
    """The gate asks for confidence and there are no per-item scores to give it."""
    SCORES_MISSING = "scores_missing"
    """Per-item scores are stated and were not found."""
    SCORES_INVALID = "scores_invalid"
    """Per-item scores that are not one finite number per item."""
    SCORES_DISAGREE = "scores_disagree"
    """Per-item scores that do not give the stated value or number of items."""
    DUPLICATE_ITEMS = "duplicate_items"
    """An item is counted more than once."""
    ITEMS_DIFFER = "items_differ"
    """Metric and baseline were not measured on the same items."""
    SPLIT_DIFFERS = "split_differs"
    """Metric and baseline come from different or unknown splits."""
    EVALUATOR_DIFFERS = "evaluator_differs"
    """Metric and baseline were measured by different or unknown code."""
    NOT_COMPARABLE = "not_comparable"
    """A comparison that says nothing: with itself, or of numbers that are no means."""
    DENOMINATOR = "denominator"
    """A ratio whose denominators are negative or add up to nothing."""
    BASELINE_CHANGED = "baseline_changed"
    """The baseline is not the one that the gate is pinned to."""
    FAMILY = "family"
    """Gates of one family that cannot be judged jointly: other confidences, or some known only after export."""
    NOT_A_CHECK = "not_a_check"
    """A yes/no gate found something that is neither yes nor no."""


class GateResult(Contract):
    """What the judge found for one gate."""

    gate: str
    """Name of the gate in the configuration."""
    metric: str
    """Measurement or check it looked at."""
    severity: Severity
    """Severity of the gate; only `block` and `halt` rows decide the verdict."""
    verdict: Verdict
    """What the gate says."""
    cause: Cause | None = None
    """Why it is blocked; None for every other verdict."""
    observed: float | None
    """The estimate (for a baseline gate the mean difference); None when there is none."""
    bound: float | None
    """The one-sided confidence bound that a pass needs on the right side; None for a plain comparison or no bound.
    In a family it is taken at the level that Holm's procedure asks of this gate."""
    other_bound: float | None = None
    """The bound on the other side, which separates fail from inconclusive; always at the gate's own confidence."""
    confidence: float | None = None
    """Confidence of `bound`: the gate's own, or more in a family; None for a plain comparison."""
    family: str | None = None
    """Name of the family it was judged with."""
    target: float | None
    """Threshold or margin; None for a predicate."""
    comparison: str
    """`>=`, `<=` or `is`."""
    unit: str
    """Unit of observed, bounds and target."""
    n: int | None
    """Number of items; None when unknown."""
    n_needed: int | None = None
    """Items that would decide an inconclusive gate (power 0.8 if the estimate is true); None when no number would,
    and the reason says why."""
    detectable: float | None = None
    """Distance from the target that this many items tell with power 0.8, for an inconclusive gate; None when none."""
    baseline_sha256: str | None = None
    """Digest of the baseline's items and scores that a baseline gate compared with."""
    method: str
    """Name of the interval method, e.g. `wilson`; `plain` without one."""
    reason: str
    """One sentence with the numbers in it."""
    evidence: str
    """Pointer to the measurement; empty when it is missing."""
    on_failure: str = ""
    """The gate's advice, repeated for reports."""

    @model_validator(mode="after")
    def _says_why(self) -> "GateResult":
        if (self.verdict is Verdict.BLOCKED) != (self.cause is not None):
            raise ValueError(f"{self.gate}: a blocked gate states its cause, and no other does")
        if self.verdict is Verdict.PASS and self.observed is None:
            raise ValueError(f"{self.gate}: nothing was observed, so it cannot pass")
        return self


def fold(rows: Iterable[GateResult]) -> Verdict:
    """The verdict of all blocking and halting rows; advisory rows never count, and no rows at all are `blocked`.

    What waits for the export is not what is wrong with a run whose other gates do not pass: it blocks only beside
    passes, where nothing else would keep the run from moving forward.
    """
    deciding = [row for row in rows if row.severity != "advise"]
    measured = worst(row.verdict for row in deciding if row.cause is not Cause.NOT_EXPORTED)
    return worst(row.verdict for row in deciding) if measured is Verdict.PASS else measured


class Judgement(Contract):
    """The verdict over one run under one set of gates."""

    judgement_id: str
    """Hash over run id, gates and measurement digests."""
    run_id: str
    """The run judged."""
    lane: str
    """Its lane."""
    verdict: Verdict
    """Folded over all blocking and halting rows."""
    rows: tuple[GateResult, ...]
    """In the order of the gates' names."""
    gates_sha256: str
    """Digest of the gate specifications."""
    measurements_sha256: str
    """Digest of the measurements."""

    @model_validator(mode="after")
    def _is_folded(self) -> "Judgement":
        if self.verdict is not fold(self.rows):
            raise ValueError(f"the rows fold to {fold(self.rows)}, not to {self.verdict}")
        return self
