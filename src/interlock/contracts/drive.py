"""Drives: what was asked for, every attempt with its verdict and the decision upon it, and where the drive stands.

`DriveRecord` is `drive.json` and never changes; everything else is folded from the drive's journal, so that a drive
killed at any point is found where it was. Paths and machine names are not part of it.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, JsonValue

from interlock.contracts.answer import Usage
from interlock.contracts.base import Contract
from interlock.contracts.decision import Action, Number
from interlock.contracts.gate import Severity
from interlock.contracts.measurement import Sha256
from interlock.contracts.verdict import Verdict

DriveId = Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
RunId = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]


class DriveState(StrEnum):
    """Where a drive stands."""

    READY = "ready"
    """The next attempt is known and has not begun."""
    RUNNING = "running"
    """The stages of an attempt run, up to its verdict."""
    REPAIRING = "repairing"
    """Evaluate, export and judge of an attempt run once more."""
    JUDGED = "judged"
    """There is a verdict that nobody has decided upon."""
    DECIDED = "decided"
    """There is a decision that nothing has followed from."""
    ACCEPTED = "accepted"
    """The last run passed and was accepted."""
    WAITING = "waiting"
    """A person is asked."""
    STOPPED = "stopped"
    """It ended without a run that was accepted."""
    FAILED = "failed"
    """A stage ended with an error; the same command tries again."""


class DriveRecord(Contract):
    """`drive.json`: what was asked for."""

    id: DriveId
    """Beginning of the digest over the lane and the asked configuration."""
    name: str
    """Name of the experiment."""
    lane: str
    """Name of the lane."""
    command: tuple[str, ...]
    """Overrides as a person typed them."""
    asked: dict[str, JsonValue]
    """The composed configuration without what only shows and watches."""
    begun_at: str
    """UTC, ISO 8601."""


class DrivenGate(Contract):
    """A gate of an attempt, as tables show it."""

    gate: str
    """Its name."""
    severity: Severity
    """Only `block` and `halt` decide."""
    verdict: Verdict
    """What it says."""
    observed: float | None
    """The estimate."""
    target: float | None
    """Threshold or margin; None for a yes/no check."""
    comparison: str
    """`>=`, `<=` or `is`."""
    unit: str
    """Unit of both."""
    reason: str
    """One sentence with the numbers in it."""


class DrivenDecision(Contract):
    """A decision upon an attempt, as tables show it; the decision itself stands in the run's archive."""

    decision_id: Sha256
    """The decision."""
    action: Action
    """What to do."""
    policy: str
    """Who decided in the end: `rules`, `llm`, `person`."""
    models: tuple[str, ...] = ()
    """Language models that were asked, `<provider>/<model id>`."""
    reasons: tuple[str, ...]
    """Why, every number filled in from its evidence."""
    risks: tuple[str, ...] = ()
    """What it leaves open."""
    overrides: dict[str, Number] = Field(default_factory=dict)
    """What it proposes to change."""
    confidence: str
    """`low`, `medium` or `high`."""
    told: tuple[str, ...] = ()
    """Why proposals were not taken, one sentence for each."""
    over_budget: bool = False
    """Whether rules decided because a question would have gone over a budget."""
    usage: Usage = Usage()
    """What its questions cost when they were asked."""


class DrivenAttempt(Contract):
    """One configuration that was run, judged and decided upon."""

    attempt: Annotated[int, Field(ge=1)]
    """Counted from 1."""
    run_id: RunId | None = None
    """The run; None before it is known."""
    parent_run: RunId | None = None
    """The run whose decision led here."""
    changes: dict[str, tuple[Number | None, Number]] = Field(default_factory=dict)
    """What differs from the attempt before: old value, new value."""
    overrides: dict[str, Number] = Field(default_factory=dict)
    """Everything that decisions have changed since the first attempt."""
    judgement_id: Sha256 | None = None
    """The judgement that counts."""
    verdict: Verdict | None = None
    """Its verdict."""
    gates: tuple[DrivenGate, ...] = ()
    """Every gate, in the judgement's order."""
    decisions: tuple[DrivenDecision, ...] = ()
    """In order; more than one after a repair or after a person allowed more attempts."""
    is_repaired: bool = False
    """Whether evaluate, export and judge were run a second time."""
    seconds: Annotated[float, Field(ge=0.0)] = 0.0
    """Wall time of its stages."""

    @property
    def decision(self) -> DrivenDecision | None:
        """The decision that counts."""
        return self.decisions[-1] if self.decisions else None


class DrivePath(Contract):
    """A drive as its journal tells it."""

    record: DriveRecord
    """What was asked for."""
    state: DriveState
    """Where it stands."""
    attempts: tuple[DrivenAttempt, ...] = ()
    """Oldest first, since the drive last began anew."""
    attempts_max: Annotated[int, Field(ge=1)]
    """Attempts that the configuration or a person allows."""
    why: str = ""
    """Why it ended as it did."""
    way_out: str = ""
    """What a person may do next; a command where there is one."""
    asked_run: RunId | None = None
    """Run under which a person is asked for more attempts."""
    approved_by: str = ""
    """Who allowed more attempts."""
    exit_code: Annotated[int, Field(ge=0, le=255)] | None = None
    """Exit code of an error that ended it."""
    updated_at: str
    """When something last happened (UTC, ISO 8601)."""

    @property
    def usage(self) -> Usage:
        """What all questions of the drive cost, each decision counted once."""
        return sum((item.usage for item in self.decisions.values()), Usage())

    @property
    def decisions(self) -> dict[str, DrivenDecision]:
        """Every decision by id."""
        return {item.decision_id: item for attempt in self.attempts for item in attempt.decisions}

    @property
    def compute_hours(self) -> float:
        """Wall hours of all stages of all attempts."""
        return sum(attempt.seconds for attempt in self.attempts) / 3600
