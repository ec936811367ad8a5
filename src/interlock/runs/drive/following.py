"""What follows from a decision in a drive. Pure: `(decision, facts) -> Next`, with the reason in it.

    accept       the drive ends well
    retrain      the next attempt, unless a ceiling or a strike rule is in the way
    repair       evaluate, export and judge once more; the second time a person is asked
    gather_more  the drive stops: more items have to be measured first
    escalate     a person is asked
    reject       the drive stops

Two failed verdicts of a lineage ask a person, unless a person gave `max_attempts`; three failed trainings stop.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from interlock.contracts.answer import Usage
from interlock.contracts.decision import Action, Number
from interlock.contracts.drive import DrivenDecision
from interlock.contracts.experiment import Budget
from interlock.contracts.verdict import Verdict
from interlock.decisions.actions import PERSON
from interlock.errors import ProvenanceError
from interlock.runs.drive.states import DriveEvent


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything besides the decision that the next step depends on."""

    verdict: Verdict
    """Of the run that was decided upon."""
    attempt: int
    """Its number."""
    attempts_max: int
    """Attempts that the configuration or a person allows."""
    by_person: bool
    """Whether a person gave `attempts_max`."""
    is_repaired: bool
    """Whether this attempt was repaired before."""
    training_failures: int
    """Failed trainings of the lineage since one ended well."""
    gate_failures: int
    """Failed verdicts of the lineage since one passed."""
    may_train: bool
    """Whether the strike rules let another training begin."""
    may_try_gates: bool
    """Whether they let another run be tried after failed verdicts."""
    over: str = ""
    """The ceiling of the drive that is reached, in words; empty while there is none."""


@dataclass(frozen=True, kw_only=True)
class Next:
    """What the drive does."""

    event: DriveEvent
    why: str = ""
    """Why it goes no further, in one sentence."""
    way_out: str = ""
    """What a person may do; `{run}` stands for the run's id."""
    changes: Mapping[str, tuple[Number | None, Number]] = field(default_factory=dict)
    """Of a retrain: old and new value by key."""


def follow(decision: DrivenDecision, facts: Facts) -> Next:
    """What follows. Raises ProvenanceError for an acceptance without a pass, which no record may hold."""
    match decision.action:
        case Action.ACCEPT if facts.verdict is Verdict.PASS:
            return Next(event=DriveEvent.ACCEPTED, why="all blocking gates pass")
        case Action.RETRAIN:
            return _retrain(facts, by_person=decision.policy == PERSON)
        case Action.REPAIR:
            return _repair(facts)
        case Action.GATHER_MORE:
            return Next(
                event=DriveEvent.STOPPED,
                why=f"more has to be measured before anybody can decide: {_first(decision)}",
                way_out="widen the evaluation data of the lane, then give the same command again",
            )
        case Action.REJECT:
            return Next(
                event=DriveEvent.STOPPED,
                why=f"the run is rejected: {_first(decision)}",
                way_out="interlock why {run} shows the evidence",
            )
        case Action.ESCALATE:
            return Next(event=DriveEvent.ASKED, why=_first(decision))
        case _:
            raise ProvenanceError(
                f"a drive cannot {decision.action} after a verdict of {facts.verdict}", key="decision",
                value=decision.decision_id, hint="the journal was changed; restore it from a backup",
            )  # fmt: skip


def over_ceiling(budget: Budget, *, usage: Usage, refused: bool, compute_hours: float) -> str:
    """The ceiling of the whole drive that is reached, in words; empty while there is none.

    `refused`: a question was not asked because of a ceiling, and rules decided instead. A ceiling of zero asks no model
    at all and stops nothing: rules cost nothing.
    """
    if compute_hours >= budget.compute_hours_max:
        return f"its stages took {compute_hours:.2f} of budget.compute_hours_max={budget.compute_hours_max:g} hours"
    used = (
        ("calls", float(usage.calls), budget.calls),
        ("tokens", float(usage.tokens), budget.tokens),
        ("usd", usage.usd, budget.usd),
        ("seconds", usage.seconds, budget.seconds),
    )
    for name, value, ceiling in used:
        if ceiling and value >= ceiling:
            return f"language models used {value:g} of budget.{name}={ceiling:g}"
    if refused and usage.calls:
        return f"language models used {usage.calls} calls and ${usage.usd:.4f}, and one more question is over a budget"
    return ""


def _retrain(facts: Facts, *, by_person: bool) -> Next:
    """A person who looked at this very run may go beyond the number of attempts; nobody beyond budgets and strikes."""
    if facts.over:
        return Next(
            event=DriveEvent.STOPPED,
            why=f"the budget is used up: {facts.over}",
            way_out="a larger budget.* makes another drive; stages and answers that are there are used again",
        )
    if not facts.may_train:
        return Next(
            event=DriveEvent.STOPPED,
            why=f"{facts.training_failures} trainings of this lineage failed in a row",
            way_out="interlock recovery show {run} says why; another configuration is another lineage",
        )
    if by_person:
        return Next(event=DriveEvent.RETRAIN)
    if facts.attempt >= facts.attempts_max:
        return Next(event=DriveEvent.ASKED, why=f"attempt {facts.attempt} of {facts.attempts_max} did not pass")
    if not (facts.may_try_gates or facts.by_person):
        return Next(event=DriveEvent.ASKED, why=f"{facts.gate_failures} runs of this lineage failed their gates")
    return Next(event=DriveEvent.RETRAIN)


def _repair(facts: Facts) -> Next:
    if not facts.is_repaired:
        return Next(event=DriveEvent.REPAIR)
    return Next(event=DriveEvent.ASKED, why="evaluating again did not mend what keeps the run from being judged")


def _first(decision: DrivenDecision) -> str:
    return decision.reasons[0]
