"""Rows of a release: the same form as the judge's, so that one fold, one guard and one page serve both.

Does not measure anything; whoever makes a row gives the sentence and the file that it rests on.
"""

from interlock.contracts.gate import Severity
from interlock.contracts.verdict import Cause, GateResult, Verdict
from interlock.gates.comparison import numerals
from interlock.gates.statistics import Bounds


def checked(
    name: str,
    holds: bool,
    reason: str,
    *,
    evidence: str,
    otherwise: Verdict = Verdict.FAIL,
    severity: Severity = "block",
    on_failure: str = "",
) -> GateResult:
    """A yes/no check: `pass` where it holds, else `otherwise` (`fail` or `inconclusive`)."""
    return GateResult(
        gate=name, metric=name, severity=severity, verdict=Verdict.PASS if holds else otherwise,
        observed=1.0 if holds else 0.0, bound=None, target=None, comparison="is", unit="bool", n=None, method="plain",
        reason=reason, evidence=evidence, on_failure="" if holds else on_failure,
    )  # fmt: skip


def unmeasured(
    name: str, reason: str, *, severity: Severity = "block", unit: str = "bool", on_failure: str = ""
) -> GateResult:
    """What nobody has measured yet: open, so that it is seen and allows no GO."""
    return GateResult(
        gate=name, metric=name, severity=severity, verdict=Verdict.INCONCLUSIVE, observed=None, bound=None, target=None,
        comparison="is", unit=unit, n=None, method="plain", reason=f"not measured: {reason}", evidence="",
        on_failure=on_failure,
    )  # fmt: skip


def blocked(name: str, reason: str, *, cause: Cause = Cause.MISSING, on_failure: str = "") -> GateResult:
    """What could not be looked at."""
    return GateResult(
        gate=name, metric=name, severity="block", verdict=Verdict.BLOCKED, cause=cause, observed=None, bound=None,
        target=None, comparison="is", unit="bool", n=None, method="plain", reason=reason, evidence="",
        on_failure=on_failure,
    )  # fmt: skip


def compared(
    name: str,
    bounds: Bounds,
    verdict: Verdict,
    *,
    target: float,
    comparison: str,
    unit: str,
    reason: str,
    evidence: str,
    severity: Severity = "block",
    on_failure: str = "",
) -> GateResult:
    """An estimate with its bounds against a target; `bound` is the one that a pass needs."""
    deciding, other = (bounds.lower, bounds.upper) if comparison == ">=" else (bounds.upper, bounds.lower)
    has_bounds = bounds.confidence is not None
    return GateResult(
        gate=name, metric=name, severity=severity, verdict=verdict, observed=bounds.estimate,
        bound=_finite(deciding) if has_bounds else None, other_bound=_finite(other) if has_bounds else None,
        confidence=bounds.confidence, target=target, comparison=comparison, unit=unit, n=bounds.n,
        method=bounds.method, reason=reason, evidence=evidence, on_failure=on_failure,
    )  # fmt: skip


def span(bounds: Bounds) -> list[str]:
    """Estimate, lower and upper bound as text, told apart by enough decimals."""
    return numerals(bounds.estimate, bounds.lower, bounds.upper)


def _finite(number: float) -> float | None:
    return number if abs(number) != float("inf") else None
