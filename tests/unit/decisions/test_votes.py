"""Folding votes: what can never become a GO, and what each mixture comes to."""

import itertools

import pytest
from decision_worlds import EXECUTIVES
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.contracts.agent import QuorumPolicy
from interlock.contracts.decision import Action, Statement, Vote
from interlock.contracts.verdict import Verdict
from interlock.decisions.actions import RELEASE_ACTIONS
from interlock.decisions.evidence import statement_faults
from interlock.decisions.votes import CAUTION, Ballot, Why, fold_votes

INFRA, SAFETY, CHAIR = EXECUTIVES
QUORUM = QuorumPolicy(kind="quorum", members=EXECUTIVES, chair=CHAIR)
GO, SHADOW, PAUSE, REJECT, ROLLBACK = CAUTION


def ballot(agent, action, *, verdict=Verdict.PASS, cited=None, seen=None):
    return Ballot(
        vote=Vote(
            agent=agent,
            action=action,
            verdict=verdict,
            reasons=(Statement(text="so", evidence=("e",)),),
            confidence="high",
            policy="rules",
        ),
        cited=frozenset({agent} if cited is None else cited),
        seen=frozenset({agent, "own"} if seen is None else seen) | ({agent} if seen is None else set()),
    )


def folded(*actions, verdict=Verdict.PASS, allowed=None, **changes):
    ballots = [ballot(name, action, **changes) for name, action in zip(EXECUTIVES, actions, strict=False)]
    open_here = RELEASE_ACTIONS[verdict] if allowed is None else allowed
    return fold_votes(ballots, QUORUM, verdict=verdict, allowed=open_here)


@pytest.mark.parametrize(
    ("said", "action", "why"),
    [
        ((GO, GO, GO), GO, Why.GO),
        ((GO, SHADOW, GO), GO, Why.GO),
        ((GO, GO, PAUSE), GO, Why.GO),
        ((GO, GO, REJECT), REJECT, Why.VETO),
        ((REJECT, GO, GO), REJECT, Why.VETO),
        ((GO, SHADOW, SHADOW), SHADOW, Why.NO_MAJORITY),
        ((SHADOW, SHADOW, GO), SHADOW, Why.NO_MAJORITY),
        ((GO, PAUSE, SHADOW), PAUSE, Why.NO_MAJORITY),
        ((GO, GO), PAUSE, Why.NOT_HEARD),
        ((GO, REJECT), REJECT, Why.VETO),
        ((GO, GO, Action.ACCEPT), GO, Why.GO),
        ((GO, SHADOW, Action.ESCALATE), PAUSE, Why.NO_MAJORITY),
        ((GO, GO, ROLLBACK), REJECT, Why.VETO),  # nobody may bring a version back before it went live
    ],
)
def test_after_a_pass(said, action, why):
    tally = folded(*said)
    assert (tally.action, tally.why) == (action, why)


@pytest.mark.parametrize(
    ("verdict", "said", "action"),
    [
        (Verdict.INCONCLUSIVE, (SHADOW, SHADOW, SHADOW), SHADOW),
        (Verdict.INCONCLUSIVE, (GO, GO, GO), SHADOW),
        (Verdict.INCONCLUSIVE, (SHADOW, PAUSE, SHADOW), PAUSE),
        (Verdict.FAIL, (ROLLBACK, ROLLBACK, PAUSE), ROLLBACK),
        (Verdict.FAIL, (ROLLBACK, ROLLBACK, REJECT), ROLLBACK),
        (Verdict.FAIL, (ROLLBACK, PAUSE, PAUSE), REJECT),
        (Verdict.FAIL, (PAUSE, PAUSE, PAUSE), PAUSE),
        (Verdict.FAIL, (GO, GO, GO), PAUSE),
        (Verdict.BLOCKED, (PAUSE, PAUSE, GO), PAUSE),
        (Verdict.BLOCKED, (ROLLBACK, ROLLBACK, ROLLBACK), REJECT),
    ],
)
def test_after_anything_else(verdict, said, action):
    assert folded(*said, verdict=verdict).action is action


def test_a_member_whose_gates_do_not_pass_keeps_everybody():
    ballots = [ballot(INFRA, GO), ballot(SAFETY, GO), ballot(CHAIR, GO, verdict=Verdict.BLOCKED)]
    tally = fold_votes(ballots, QUORUM, verdict=Verdict.PASS, allowed=tuple(Action))
    assert (tally.action, tally.why) == (PAUSE, Why.NOT_PASSED)


@pytest.mark.parametrize(
    "ballots",
    [
        (ballot(INFRA, GO, cited={"x"}), ballot(SAFETY, GO, cited={"x"}), ballot(CHAIR, SHADOW)),
        (ballot(INFRA, GO, seen={"x"}), ballot(SAFETY, GO, seen={"x"}), ballot(CHAIR, SHADOW)),
        (ballot(INFRA, GO, cited={"x"}), ballot(SAFETY, GO, cited={"x"}), ballot(CHAIR, GO, cited={"x"})),
        # the first two saw the same, the last two cite the same
        (ballot(INFRA, GO, seen={"x"}), ballot(SAFETY, GO, seen={"x"}, cited={"y"}), ballot(CHAIR, GO, cited={"y"})),
    ],
    ids=["cited", "seen", "unanimous", "through another"],
)
def test_votes_on_the_same_evidence_count_once(ballots):
    for order in itertools.permutations(ballots):
        tally = fold_votes(order, QUORUM, verdict=Verdict.PASS, allowed=tuple(Action))
        assert tally.action is SHADOW
        assert [vote.counts for vote in tally.votes].count(False) >= 1


def test_a_vote_on_nothing_does_not_count():
    ballots = [ballot(INFRA, GO, cited=()), ballot(SAFETY, SHADOW), ballot(CHAIR, GO)]
    tally = fold_votes(ballots, QUORUM, verdict=Verdict.PASS, allowed=tuple(Action))
    assert (tally.action, [vote.counts for vote in tally.votes]) == (SHADOW, [False, True, True])


def test_of_the_same_evidence_the_most_cautious_vote_counts():
    ballots = [ballot(INFRA, GO, cited={"x"}), ballot(SAFETY, PAUSE, cited={"x"}), ballot(CHAIR, GO)]
    tally = fold_votes(ballots, QUORUM, verdict=Verdict.PASS, allowed=tuple(Action))
    assert {vote.agent: vote.counts for vote in tally.votes} == {INFRA: False, SAFETY: True, CHAIR: True}
    assert tally.action is PAUSE


def test_the_chair_stands_for_who_saw_the_same():
    """Were the other's vote the one that counts, a GO could rest on the chair's evidence alone."""
    ballots = [ballot(INFRA, GO, cited={"x"}), ballot(SAFETY, SHADOW), ballot(CHAIR, GO, cited={"x"})]
    tally = fold_votes(ballots, QUORUM, verdict=Verdict.PASS, allowed=tuple(Action))
    assert [vote.agent for vote in tally.votes if vote.counts] == [SAFETY, CHAIR]
    assert tally.action is SHADOW


def test_what_is_not_open_gives_way_to_caution_and_never_to_go():
    assert folded(GO, GO, GO, allowed=(SHADOW, REJECT)).action is SHADOW
    assert folded(GO, GO, GO, allowed=(REJECT,)).action is REJECT
    assert folded(GO, SHADOW, SHADOW, allowed=(GO,)).action is None
    assert folded(GO, GO, REJECT, allowed=(GO, SHADOW, PAUSE)).action is PAUSE
    assert folded(GO, PAUSE, PAUSE, allowed=(GO, ROLLBACK)).action is None
    assert folded(allowed=tuple(Action)).action is None


def test_who_votes_twice_or_is_no_member_is_not_heard():
    twice = [ballot(INFRA, GO), ballot(SAFETY, GO), ballot(SAFETY, GO, cited={"other"}, seen={"other"})]
    tally = fold_votes([*twice, ballot(CHAIR, GO)], QUORUM, verdict=Verdict.PASS, allowed=tuple(Action))
    assert (tally.action, tally.why) == (PAUSE, Why.NOT_HEARD)
    stranger = [ballot(INFRA, GO), ballot(SAFETY, GO), ballot("stranger", GO)]
    tally = fold_votes(stranger, QUORUM, verdict=Verdict.PASS, allowed=tuple(Action))
    assert (tally.action, [vote.agent for vote in tally.votes]) == (PAUSE, [INFRA, SAFETY])


def test_the_sentences_have_no_numerals():
    for why in Why:
        assert not list(statement_faults(Statement(text=why, evidence=("e",)), [], key="k"))[1:]


BALLOTS = st.lists(
    st.builds(
        ballot,
        st.sampled_from([*EXECUTIVES, "stranger"]),
        st.sampled_from([*CAUTION, GO, GO, GO, Action.ACCEPT]),
        verdict=st.sampled_from([*Verdict, Verdict.PASS, Verdict.PASS]),
        cited=st.frozensets(st.sampled_from("abc")),
        seen=st.frozensets(st.sampled_from("abcd"), min_size=1),
    ),
    max_size=5,
)


@settings(max_examples=400, deadline=None)
@given(BALLOTS, st.sampled_from([*Verdict, Verdict.PASS]), st.sets(st.sampled_from(Action)), st.randoms())
def test_a_go_is_earned(ballots, verdict, allowed, random):
    tally = fold_votes(ballots, QUORUM, verdict=verdict, allowed=allowed)
    shuffled = list(ballots)
    random.shuffle(shuffled)
    other = fold_votes(shuffled, QUORUM, verdict=verdict, allowed=allowed)
    assert (other.action, other.why) == (tally.action, tally.why)
    assert tally.action is None or tally.action in allowed
    voted = [item for item in ballots if item.vote.agent in EXECUTIVES]
    if tally.action is ROLLBACK:
        assert sum(item.vote.action is ROLLBACK for item in voted) >= 2
    if tally.action is not GO:
        return
    assert verdict is Verdict.PASS
    assert sorted(item.vote.agent for item in voted) == sorted(EXECUTIVES)
    assert all(item.vote.verdict is Verdict.PASS for item in voted)
    assert not any(item.vote.action in (REJECT, ROLLBACK) for item in voted)
    goes = [item for item in voted if item.vote.action is GO]
    assert {item.vote.agent for item in goes} - {CHAIR}
    assert len({item.cited for item in goes if item.cited}) >= 2
    assert len({item.seen for item in goes}) >= 2


@settings(max_examples=150, deadline=None)
@given(BALLOTS, st.sampled_from(CAUTION[1:4]), st.integers(0, 2))
def test_a_more_cautious_vote_never_makes_it_bolder(ballots, action, index):
    """Changing any one vote to a more cautious one gives the same or something more cautious."""
    if index >= len(ballots) or CAUTION.index(action) < CAUTION.index(_known(ballots[index].vote.action)):
        return
    before = fold_votes(ballots, QUORUM, verdict=Verdict.PASS, allowed=CAUTION[:4]).action
    changed = [*ballots]
    vote = ballots[index].vote.model_copy(update={"action": action})
    changed[index] = Ballot(vote=vote, cited=ballots[index].cited, seen=ballots[index].seen)
    after = fold_votes(changed, QUORUM, verdict=Verdict.PASS, allowed=CAUTION[:4]).action
    if before is not None and after is not None:
        assert CAUTION.index(after) >= CAUTION.index(before)


def _known(action):
    return action if action in CAUTION else PAUSE
