"""The rules about a job: never more than its directors chose, and what each mixture of lanes comes to."""

import pytest
from decision_worlds import context, row
from hypothesis import given
from hypothesis import strategies as st

from interlock.contracts.decision import MOVES_FORWARD, Action
from interlock.contracts.verdict import Cause, Verdict
from interlock.decisions.actions import JOB_ACTIONS, LANE_ACTIONS, decision_faults
from interlock.decisions.evidence import render
from interlock.decisions.rules.by_kind import decide

PASS, FAIL, BLOCKED, OPEN = Verdict.PASS, Verdict.FAIL, Verdict.BLOCKED, Verdict.INCONCLUSIVE


def job(*lanes):
    """A job of lanes `(name, verdict, what its director chose[, cause])`."""
    rows = [row(name, verdict, cause=(more or [None])[0]) for name, verdict, _, *more in lanes]
    facts = {f"lane.{name}.action": action for name, _, action, *_ in lanes}
    return context(*rows, kind="job", facts=facts, space={}, current={}, run_id="", lane="", job="job-1")


@pytest.mark.parametrize(
    ("lanes", "action"),
    [
        ([("a", PASS, "accept"), ("b", PASS, "accept")], Action.ACCEPT),
        ([("a", PASS, "accept"), ("b", FAIL, "retrain")], Action.RETRAIN),
        ([("a", FAIL, "retrain"), ("b", FAIL, "escalate")], Action.ESCALATE),
        ([("a", FAIL, "reject"), ("b", PASS, "accept")], Action.ESCALATE),
        ([("a", OPEN, "gather_more"), ("b", PASS, "accept")], Action.GATHER_MORE),
        ([("a", OPEN, "gather_more"), ("b", OPEN, "retrain")], Action.RETRAIN),
        ([("a", OPEN, "escalate")], Action.ESCALATE),
        ([("a", OPEN, "gather_more"), ("b", FAIL, "retrain")], Action.RETRAIN),
        ([("a", BLOCKED, "", Cause.MISSING), ("b", PASS, "accept")], Action.REPAIR),
        ([("a", BLOCKED, "escalate", Cause.TOO_FEW), ("b", BLOCKED, "", Cause.MISSING)], Action.ESCALATE),
        ([("a", FAIL, "retrain"), ("b", BLOCKED, "", Cause.MISSING)], Action.RETRAIN),
    ],
)
def test_each_mixture_has_its_action(lanes, action):
    assert decide(job(*lanes)).action is action


@given(
    st.lists(
        st.tuples(st.sampled_from(Verdict), st.sampled_from(Action), st.sampled_from(Cause)), min_size=1, max_size=4
    )
)
def test_nothing_but_a_pass_is_accepted_and_every_choice_is_open(found):
    lanes = [
        (f"lane{i}", verdict, str(action), *([cause] if verdict is BLOCKED else []))
        for i, (verdict, action, cause) in enumerate(found)
    ]
    made = job(*lanes)
    decision = decide(made)
    assert list(decision_faults(decision, made)) == []
    assert decision.action in JOB_ACTIONS[made.verdict]
    assert made.verdict is PASS or decision.action not in MOVES_FORWARD
    assert Action.WAIVE not in JOB_ACTIONS[made.verdict]
    assert JOB_ACTIONS[made.verdict] <= LANE_ACTIONS[made.verdict]


def test_a_retrain_cites_what_the_director_chose_and_tells_of_the_others():
    decision = decide(job(("a", FAIL, "retrain"), ("b", OPEN, "gather_more")))
    told = [render(item.text, decision.evidence) for item in (*decision.reasons, *decision.risks)]
    assert told == ["a 0.300 against 0.500, n=200: its director chose to retrain", "b 0.300 against 0.500, n=200"]
    assert decision.proposed_overrides == {}


def test_a_lane_without_a_decision_is_no_reason_to_go_on():
    made = job(("a", FAIL, "retrain"))
    without = made.model_copy(update={"evidence": tuple(e for e in made.evidence if e.id != "lane.a.action")})
    assert decide(without).action is Action.ESCALATE
