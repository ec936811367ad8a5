"""Verdicts: what the judge says of one gate and of a whole run."""

from collections.abc import Iterable
from enum import StrEnum

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
    observed: float | None
    """The estimate (for a baseline gate the mean difference); None when there is none."""
    bound: float | None
    """The one-sided confidence bound that was compared; None for a plain comparison."""
    other_bound: float | None = None
    """The bound on the other side, which separates fail from inconclusive."""
    target: float | None
    """Threshold or margin; None for a predicate."""
    comparison: str
    """`>=`, `<=` or `is`."""
    unit: str
    """Unit of observed, bounds and target."""
    n: int | None
    """Number of items; None when unknown."""
    method: str
    """Name of the interval method, e.g. `wilson`; `plain` without one."""
    reason: str
    """One sentence with the numbers in it."""
    evidence: str
    """Pointer to the measurement; empty when it is missing."""
    on_failure: str = ""
    """The gate's advice, repeated for reports."""


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
