"""The rules about a release: what they can never do, and what they do for each verdict."""

import pytest
from decision_worlds import context, row
from hypothesis import given
from hypothesis import strategies as st

from interlock.contracts.decision import MOVES_FORWARD, Action
from interlock.contracts.verdict import Cause, Verdict
from interlock.decisions.actions import RELEASE_ACTIONS, decision_faults
from interlock.decisions.evidence import render
from interlock.decisions.rules.by_kind import decide
from interlock.decisions.rules.release import FAILED
from interlock.errors import DecisionError

NAMES = ("r_at_5", "integration.schema", "integration.serialisation", "production.difference", "integration.risk")


def release(*rows, live=False, **changes):
    made = context(*rows, kind="release", space={}, current={}, **changes)
    return made if live else closed(made, Action.ROLLBACK)


def closed(made, *actions):
    return made.model_copy(update={"allowed": tuple(item for item in made.allowed if item not in actions)})


def said(decision, kind="reasons"):
    return [render(item.text, decision.evidence) for item in getattr(decision, kind)]


@st.composite
def rows(draw):
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    found = []
    for name in names:
        verdict = draw(st.sampled_from(Verdict))
        severity = draw(st.sampled_from(["block", "advise", "halt"]))
        cause = draw(st.sampled_from(Cause)) if verdict is Verdict.BLOCKED else None
        found.append(row(name, verdict, severity=severity, cause=cause))
    return found


@given(rows(), st.booleans(), st.sets(st.sampled_from(Action)))
def test_nothing_but_a_pass_goes_and_every_choice_is_open(found, live, withheld):
    made = closed(release(*found, live=live), *withheld)
    try:
        decision = decide(made)
    except DecisionError:
        return
    assert list(decision_faults(decision, made)) == []
    assert decision.action in RELEASE_ACTIONS[made.verdict] - withheld
    assert made.verdict is Verdict.PASS or decision.action not in MOVES_FORWARD


@pytest.mark.parametrize(
    ("verdict", "action"),
    [
        (Verdict.PASS, Action.GO),
        (Verdict.INCONCLUSIVE, Action.SHADOW_ONLY),
        (Verdict.BLOCKED, Action.PAUSE_AND_FIX),
        (Verdict.FAIL, Action.PAUSE_AND_FIX),
    ],
)
def test_each_verdict_has_its_action(verdict, action):
    assert decide(release(row("r_at_5", verdict))).action is action


def test_a_pass_where_going_is_not_open_is_shadow_only():
    made = decide(closed(release(row("r_at_5", Verdict.PASS)), Action.GO))
    assert made.action is Action.SHADOW_ONLY
    assert said(made) == ["r_at_5 0.300 against 0.500, n=200: it holds, and going live is not open here"]


@pytest.mark.parametrize(
    ("gate", "action"),
    [
        ("integration.serialisation", Action.REJECT),
        ("integration.schema", Action.REJECT),
        ("production.difference", Action.REJECT),
        ("integration.regression.mrr", Action.REJECT),
        ("integration.risk", Action.PAUSE_AND_FIX),
        ("slo.error_rate", Action.PAUSE_AND_FIX),
        ("r_at_5", Action.PAUSE_AND_FIX),
    ],
)
def test_a_fail_goes_by_the_table(gate, action):
    made = decide(release(row("r_at_5", Verdict.FAIL, gate=gate)))
    assert made.action is action
    assert FAILED[-1][0] == "*"  # every fail has a line


def test_the_worst_failed_gate_decides_and_the_others_are_risks():
    made = decide(release(row("r_at_5"), row("integration.schema")))
    assert made.action is Action.REJECT
    assert said(made)[0].endswith("would break")
    assert said(made, "risks") == ["r_at_5 0.300 against 0.500, n=200"]


def test_what_answers_live_requests_is_rolled_back():
    made = decide(release(row("integration.schema"), live=True))
    assert made.action is Action.ROLLBACK
    assert said(made) == [
        "integration.schema 0.300 against 0.500, n=200: it answers live requests now, so the version before comes back"
    ]


def test_advice_that_does_not_pass_is_told_as_a_risk():
    made = decide(release(row("r_at_5", Verdict.PASS), row("resources", Verdict.INCONCLUSIVE, severity="advise")))
    assert made.action is Action.GO
    assert said(made, "risks") == ["resources 0.300 against 0.500, n=200: advisory"]


def test_a_context_without_deciding_rows_is_blocked_and_gives_no_action():
    with pytest.raises(DecisionError, match="nothing that the rules would choose is open"):
        decide(release(row("r_at_5", Verdict.PASS, severity="advise")))
