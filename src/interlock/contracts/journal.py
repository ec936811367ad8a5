"""Lines of the journal of decisions (`interlock.decisions.journal`): how each one was come to, in one place."""

from typing import Annotated

from pydantic import Field, JsonValue

from interlock.contracts.answer import Outcome, Usage
from interlock.contracts.base import Contract
from interlock.contracts.decision import Action, Kind, Number
from interlock.contracts.measurement import Sha256
from interlock.contracts.verdict import Verdict


class Tried(Contract):
    """One step on the way, shortened."""

    agent: str
    """Who tried."""
    policy: str
    """How."""
    outcome: Outcome
    """How it ended."""
    told: str = ""
    """What the guard refused, or why else it was not taken."""
    model: str = ""
    """Model that was asked; empty where none was."""
    prompt_sha256: Sha256 | None = None
    """Digest of what it was shown."""
    answer_sha256: Sha256 | None = None
    """Digest of its recorded answer."""
    calls: Annotated[int, Field(ge=0)] = 0
    """Requests."""
    proposal: dict[str, JsonValue] | None = None
    """What was proposed, taken or not."""


class JournalEntry(Contract):
    """One line of the journal."""

    decision_id: Sha256
    """The decision."""
    kind: Kind
    """What was decided upon."""
    agent: str
    """Who decided."""
    run_id: str
    """The run; empty where a job was answered."""
    lane: str
    """Its lane."""
    job: str
    """The job; empty otherwise."""
    judgement_id: Sha256
    """What was decided upon."""
    verdict: Verdict
    """Its verdict."""
    tried: tuple[Tried, ...]
    """Everything that was tried, in order."""
    usage: Usage
    """What all of it cost when it was asked."""
    votes: dict[str, Action]
    """Votes of a quorum by member."""
    action: Action
    """What was decided."""
    overrides: dict[str, Number]
    """New values, with a retrain."""
    policy: str
    """How it was decided in the end."""
    person: str
    """Who decided, where a person did."""
    at: str
    """When it was written down (UTC, ISO 8601)."""
