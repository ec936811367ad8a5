"""Decisions: what a policy is shown, what it may answer, and the closed set of actions.

Whoever decides, rules or a language model or a quorum or a person, sees one `DecisionContext` and gives one `Decision`.
Which actions a verdict allows stands in `interlock.decisions.actions`; here only what may never be written down at all
is refused: a decision that takes anything but a pass forward.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, JsonValue, model_validator

from interlock.contracts.agent import AgentBudget
from interlock.contracts.answer import Outcome, Usage
from interlock.contracts.base import Contract
from interlock.contracts.lane import Range
from interlock.contracts.measurement import Sha256
from interlock.contracts.verdict import GateResult, Verdict, fold

EvidenceId = Annotated[str, Field(pattern=r"^[^\s{}]+$")]
Number = int | float


class Action(StrEnum):
    """What can follow a verdict. Which of them a verdict allows, and where, stands in `interlock.decisions.actions`."""

    ACCEPT = "accept"
    """Take the run, or the job, as a result; it may move forward."""
    GATHER_MORE = "gather_more"
    """Measure more items and judge again."""
    RETRAIN = "retrain"
    """Train again with the proposed overrides, as a new run with lineage; of a job: its lanes go on."""
    REPAIR = "repair"
    """Mend what kept the run from being judged, and judge again."""
    REJECT = "reject"
    """Keep the record and go no further."""
    WAIVE = "waive"
    """A person goes on without a verdict: signed, expiring, shown everywhere."""
    ESCALATE = "escalate"
    """Wait for a person, who picks from the same set."""
    GO = "go"
    """A release moves on."""
    SHADOW_ONLY = "shadow_only"
    """A release answers beside production, and nobody sees its answers."""
    PAUSE_AND_FIX = "pause_and_fix"
    """A release waits until its faults are mended."""
    ROLLBACK = "rollback"
    """The version before comes back."""


Kind = Literal["lane", "job", "release"]
"""What is decided upon: a lane's run, the lanes of a job together, or whether a model goes live."""
MOVES_FORWARD = frozenset({Action.ACCEPT, Action.GO})
"""Actions that only a passing verdict allows."""


class Evidence(Contract):
    """One fact that a decision may cite."""

    id: EvidenceId
    """Name used in citations and placeholders, e.g. `gate.r_at_5.observed`."""
    value: bool | int | float | str
    """The fact."""
    pointer: str
    """Where it stands: `<file>#/<JSON pointer>@sha256:<digest of the file>`, e.g.
    `judge/judgement.json#/rows/0/observed@sha256:3f2a...`; the file's name is that of the stage folders."""


class Statement(Contract):
    """A sentence whose numbers are placeholders, `{gate.r_at_5.observed}`, filled in from the evidence by code."""

    text: Annotated[str, Field(min_length=1, max_length=2000)]
    """The sentence; no numerals of its own."""
    evidence: Annotated[tuple[EvidenceId, ...], Field(min_length=1)]
    """What it rests on; every placeholder is among them."""


class Remark(Contract):
    """Free text that a policy may read and never believe: a name, a fault's message, somebody's notes."""

    source: str
    """Where it comes from, e.g. `experiment.notes`."""
    text: Annotated[str, Field(max_length=4000)]
    """The text as it was found; whoever shows it fences and escapes it."""


class View(Contract):
    """What one member of a quorum sees: evidence of its own, so that votes do not rest on the same facts."""

    rows: tuple[str, ...]
    """Gates it answers for; without one its verdict is `blocked`."""
    evidence: tuple[EvidenceId, ...]
    """Facts it may cite."""


class DecisionContext(Contract):
    """Everything a policy gets to see. Built by code from verified files; it holds no clock and no path."""

    kind: Kind = "lane"
    """What is decided upon."""
    agent: str
    """Who decides, e.g. `dir_models`."""
    run_id: str
    """The run; empty where a job is answered."""
    judgement_id: Sha256
    """The judgement that is decided upon; of a job the digest of its lanes' judgements."""
    lane: str
    """Its lane; empty where a job is answered."""
    job: str = ""
    """The job that is answered; empty otherwise."""
    verdict: Verdict
    """The verdict; it must be what the rows fold to."""
    rows: tuple[GateResult, ...]
    """The judge's rows; of a job one row for each lane."""
    evidence: tuple[Evidence, ...]
    """Facts by id, each id once."""
    remarks: tuple[Remark, ...] = ()
    """Free text beside the evidence."""
    views: dict[str, View] = Field(default_factory=dict)
    """What each member of a quorum sees; members that are missing here see nothing and cannot vote for GO."""
    current: dict[str, Number]
    """Present values of the search space's keys."""
    search_space: dict[str, Range]
    """Keys that may be changed, with their bounds."""
    attempts: Annotated[int, Field(ge=1)]
    """Runs of this lineage that have been judged, this one included."""
    max_attempts: Annotated[int, Field(ge=1)]
    """From this many on, a person is asked."""
    parent_run: str = ""
    """Run whose decision led to this one; empty at the beginning of a lineage."""
    budget: AgentBudget | None = None
    """What this agent may spend on language models; None where that is no part of the decision."""
    allowed: tuple[Action, ...]
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


class Step(Contract):
    """One attempt at a decision: a policy that was tried, or a question that a model was asked."""

    agent: str
    """Who tried."""
    policy: str
    """`llm`, `quorum`, `person` or `rules`."""
    outcome: Outcome
    """How it ended; `answered` for a proposal that was taken."""
    told: str = ""
    """Why it was not taken, in one sentence."""
    model: str = ""
    """`<provider>/<model id>`; empty where no model was asked."""
    prompt_sha256: Sha256 | None = None
    """Digest of the messages."""
    key: Sha256 | None = None
    """Key of the question among the recorded answers."""
    answer_sha256: Sha256 | None = None
    """Digest of the recorded answer."""
    left_out: tuple[EvidenceId, ...] = ()
    """Evidence that did not fit into the model's window."""
    proposal: dict[str, JsonValue] | None = None
    """What was proposed, taken or not."""
    calls: Annotated[int, Field(ge=0)] = 0
    """Requests of this question, corrections and retries included."""
    usage: Usage = Usage()
    """What it cost when it was asked; a replay costs nothing and says the same."""


class Vote(Contract):
    """What one member of a quorum said."""

    agent: str
    """The member."""
    action: Action
    """Its recommendation."""
    verdict: Verdict
    """Verdict of the gates that it answers for."""
    reasons: tuple[Statement, ...]
    """Why."""
    risks: tuple[Statement, ...] = ()
    """Its concerns."""
    confidence: Literal["low", "medium", "high"]
    policy: str
    """How it came to it."""
    counts: bool = True
    """False where another vote, as cautious or more so, rests on the very same evidence."""


DECIDED_UPON = ("kind", "agent", "run_id", "judgement_id", "lane", "job", "verdict")
"""What a decision repeats of its context: who decides, and what upon."""


class Decision(Contract):
    """What was decided, why, and on what evidence."""

    kind: Kind = "lane"
    """What was decided upon."""
    agent: str = ""
    """Who decided, e.g. `dir_models`; empty in records from before this was written down."""
    decision_id: Sha256
    """Hash over the context, the policy and, for a language model, its replayed answers."""
    judgement_id: Sha256
    """The judgement decided upon; of a job the digest of its lanes' judgements."""
    run_id: str
    """The run; empty where a job is answered."""
    lane: str
    """Its lane; empty where a job is answered."""
    job: str = ""
    """The job that is answered; empty otherwise."""
    verdict: Verdict
    """Its verdict."""
    action: Action
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
    """How it was decided: `rules`, `llm`, `quorum`, `person`."""
    person: str = ""
    """Who decided, where a person did."""
    trail: tuple[Step, ...] = ()
    """Everything that was tried, in order; empty where rules decided at once."""
    votes: tuple[Vote, ...] = ()
    """Votes of a quorum."""
    evidence: tuple[Evidence, ...]
    """The facts cited, so that the record reads by itself."""

    @property
    def usage(self) -> Usage:
        """What all questions of this decision cost when they were asked."""
        return sum((step.usage for step in self.trail), Usage())

    @model_validator(mode="after")
    def _takes_only_a_pass_forward(self) -> "Decision":
        if self.action in MOVES_FORWARD and self.verdict is not Verdict.PASS:
            raise ValueError(f"{self.verdict} cannot {self.action}; change the gate in conf/, visibly, and judge again")
        if self.proposed_overrides and self.action is not Action.RETRAIN:
            raise ValueError(f"overrides belong to retrain, not to {self.action}")
        return self
