"""What follows from a decision: ceilings and strikes stop what the decision asks for, and nothing makes more of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.contracts.answer import Usage
from interlock.contracts.decision import Action
from interlock.contracts.drive import DrivenDecision
from interlock.contracts.experiment import Budget
from interlock.contracts.verdict import Verdict
from interlock.errors import ProvenanceError
from interlock.runs.drive.following import Facts, follow, over_ceiling
from interlock.runs.drive.states import DriveEvent


def decision(action, **changes):
    values = {
        "decision_id": "0" * 64, "action": action, "policy": "rules", "reasons": ("accuracy 0.1 < 0.8",),
        "confidence": "low",
    }  # fmt: skip
    return DrivenDecision(**values | changes)


def facts(**changes):
    values = {
        "verdict": Verdict.FAIL, "attempt": 1, "attempts_max": 4, "by_person": True, "is_repaired": False,
        "training_failures": 0, "gate_failures": 1, "may_train": True, "may_try_gates": True,
    }  # fmt: skip
    return Facts(**values | changes)


def test_each_action_leads_somewhere():
    events = {
        Action.RETRAIN: DriveEvent.RETRAIN,
        Action.REPAIR: DriveEvent.REPAIR,
        Action.GATHER_MORE: DriveEvent.STOPPED,
        Action.REJECT: DriveEvent.STOPPED,
        Action.ESCALATE: DriveEvent.ASKED,
    }
    assert {action: follow(decision(action), facts()).event for action in events} == events
    passed = facts(verdict=Verdict.PASS)
    assert follow(decision(Action.ACCEPT), passed).event is DriveEvent.ACCEPTED


@given(st.builds(facts, verdict=st.sampled_from(list(Verdict)), may_train=st.booleans()), st.sampled_from(list(Action)))
def test_only_an_accepted_pass_ends_well(known, action):
    try:
        following = follow(decision(action), known)
    except ProvenanceError:
        return
    is_accepted = following.event is DriveEvent.ACCEPTED
    assert is_accepted == (action is Action.ACCEPT and known.verdict is Verdict.PASS)


@pytest.mark.parametrize("action", [Action.GO, Action.ROLLBACK, Action.WAIVE, Action.SHADOW_ONLY])
def test_actions_of_others_are_refused(action):
    with pytest.raises(ProvenanceError):
        follow(decision(action), facts(verdict=Verdict.PASS))


@pytest.mark.parametrize(
    ("known", "event", "says"),
    [
        ({"attempt": 4}, DriveEvent.ASKED, "attempt 4 of 4"),
        ({"attempt": 3}, DriveEvent.RETRAIN, ""),
        ({"may_try_gates": False, "by_person": False, "gate_failures": 2}, DriveEvent.ASKED, "2 runs"),
        ({"may_try_gates": False, "by_person": True}, DriveEvent.RETRAIN, ""),
        ({"may_train": False, "training_failures": 3}, DriveEvent.STOPPED, "3 trainings"),
        ({"over": "language models used 2 of budget.usd=2"}, DriveEvent.STOPPED, "budget.usd=2"),
    ],
)
def test_ceilings_and_strikes_stop_a_retrain(known, event, says):
    following = follow(decision(Action.RETRAIN), facts(**known))
    assert following.event is event
    assert says in following.why


def test_a_person_who_decides_goes_beyond_the_attempts_but_not_beyond_the_strikes():
    said = decision(Action.RETRAIN, policy="person")
    assert follow(said, facts(attempt=4, may_try_gates=False, by_person=False)).event is DriveEvent.RETRAIN
    assert follow(said, facts(attempt=4, may_train=False)).event is DriveEvent.STOPPED


def test_a_repair_is_tried_once():
    assert follow(decision(Action.REPAIR), facts(is_repaired=True)).event is DriveEvent.ASKED


@pytest.mark.parametrize(
    ("budget", "usage", "refused", "says"),
    [
        ({}, Usage(calls=9, usd=9.0), False, ""),
        ({"usd": 2.0}, Usage(calls=1, usd=1.99), False, ""),
        ({"usd": 2.0}, Usage(calls=1, usd=2.0), False, "budget.usd=2"),
        ({"calls": 3}, Usage(calls=3), False, "budget.calls=3"),
        ({"tokens": 100}, Usage(calls=1, tokens_in=90, tokens_out=10), False, "budget.tokens=100"),
        ({"seconds": 5.0}, Usage(calls=1, seconds=5.5), False, "budget.seconds=5"),
        ({"usd": 0.0}, Usage(), True, ""),
        ({"usd": 2.0}, Usage(calls=1, usd=1.99), True, "one more question"),
    ],
)
def test_ceilings_of_the_whole_drive(budget, usage, refused, says):
    ceilings = Budget(compute_hours_max=1.0, **budget)
    told = over_ceiling(ceilings, usage=usage, refused=refused, compute_hours=0.5)
    assert (says in told) if says else told == ""


def test_the_ceiling_on_compute_counts_all_attempts():
    assert "compute_hours_max=1" in over_ceiling(
        Budget(compute_hours_max=1.0), usage=Usage(), refused=False, compute_hours=1.0
    )
