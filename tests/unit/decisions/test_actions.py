"""The tables of actions, and a guard that only narrows."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from interlock.contracts.decision import Action, Decision, DecisionContext, Evidence, Statement
from interlock.contracts.lane import Range
from interlock.contracts.verdict import Cause, GateResult, Verdict
from interlock.decisions.actions import ACTIONS, JOB_ACTIONS, LANE_ACTIONS, RELEASE_ACTIONS, allowed_actions, guard
from interlock.errors import DecisionError

SHA = "d" * 64
SPACE = {"lane.optimizer.lr": Range(low=1e-5, high=1e-1, scale="log")}
FACT = Evidence(id="gate.g.reason", value="g 0.300 < 0.500", pointer="judgement.json#/rows/0/reason")


def context(verdict, **changes):
    row = GateResult(
        gate="g",
        metric="m",
        severity="block",
        verdict=verdict,
        observed=0.3,
        target=0.5,
        bound=None,
        comparison=">=",
        unit="ratio",
        n=10,
        method="wilson",
        reason="r",
        evidence="e",
        cause=Cause.MISSING if verdict is Verdict.BLOCKED else None,
    )
    fields = {
        "agent": "a",
        "run_id": "r",
        "judgement_id": SHA,
        "lane": "l",
        "verdict": verdict,
        "rows": (row,),
        "evidence": (FACT,),
        "current": {"lane.optimizer.lr": 0.01},
        "search_space": SPACE,
        "attempts": 1,
        "max_attempts": 2,
        "allowed": tuple(Action),
    }
    return DecisionContext(**(fields | changes))


def decision(verdict, action, **changes):
    fields = {
        "agent": "a",
        "decision_id": SHA,
        "judgement_id": SHA,
        "run_id": "r",
        "lane": "l",
        "verdict": verdict,
        "action": action,
        "reasons": (Statement(text="because {gate.g.reason}", evidence=(FACT.id,)),),
        "confidence": "low",
        "policy": "rules",
        "proposed_overrides": {"lane.optimizer.lr": 0.001} if action is Action.RETRAIN else {},
        "evidence": (FACT,),
    }
    return Decision(**(fields | changes))


def test_lane_table_is_the_specification():
    assert {str(v): sorted(map(str, actions)) for v, actions in LANE_ACTIONS.items()} == {
        "pass": ["accept", "escalate"],
        "inconclusive": ["escalate", "gather_more", "retrain", "waive"],
        "fail": ["escalate", "reject", "retrain"],
        "blocked": ["escalate", "repair"],
    }


def test_release_table_is_the_specification():
    assert {str(v): sorted(map(str, actions)) for v, actions in RELEASE_ACTIONS.items()} == {
        "pass": ["go", "pause_and_fix", "reject", "shadow_only"],
        "inconclusive": ["pause_and_fix", "reject", "shadow_only"],
        "fail": ["pause_and_fix", "reject", "rollback"],
        "blocked": ["pause_and_fix", "reject"],
    }


def test_job_table_is_the_lanes_without_a_waiver():
    assert all(JOB_ACTIONS[verdict] == LANE_ACTIONS[verdict] - {Action.WAIVE} for verdict in Verdict)
    assert set(ACTIONS) == {"lane", "job", "release"}


@pytest.mark.parametrize("kind", ["lane", "job", "release"])
def test_nobody_but_a_person_may_waive_and_only_a_run(kind):
    for verdict in Verdict:
        assert Action.WAIVE not in allowed_actions(verdict, policy="llm", kind=kind)
        may = Action.WAIVE in allowed_actions(verdict, policy="person", kind=kind)
        assert may == (kind == "lane" and verdict is Verdict.INCONCLUSIVE)


def test_overrides_belong_to_a_retrain():
    said = decision(Verdict.FAIL, Action.REJECT).model_copy(update={"proposed_overrides": {"lane.optimizer.lr": 0.001}})
    with pytest.raises(DecisionError, match="belong to retrain, not to reject"):
        guard(said, context(Verdict.FAIL))


def test_only_a_pass_opens_the_way_forward():
    assert [v for v, actions in LANE_ACTIONS.items() if Action.ACCEPT in actions] == [Verdict.PASS]
    assert [v for v, actions in RELEASE_ACTIONS.items() if Action.GO in actions] == [Verdict.PASS]
    assert all(Action.ESCALATE in actions for actions in LANE_ACTIONS.values())


def test_the_tables_cannot_be_changed():
    with pytest.raises(TypeError):
        LANE_ACTIONS[Verdict.FAIL] = frozenset({Action.ACCEPT})


@pytest.mark.parametrize(
    ("verdict", "action", "policy"), list(itertools.product(Verdict, Action, ["rules", "llm", "person"]))
)
def test_guard_lets_through_exactly_the_table(verdict, action, policy):
    expected = action in LANE_ACTIONS[verdict] and (action is not Action.WAIVE or policy == "person")
    try:
        passed = guard(decision(verdict, action, policy=policy), context(verdict)) is not None
    except (DecisionError, ValidationError):
        passed = False
    assert passed is expected
    assert (action in allowed_actions(verdict, policy=policy)) is expected


def test_guard_holds_even_where_validation_was_bypassed():
    forged = decision(Verdict.FAIL, Action.ESCALATE).model_copy(update={"action": Action.ACCEPT})
    with pytest.raises(DecisionError, match="not allowed to rules after a verdict of fail"):
        guard(forged, context(Verdict.FAIL))
    claimed = forged.model_copy(update={"verdict": Verdict.PASS})
    with pytest.raises(DecisionError, match="is not the one decided upon"):
        guard(claimed, context(Verdict.FAIL))


def test_a_context_can_only_narrow():
    narrow = context(Verdict.FAIL, allowed=(Action.REJECT,))
    assert guard(decision(Verdict.FAIL, Action.REJECT), narrow)
    with pytest.raises(DecisionError, match=r"allowed: reject"):
        guard(decision(Verdict.FAIL, Action.ESCALATE), narrow)
    with pytest.raises(DecisionError, match="not allowed"):
        guard(decision(Verdict.FAIL, Action.REPAIR), context(Verdict.FAIL, allowed=(Action.REPAIR,)))


def test_every_fault_is_named_at_once():
    bad = decision(
        Verdict.FAIL,
        Action.RETRAIN,
        judgement_id="e" * 64,
        reasons=(Statement(text="9 of {gate.x.n}", evidence=("gate.y.n",)),),
        proposed_overrides={"lane.optimizer.lr": 5.0, "lane.optimizer.lrr": 0.01, "seed": 3},
    )
    with pytest.raises(DecisionError) as caught:
        guard(bad, context(Verdict.FAIL))
    text = str(caught.value)
    assert {fault.key for fault in caught.value.faults} == {
        "judgement_id",
        "lane.optimizer.lr",
        "lane.optimizer.lrr",
        "seed",
        "reasons.0.evidence",
        "reasons.0.text",
    }
    for words in (
        "lies outside 1e-05 .. 0.1",
        "did you mean: lane.optimizer.lr",
        "has numerals of its own",
        "{gate.x.n}",
    ):
        assert words in text


def test_a_retrain_without_a_change_is_refused():
    with pytest.raises(DecisionError, match="changes something"):
        guard(decision(Verdict.FAIL, Action.RETRAIN, proposed_overrides={}), context(Verdict.FAIL))


def test_invented_evidence_is_refused():
    made_up = Evidence(id=FACT.id, value="g 0.900 >= 0.500", pointer=FACT.pointer)
    with pytest.raises(DecisionError, match="not a fact of this context"):
        guard(decision(Verdict.FAIL, Action.ESCALATE, evidence=(made_up,)), context(Verdict.FAIL))


def test_a_context_cannot_claim_another_verdict_than_its_rows():
    for claimed in set(Verdict) - {Verdict.FAIL}:
        with pytest.raises(ValidationError, match="the rows fold to fail"):
            context(claimed, rows=context(Verdict.FAIL).rows)


@settings(max_examples=300)
@given(
    verdict=st.sampled_from(Verdict),
    claimed=st.sampled_from(Verdict),
    action=st.sampled_from(Action),
    text=st.text(min_size=1, max_size=60),
    cited=st.lists(st.sampled_from([FACT.id, "nothing"]), min_size=1, max_size=2),
    policy=st.text(min_size=1, max_size=8),
    overrides=st.dictionaries(st.sampled_from(["lane.optimizer.lr", "seed"]), st.floats() | st.integers(), max_size=2),
    allowed=st.lists(st.sampled_from(Action), max_size=7),
)
def test_adversarial_proposals_never_accept_anything_but_a_pass(
    verdict, claimed, action, text, cited, policy, overrides, allowed
):
    forged = Decision.model_construct(
        agent="a",
        decision_id=SHA,
        judgement_id=SHA,
        run_id="r",
        lane="l",
        verdict=claimed,
        action=action,
        policy=policy,
        confidence="high",
        reasons=(Statement(text=text, evidence=tuple(cited)),),
        proposed_overrides=overrides,
        risks=(),
        evidence=(FACT,),
    )
    try:
        guard(forged, context(verdict, allowed=tuple(allowed)))
    except DecisionError:
        return
    assert claimed is verdict
    assert action in LANE_ACTIONS[verdict]
    assert action in allowed
    assert (action is Action.ACCEPT) <= (verdict is Verdict.PASS)
    assert all(key == "lane.optimizer.lr" and 1e-5 <= value <= 1e-1 for key, value in overrides.items())
    assert not any(character.isnumeric() for character in text)
