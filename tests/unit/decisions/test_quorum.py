"""Members that vote on evidence of their own, through the real fold and the real guard."""

import pytest
from decision_worlds import EXECUTIVES, Raises, Says, context, go_votes, nothing, release, row

from interlock.contracts.agent import QuorumPolicy
from interlock.contracts.answer import Outcome
from interlock.contracts.decision import MOVES_FORWARD, Action, View
from interlock.contracts.verdict import Verdict
from interlock.decisions.actions import RELEASE_ACTIONS
from interlock.decisions.evidence import render
from interlock.decisions.guarded import Guard
from interlock.decisions.quorum import Quorum, seen_by
from interlock.errors import NoDecisionError, NotRecordedError

INFRA, SAFETY, CHAIR = EXECUTIVES
CONFIG = QuorumPolicy(kind="quorum", members=EXECUTIVES, chair=CHAIR)


def decided(shown=None, **members):
    return Quorum(CONFIG, go_votes() | members).decide(shown or release())


def test_three_votes_on_evidence_of_their_own_go():
    made = decided()
    assert (made.action, made.policy, made.agent) == (Action.GO, "quorum", "release_team")
    assert [(vote.agent, vote.action, vote.counts) for vote in made.votes] == [(m, Action.GO, True) for m in EXECUTIVES]
    assert {item.id for item in made.evidence} >= {reason.evidence[0] for reason in made.reasons}
    for statement in made.reasons:
        assert render(statement.text, made.evidence)


def test_each_member_sees_its_own_gates_and_facts_alone():
    shown = seen_by(release((Verdict.PASS, Verdict.FAIL, Verdict.PASS)), INFRA)
    assert (shown.agent, shown.verdict, [item.gate for item in shown.rows]) == (INFRA, Verdict.PASS, [INFRA])
    assert {item.id.split(".")[1] for item in shown.evidence} == {INFRA}
    assert set(shown.allowed) == RELEASE_ACTIONS[Verdict.PASS]  # it speaks of its own gates; the fold knows all
    failed = seen_by(release((Verdict.PASS, Verdict.FAIL, Verdict.PASS)), SAFETY)
    assert set(failed.allowed) == RELEASE_ACTIONS[Verdict.FAIL]
    unreleased = release((Verdict.PASS, Verdict.FAIL, Verdict.PASS), allowed=(Action.PAUSE_AND_FIX, Action.REJECT))
    assert Action.ROLLBACK not in seen_by(unreleased, SAFETY).allowed  # nothing of it is live
    assert shown.views == {}


@pytest.mark.parametrize(
    "view",
    [
        None,
        View(rows=(), evidence=("verdict",)),
        View(rows=("no_such_gate",), evidence=("verdict",)),
        View(rows=(CHAIR, "no_such_gate"), evidence=("verdict",)),
    ],
    ids=["missing", "no gates", "unknown gate", "one gate unknown"],
)
def test_a_member_without_gates_of_its_own_is_not_heard(view):
    views = {name: View(rows=(name,), evidence=()) for name in (INFRA, SAFETY)} | ({CHAIR: view} if view else {})
    made = decided(release(views=views))
    assert made.action is Action.PAUSE_AND_FIX
    assert [(step.agent, step.outcome) for step in made.trail] == [(CHAIR, Outcome.NOT_HEARD)]
    assert "not every member has weighed in" in made.reasons[0].text


def test_a_member_whose_gates_only_advise_cannot_say_go():
    rows = (row("a", Verdict.PASS), row("b", Verdict.PASS), row("c", Verdict.PASS, severity="advise"))
    views = {name: View(rows=(gate,), evidence=()) for name, gate in zip(EXECUTIVES, "abc", strict=True)}
    made = decided(context(*rows, kind="release", views=views))
    assert made.action is Action.PAUSE_AND_FIX
    assert [step.outcome for step in made.trail] == [Outcome.NOT_HEARD]  # its GO is outside of what is open to it


@pytest.mark.parametrize("member", EXECUTIVES)
def test_one_veto_and_one_silence_are_each_enough(member):
    assert decided(**{member: Says(Action.REJECT)}).action is Action.REJECT
    silent = decided(**{member: Raises(nothing(agent=member))})
    assert silent.action is Action.PAUSE_AND_FIX
    assert [step.outcome for step in silent.trail] == [Outcome.TIMEOUT, Outcome.NOT_HEARD]


def test_a_vote_outside_of_the_members_own_facts_is_not_heard():
    foreign = Says(Action.GO, cites=[f"gate.{SAFETY}.reason"])
    made = decided(**{INFRA: foreign, CHAIR: Says(Action.GO, text="it is 99 times better")})
    assert made.action is Action.PAUSE_AND_FIX
    assert [step.agent for step in made.trail] == [INFRA, CHAIR]
    assert "cites evidence that does not exist" in made.trail[0].told
    assert "numerals" in made.trail[1].told


def test_unanimous_votes_on_one_shared_fact_do_not_go():
    views = {name: View(rows=(name,), evidence=("verdict",)) for name in EXECUTIVES}
    made = decided(release(views=views), **{name: Says(Action.GO, cites=["verdict"]) for name in EXECUTIVES})
    assert made.action is Action.SHADOW_ONLY
    assert "the same evidence" in made.reasons[0].text
    assert [vote.counts for vote in made.votes] == [False, False, True]


def test_a_risk_on_another_fact_does_not_make_a_vote_rest_on_it():
    views = {name: View(rows=(name,), evidence=("verdict",)) for name in EXECUTIVES}
    members = {
        name: Says(Action.GO, cites=["verdict"], risks=["it may drift"], risks_cite=[f"gate.{name}.reason"])
        for name in EXECUTIVES
    }
    assert decided(release(views=views), **members).action is Action.SHADOW_ONLY


def test_unanimous_votes_of_members_that_see_the_same_do_not_go():
    everything = View(rows=EXECUTIVES, evidence=("verdict",))
    members = {name: Says(Action.GO, cites=[f"gate.{name}.reason"]) for name in EXECUTIVES}
    assert decided(release(views=dict.fromkeys(EXECUTIVES, everything)), **members).action is Action.SHADOW_ONLY


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.BLOCKED, Verdict.INCONCLUSIVE])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_no_unanimity_makes_anything_but_a_pass_go(verdict, place):
    verdicts = [Verdict.PASS] * 3
    verdicts[place] = verdict
    made = decided(release(verdicts))
    assert made.action is Action.PAUSE_AND_FIX
    assert [step.agent for step in made.trail] == [EXECUTIVES[place]]  # its GO is not open to it
    blind = View(rows=(EXECUTIVES[place - 1],), evidence=("verdict",))  # now nobody looks at the gate that fails
    views = release().views | {EXECUTIVES[place]: blind}
    assert decided(release(verdicts, views=views)).action in (Action.PAUSE_AND_FIX, Action.SHADOW_ONLY)


def test_dissent_stands_among_the_risks():
    made = decided(**{SAFETY: Says(Action.PAUSE_AND_FIX, text="the error rate drifts", risks=["it may get worse"])})
    assert (made.action, made.confidence) == (Action.GO, "high")
    assert [risk.text for risk in made.risks] == ["the error rate drifts", "it may get worse"]


def test_a_quorum_decides_upon_releases_alone():
    with pytest.raises(NoDecisionError, match="votes on releases, and this is a lane"):
        decided(context(row("r_at_5", Verdict.PASS)))


def test_who_asked_for_a_quorum_does_not_go_without_one():
    fallback = Says(Action.GO, policy="rules")
    silent = Quorum(CONFIG, {name: Raises(nothing()) for name in EXECUTIVES})
    assert Guard(silent, fallback).decide(release()).action is Action.GO  # so it would be without what follows
    with pytest.raises(NoDecisionError):
        Guard(silent, fallback, withheld=MOVES_FORWARD).decide(release())
    cautious = Guard(silent, Says(Action.SHADOW_ONLY, policy="rules"), withheld=MOVES_FORWARD).decide(release())
    assert (cautious.action, cautious.policy) == (Action.SHADOW_ONLY, "rules")
    assert "a member without a vote" in cautious.reasons[-1].text


def test_a_replay_that_lacks_a_members_answer_is_an_error():
    missing = nothing(Outcome.NOT_RECORDED, kind=NotRecordedError)
    with pytest.raises(NotRecordedError):
        decided(**{SAFETY: Raises(missing)})


def test_the_same_votes_make_the_same_decision_and_others_another():
    assert decided() == decided()
    assert decided().decision_id != decided(**{SAFETY: Says(Action.GO, text="all is well")}).decision_id
