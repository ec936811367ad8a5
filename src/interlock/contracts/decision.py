"""Decisions: what a policy is shown, what it may answer, and the closed sets of actions.

Whoever decides, rules or a language model or a person, sees one `DecisionContext` and gives one `Decision`. Which
actions a verdict allows stands in `interlock.decisions.actions`; here only what may never be written down at all is
refused: a decision that accepts anything but a pass.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, model_validator

from interlock.contracts.base import Contract
from interlock.contracts.lane import Range
from interlock.contracts.measurement import Sha256
from interlock.contracts.verdict import GateResult, Verdict, fold

EvidenceId = Annotated[str, Field(pattern=r"^[^\s{}]+$")]
Number = int | float


class LaneAction(StrEnum):
    """What can follow the verdict on a lane's run."""

    ACCEPT = "accept"
    """Take the run as a result; it may move forward."""
    GATHER_MORE = "gather_more"
    """Measure more items and judge again."""
    RETRAIN = "retrain"
    """Train again with the proposed overrides, as a new run with lineage."""
    REPAIR = "repair"
    """Mend what kept the run from being judged, and judge again."""
    REJECT = "reject"
    """Keep the record and go no further."""
    WAIVE = "waive"
    """A person goes on without a verdict: signed, expiring, shown everywhere."""
    ESCALATE = "escalate"
    """Wait for a person, who picks from the same set."""


class ReleaseAction(StrEnum):
    """What can follow the verdict on a release."""

    GO = "go"
    SHADOW_ONLY = "shadow_only"
    PAUSE_AND_FIX = "pause_and_fix"
    REJECT = "reject"
    ROLLBACK = "rollback"


class Evidence(Contract):
    """One fact that a decision may cite."""

    id: EvidenceId
    """Name used in citations and placeholders, e.g. `gate.r_at_5.observed`."""
    value: bool | int | float | str
    """The fact."""
    pointer: str
    """Where it stands: `judgement.json#/rows/r_at_5/observed`."""


class Statement(Contract):
    """A sentence whose numbers are placeholders, `{gate.r_at_5.observed}`, filled in from the evidence by code."""

    text: Annotated[str, Field(min_length=1, max_length=2000)]
    """The sentence; no numerals of its own."""
    evidence: Annotated[tuple[EvidenceId, ...], Field(min_length=1)]
    """What it rests on; every placeholder is among them."""


class DecisionContext(Contract):
    """Everything a policy gets to see."""

    run_id: str
    """The run."""
    judgement_id: Sha256
    """The judgement that is decided upon."""
    lane: str
    """Its lane."""
    verdict: Verdict
    """The verdict; it must be what the rows fold to."""
    rows: tuple[GateResult, ...]
    """The judge's rows."""
    evidence: tuple[Evidence, ...]
    """Facts by id, each id once."""
    current: dict[str, Number]
    """Present values of the search space's keys."""
    search_space: dict[str, Range]
    """Keys that may be changed, with their bounds."""
    attempts: Annotated[int, Field(ge=1)]
    """Runs of this lineage that have been judged, this one included."""
    max_attempts: Annotated[int, Field(ge=1)]
    """From this many on, a person is asked."""
    allowed: tuple[LaneAction, ...]
    """Actions open to this policy; it can only narrow what the verdict allows."""

    @model_validator(mode="after")
    def _is_coherent(self) -> "DecisionContext":
        if self.verdict is not fold(self.rows):
            raise ValueError(f"the rows fold to {fold(self.rows)}, not to {self.verdict}")
        ids = [item.id for item in self.evidence]
        if len(ids) != len(set(ids)):
            raise ValueError(f"evidence ids given twice: {sorted({name for name in ids if ids.count(name) > 1})}")
        unbounded = sorted(set(self.current) - set(self.search_space))
        if unbounded:
            raise ValueError(f"current values outside the search space: {unbounded}")
        return self


class Decision(Contract):
    """What was decided, why, and on what evidence."""

    decision_id: Sha256
    """Hash over the context, the policy and, for a language model, its replayed answers."""
    judgement_id: Sha256
    """The judgement decided upon."""
    run_id: str
    """The run."""
    lane: str
    """Its lane."""
    verdict: Verdict
    """Its verdict."""
    action: LaneAction
    """What to do."""
    reasons: Annotated[tuple[Statement, ...], Field(min_length=1)]
    """Why."""
    proposed_overrides: dict[str, Number] = Field(default_factory=dict)
    """New values by configuration key; only with `retrain`, only inside the search space."""
    risks: tuple[Statement, ...] = ()
    """What may go wrong, or what the action leaves open."""
    confidence: Literal["low", "medium", "high"]
    """How sure the policy is that the action helps."""
    policy: Annotated[str, Field(min_length=1)]
    """Who decided: `rules`, `person` ..."""
    evidence: tuple[Evidence, ...]
    """The facts cited, so that the record reads by itself."""

    @model_validator(mode="after")
    def _accepts_only_a_pass(self) -> "Decision":
        if self.action is LaneAction.ACCEPT and self.verdict is not Verdict.PASS:
            raise ValueError(f"{self.verdict} cannot be accepted; change the gate in conf/, visibly, and judge again")
        if self.proposed_overrides and self.action is not LaneAction.RETRAIN:
            raise ValueError(f"overrides belong to retrain, not to {self.action}")
        return self
