"""A person's choice: the same actions and bounds as everybody's, under a name that is a person's."""

import pytest
from decision_worlds import context, row

from interlock.contracts.answer import Outcome
from interlock.contracts.decision import Action
from interlock.contracts.verdict import Verdict
from interlock.decisions.actions import LANE_ACTIONS, PERSON, allowed_actions
from interlock.decisions.evidence import render
from interlock.decisions.person import Person, PersonsChoice
from interlock.errors import DecisionError, ExitCode, NoDecisionError, UsageError

AGENTS = ("dir_models", "ops_commander")


def shown(verdict):
    return context(row("r_at_5", verdict), allowed=allowed_actions(verdict, policy=PERSON))


def decided(verdict, action, *, by="Ada", reason="it is what we agreed upon", **said):
    choice = PersonsChoice(by=by, action=action, reason=reason, **said)
    return Person("dir_models", choice, agents=AGENTS).decide(shown(verdict))


def test_a_choice_is_a_decision_under_the_persons_name():
    made = decided(
        Verdict.FAIL,
        Action.RETRAIN,
        reason="{gate.r_at_5.observed} is near: train on",
        overrides={"lane.trainer.epochs": 20},
    )
    assert (made.action, made.policy, made.person, made.agent) == (Action.RETRAIN, "person", "Ada", "dir_models")
    assert made.proposed_overrides == {"lane.trainer.epochs": 20}
    assert [render(reason.text, made.evidence) for reason in made.reasons] == ["0.3 is near: train on"]
    assert made.reasons[0].evidence == ("gate.r_at_5.observed",)


def test_words_that_cite_nothing_rest_on_the_verdict():
    assert decided(Verdict.FAIL, Action.REJECT).reasons[0].evidence == ("verdict",)


@pytest.mark.parametrize("verdict", Verdict)
def test_a_person_picks_from_the_same_set(verdict):
    for action in Action:
        overrides = {"lane.trainer.epochs": 20} if action is Action.RETRAIN else {}
        if action is Action.WAIVE:
            continue
        if action in LANE_ACTIONS[verdict]:
            assert decided(verdict, action, overrides=overrides).action is action
        else:
            with pytest.raises(DecisionError, match="is not allowed after a verdict"):
                decided(verdict, action, overrides=overrides)


@pytest.mark.parametrize("verdict", Verdict)
def test_a_waiver_is_signed_elsewhere(verdict):
    with pytest.raises(UsageError, match="interlock waive 0123456789abcdef --by Ada --reason 'it is what"):
        decided(verdict, Action.WAIVE)


def test_numbers_are_cited_by_a_person_too():
    with pytest.raises(DecisionError) as caught:
        decided(Verdict.FAIL, Action.REJECT, reason="0.3 is too low")
    text = str(caught.value)
    assert text.startswith("what Ada decided is refused:")
    assert "numerals" in text
    assert "cite them by name: {gate.r_at_5.n}, {gate.r_at_5.observed}, {gate.r_at_5.target}" in text


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"reason": "{gate.r_at_10.observed} is low"}, "cites evidence that does not exist"),
        ({"overrides": {"lane.optimizer.lr": 1e-4}}, "belong to retrain"),
    ],
)
def test_refused_with_the_fault_named(said, words):
    with pytest.raises(DecisionError, match=words):
        decided(Verdict.FAIL, Action.REJECT, **said)


def test_the_way_out_is_that_of_the_fault():
    for said, option, hint in (
        ((Action.ACCEPT, {}), "--action: ", "choose one of these"),
        ((Action.RETRAIN, {}), "--set: ", "--set KEY=VALUE, inside the search space: lane."),
        ((Action.RETRAIN, {"lane.trainer.epochs": 400}), "lane.trainer.epochs: ", "lane.trainer.epochs 1 .. 40"),
        ((Action.REJECT, {"reason": "0.3 is low"}), "--reason: ", "cite them by name"),
    ):
        action, more = said
        more = more if "reason" in more else {"overrides": more}
        with pytest.raises(DecisionError) as caught:
            decided(Verdict.FAIL, action, **more)
        assert f"\n  {option}" in str(caught.value)
        assert hint in caught.value.hint
        assert caught.value.exit_code is ExitCode.USAGE


def test_a_retrain_says_what_changes():
    with pytest.raises(DecisionError, match="changes something"):
        decided(Verdict.FAIL, Action.RETRAIN)
    with pytest.raises(DecisionError, match=r"lies outside 1 \.\. 40"):
        decided(Verdict.FAIL, Action.RETRAIN, overrides={"lane.trainer.epochs": 400})


@pytest.mark.parametrize("by", ["dir_models", "Ops Commander", "claude", "rules", "", "\u200b"])
def test_an_agent_is_no_person(by):
    with pytest.raises(UsageError):
        decided(Verdict.FAIL, Action.REJECT, by=by)


def test_nobody_said_anything_yet():
    with pytest.raises(NoDecisionError) as caught:
        Person("dir_models", None).decide(shown(Verdict.FAIL))
    assert [(step.policy, step.outcome) for step in caught.value.trail] == [("person", Outcome.WAITING)]
    assert "interlock decide 0123456789abcdef --as NAME" in str(caught.value)
    assert "open are escalate, reject, retrain" in str(caught.value)


def test_who_says_it_and_what_is_said_identify_it():
    said = [
        decided(Verdict.FAIL, Action.REJECT),
        decided(Verdict.FAIL, Action.REJECT, by="Bob"),
        decided(Verdict.FAIL, Action.REJECT, reason="no"),
        decided(Verdict.FAIL, Action.ESCALATE),
    ]
    assert len({made.decision_id for made in said}) == 4
    assert decided(Verdict.FAIL, Action.REJECT) == said[0]
