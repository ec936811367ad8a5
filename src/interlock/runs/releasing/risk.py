"""The composite risk of an integration: four parts, each normalised to 0..1 by a stated rule, weighed and added. Pure.

    schema drift   0 nothing differs, 0.5 callers survive every difference, 1 one of them breaks callers
    dependencies   0 the same lock; else the share of the named versions that differ, and 0.25 at least
    latency        slower than production at P95, as a share of the allowed drift, at most 1
    output         mean absolute difference of the scores of the same items, 0..1

A part that nobody could measure counts as 1, because uncertainty is risk; only what was measured makes a risk High.
Without a version in production nothing depends on the old one, so schema, latency and output count as 0, and the
dependencies are compared with the present workspace.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from interlock.contracts.release import RiskWeights
from interlock.contracts.verdict import Verdict

Level = Literal["Low", "Medium", "High"]
OTHER_LOCK_MIN = 0.25
"""Dependencies, where the locks differ and every version that is looked at is the same."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of the risk."""

    name: str
    """A field of `RiskWeights`."""
    score: float | None
    """0..1; None where it could not be measured."""
    why: str
    """In words."""


def composite(parts: Sequence[Part], weights: RiskWeights, *, unknown: float = 1.0) -> float:
    """The weighted sum, 0..1; a part without a score counts as `unknown`.

    Raises ValueError unless every weight has its part once, each score inside 0..1.
    """
    named: Mapping[str, float] = weights.model_dump()
    if sorted(part.name for part in parts) != sorted(named):
        raise ValueError(f"the parts are {[part.name for part in parts]}, the weights are of {list(named)}")
    for part in parts:
        if part.score is not None and not 0.0 <= part.score <= 1.0:
            raise ValueError(f"{part.name} is {part.score}, outside 0..1")
    return round(sum(named[part.name] * (unknown if part.score is None else part.score) for part in parts), 6)


def level(risk: float, *, measured: float, medium_from: float, high_from: float) -> tuple[Level, Verdict]:
    """How the risk is called and what it means: Medium is shadow only, so it leaves the release open.

    `measured` is the risk with every unknown part taken as 0: it alone makes a fail.
    """
    if risk >= high_from:
        return "High", Verdict.FAIL if measured >= high_from else Verdict.INCONCLUSIVE
    return ("Medium", Verdict.INCONCLUSIVE) if risk >= medium_from else ("Low", Verdict.PASS)


def dependency_score(*, same_lock: bool, versions: Mapping[str, tuple[str, str]]) -> float:
    """Of two environments; `versions` are pairs by package."""
    if same_lock:
        return 0.0
    differing = sum(one != other for one, other in versions.values())
    return max(OTHER_LOCK_MIN, differing / len(versions)) if versions else 1.0


def latency_score(drift_ms: float, *, drift_ms_max: float) -> float:
    """Of a P95 that is `drift_ms` slower (faster where it is negative)."""
    if drift_ms <= 0.0:
        return 0.0
    return min(1.0, drift_ms / drift_ms_max) if drift_ms_max > 0.0 else 1.0
