"""A guard takes a proposal as it is or not at all, and says who decided instead."""

import pytest
from decision_worlds import Raises, Says, context, nothing, row
from pydantic import ValidationError

from interlock.contracts.answer import Outcome
from interlock.contracts.base import Contract
from interlock.contracts.decision import MOVES_FORWARD, Action
from interlock.contracts.verdict import Verdict
from interlock.decisions.evidence import render, statement_faults
from interlock.decisions.guarded import SAID, Guard
from interlock.decisions.person import Person
from interlock.decisions.rules.by_kind import Rules, decide
from interlock.errors import DecisionError, NoDecisionError, NotRecordedError

FAILED, PASSED = context(row("r_at_5")), context(row("r_at_5", Verdict.PASS))


def test_what_holds_is_taken_as_it_is():
    proposal = Says(Action.ESCALATE)
    assert Guard(proposal, Rules()).decide(FAILED) == proposal.decide(FAILED)


@pytest.mark.parametrize(
    ("proposal", "told"),
    [
        (Says(Action.ACCEPT), "is not allowed to llm after a verdict of fail"),
        (Says(Action.GO), "is not allowed to llm"),
        (Says(Action.WAIVE), "is not allowed to llm"),
        (Says(Action.RETRAIN), "a retrain changes something"),
        (Says(Action.RETRAIN, overrides={"lane.optimizer.lr": 5.0}), "lies outside 1e-05 .. 0.01"),
        (Says(Action.RETRAIN, overrides={"lane.gates.r_at_5.target": 0.1}), "is not in the search space"),
        (Says(Action.ESCALATE, overrides={"lane.optimizer.lr": 1e-4}), "belong to retrain, not to escalate"),
        (Says(Action.REJECT, text="recall is 0.9"), "numerals of its own"),
        (Says(Action.REJECT, text="recall is {gate.r_at_10.observed}"), "placeholder without cited evidence"),
        (Says(Action.REJECT, cites=["gate.invented.observed"]), "cites evidence that does not exist"),
    ],
    ids=lambda item: item if isinstance(item, str) else "",
)
def test_what_does_not_hold_is_refused_kept_and_told(proposal, told):
    made = Guard(proposal, Rules()).decide(FAILED)
    expected = decide(FAILED)
    assert (made.action, made.proposed_overrides, made.policy) == (Action.RETRAIN, expected.proposed_overrides, "rules")
    [step] = made.trail
    assert (step.outcome, step.policy, step.proposal["action"]) == (Outcome.GUARD, "llm", proposal.action)
    assert told in step.told
    assert made.reasons[:-1] == expected.reasons
    said = "the rules decided, for nothing else held: a proposal outside of what is allowed"
    assert render(made.reasons[-1].text, made.evidence) == said
    assert made.decision_id != expected.decision_id


@pytest.mark.parametrize("outcome", sorted(SAID))
def test_each_way_to_fail_has_words(outcome):
    made = Guard(Raises(nothing(outcome)), Rules()).decide(PASSED)
    assert (made.action, made.trail[0].outcome) == (Action.ACCEPT, outcome)
    assert made.reasons[-1].text.endswith(SAID[outcome])
    assert not list(statement_faults(made.reasons[-1], made.evidence, key="k"))


def test_only_an_answer_and_a_missing_model_have_no_words():
    assert set(Outcome) - set(SAID) == {Outcome.ANSWERED, Outcome.NOT_CONFIGURED}
    made = Guard(Raises(nothing(Outcome.NOT_CONFIGURED)), Rules()).decide(PASSED)
    assert (made.reasons, [step.outcome for step in made.trail]) == (decide(PASSED).reasons, [Outcome.NOT_CONFIGURED])


def test_another_trail_is_another_decision():
    ids = {Guard(Raises(nothing(outcome)), Rules()).decide(PASSED).decision_id for outcome in SAID}
    assert len(ids) == len(SAID)
    refused = {Guard(Says(action), Rules()).decide(FAILED).decision_id for action in (Action.ACCEPT, Action.GO)}
    assert len(refused) == 2


def test_a_claimed_pass_is_seen_through():
    class Claims(Says):
        def decide(self, shown):
            return super().decide(shown).model_copy(update={"verdict": Verdict.PASS})

    made = Guard(Claims(Action.ACCEPT), Rules()).decide(FAILED)
    assert (made.action, made.verdict) == (Action.RETRAIN, Verdict.FAIL)
    assert "is not the one decided upon" in made.trail[0].told


def test_what_is_no_decision_at_all_is_refused():
    class Broken(Contract):
        number: int

    try:
        Broken.model_validate({"number": "x"})
    except ValidationError as error:
        made = Guard(Raises(error), Rules()).decide(PASSED)
    assert (made.action, made.trail[0].outcome) == (Action.ACCEPT, Outcome.SCHEMA)


def test_guards_nest():
    inner = Guard(Says(Action.GO), Says(Action.ACCEPT, policy="other"))
    with pytest.raises(NoDecisionError) as caught:
        inner.decide(FAILED)
    assert [(step.policy, step.outcome) for step in caught.value.trail] == [
        ("llm", Outcome.GUARD),
        ("other", Outcome.GUARD),
    ]
    made = Guard(Guard(inner, Raises(nothing())), Rules()).decide(FAILED)
    assert (made.action, len(made.trail)) == (Action.RETRAIN, 3)
    assert made.reasons[-1].text.endswith("a proposal outside of what is allowed, no answer in time")


def test_a_guard_around_a_person_waits_without_moving_forward():
    waits = Guard(Person("dir_models", None), Rules(), withheld=MOVES_FORWARD)
    made = waits.decide(PASSED)
    assert (made.action, made.policy) == (Action.ESCALATE, "rules")
    assert made.reasons[-1].text.endswith("a person who has not answered yet")
    assert waits.decide(FAILED).action is Action.RETRAIN


def test_withholding_holds_where_the_fallback_does_not_look():
    class Stubborn(Says):
        def decide(self, shown):
            return super().decide(PASSED)

    with pytest.raises(NoDecisionError):
        Guard(Raises(nothing()), Stubborn(Action.ACCEPT), withheld=MOVES_FORWARD).decide(PASSED)


def test_a_replay_without_its_answer_is_not_answered_by_rules():
    missing = nothing(Outcome.NOT_RECORDED, kind=NotRecordedError)
    with pytest.raises(NotRecordedError):
        Guard(Guard(Raises(missing), Rules()), Rules()).decide(PASSED)
    with pytest.raises(NotRecordedError):
        Guard(Says(Action.GO), Raises(missing)).decide(PASSED)


def test_nothing_left_says_what_was_tried_and_what_to_type():
    nowhere = context(row("r_at_5"), allowed=(Action.REJECT,))
    with pytest.raises(NoDecisionError) as caught:
        Guard(Raises(nothing()), Rules()).decide(nowhere)
    text = str(caught.value)
    assert "timeout: it did not work" in text
    assert "interlock decide 0123456789abcdef --as NAME --action ACTION --reason WHY" in text


def test_other_errors_are_not_swallowed():
    with pytest.raises(DecisionError):
        Rules().decide(context(row("r_at_5"), allowed=(Action.REJECT,)))
    with pytest.raises(ZeroDivisionError):
        Guard(Raises(ZeroDivisionError()), Rules()).decide(PASSED)
