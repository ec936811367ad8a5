"""What the three executives look at: the candidate, what it would replace, the workspace, and the evidence of a shadow.

Each executive's module turns a `Situation` into its own report; none of them reads another one's.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from interlock.contracts.measurement import Sha256
from interlock.contracts.release import ExecutiveReport, ReleaseSettings, ShadowReport
from interlock.contracts.verdict import Cause, GateResult, fold
from interlock.runs.releasing.rows import blocked
from interlock.runs.releasing.version import Version

Fact = bool | int | float | str
SHIPPED = "export/"
"""Evidence of gates that are measured on the shipped file."""


@dataclass(frozen=True, kw_only=True)
class Shadow:
    """A shadow report that was given and checked; see `interlock.runs.releasing.shadow`."""

    text: str
    """Its bytes, as they are kept beside the decision."""
    sha256: Sha256
    report: ShadowReport
    """What it says."""


@dataclass(frozen=True, kw_only=True)
class Situation:
    """Everything that is looked at. The time is an argument: approvals and waivers end."""

    home: Path
    workspace: Path
    lane: str
    kind: str
    """Kind of the lane, which service levels may be limited to."""
    candidate: Version
    production: Version | None
    contested_by: tuple[str, ...]
    """Other models that claim the lane's production."""
    settings: ReleaseSettings
    gates_sha256: str
    """Digest of the lane's gates as they are configured now."""
    services: Mapping[str, int]
    """Ports of the lane's production services."""
    shadow: Shadow | None
    now: datetime


@dataclass
class Findings:
    """What one executive has found so far."""

    rows: list[GateResult] = field(default_factory=list)
    facts: dict[str, Fact] = field(default_factory=dict)
    details: dict[str, object] = field(default_factory=dict)
    sources: dict[str, Sha256] = field(default_factory=dict)

    def report(self, agent: str, situation: Situation) -> ExecutiveReport:
        """The report."""
        rows = tuple(self.rows)
        production = situation.production
        return ExecutiveReport(
            agent=agent,
            candidate=situation.candidate.identity,
            production=production.identity if production else None,
            rows=rows,
            verdict=fold(rows),
            facts=dict(sorted(self.facts.items())),
            details=dict(self.details),  # type: ignore[arg-type]
            sources=dict(sorted(self.sources.items())),
        )


def unbelieved(agent: str, situation: Situation, name: str) -> ExecutiveReport | None:
    """The whole report where nothing of the candidate is believed; None where it verifies."""
    if not situation.candidate.broken:
        return None
    why = f"{situation.candidate.name}: {situation.candidate.broken}"
    row = blocked(name, why, cause=Cause.NO_VALUE, on_failure="Restore the archived files, or release another run.")
    return Findings(rows=[row]).report(agent, situation)


def is_latency(row: GateResult) -> bool:
    """Whether a gate of the lane looks at how fast the shipped file answers."""
    return row.unit == "ms" or "latency" in row.metric


def is_shipped(row: GateResult) -> bool:
    """Whether a gate of the lane looks at the shipped file."""
    return row.evidence.startswith(SHIPPED) or row.cause is Cause.NOT_EXPORTED


def lane_rows(situation: Situation) -> Iterable[GateResult]:
    """The rows of the candidate's newest judgement."""
    judgement = situation.candidate.judgement
    return judgement.rows if judgement else ()
