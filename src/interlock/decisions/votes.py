"""How the votes of a quorum fold into one recommendation. Pure, and a table; the first line that applies decides.

    ROLLBACK        a majority of the votes that count says so
    REJECT          anybody rejects it (a veto), or wants the version before back without a majority for that
    GO              the verdict passes, every member has weighed in on gates of its own that pass, and a majority of the
                    votes that count says GO, at least one of them not the chair's
    PAUSE_AND_FIX   a member has not weighed in, or gates fail or are blocked
    the most cautious vote; SHADOW_ONLY where gates are inconclusive, or all say GO and it is not enough

What is not open after the verdict gives way to the next more cautious action, and where there is none to the most
cautious one below it; never to GO. Votes that rest on the same evidence count once: the same facts cited, or the same
facts seen. Of such votes the most cautious counts, then the chair's, so the order in which votes come in changes
nothing, and a second GO on the same facts adds nothing. A PAUSE_AND_FIX is no veto: a majority may go on beside it, and
it stands among the risks.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from interlock.contracts.agent import QuorumPolicy
from interlock.contracts.decision import Action, Vote
from interlock.contracts.verdict import Verdict, worst

CAUTION = (Action.GO, Action.SHADOW_ONLY, Action.PAUSE_AND_FIX, Action.REJECT, Action.ROLLBACK)
"""From the boldest to the most cautious."""


class Why(StrEnum):
    """Why the votes came to what they came to; sentences without numerals, for the decision's text."""

    GO = "a majority votes to go on evidence of its own, the chair does not stand alone, and nobody rejects it"
    VETO = "a member rejects it, and that is a veto"
    ROLLBACK = "a majority votes to bring the version before back"
    NOT_HEARD = "not every member has weighed in on gates of its own"
    NOT_PASSED = "not all gates pass, so the most cautious vote decides"
    SAME_EVIDENCE = "votes to go rest on the same evidence, so they count once and are no majority"
    NO_MAJORITY = "there is no majority to go, so the most cautious vote decides"
    NOT_OPEN = "what the votes support is not open, so the nearest cautious action is taken"


@dataclass(frozen=True, kw_only=True)
class Ballot:
    """A vote with what it rests on."""

    vote: Vote
    cited: frozenset[str]
    """Pointers of the facts that its reasons cite."""
    seen: frozenset[str]
    """Pointers of all facts that it was shown."""


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What the votes came to."""

    action: Action | None
    """None where nobody voted, or nothing but GO is open."""
    why: Why
    votes: tuple[Vote, ...]
    """In the members' order, each with whether it counts."""


def fold_votes(
    ballots: Iterable[Ballot], quorum: QuorumPolicy, *, verdict: Verdict, allowed: Collection[Action]
) -> Tally:
    """Fold the votes; those of nobody's member are passed over, and who votes twice has not weighed in.

    Args:
        ballots: In any order.
        quorum: Members, chair, and how many GO votes are needed.
        verdict: Of all gates together.
        allowed: Actions open after it.
    """
    votes = _counted([ballot for ballot in ballots if ballot.vote.agent in quorum.members], quorum)
    if not votes:
        return Tally(action=None, why=Why.NOT_HEARD, votes=())
    wanted, why = _wanted(votes, quorum, verdict)
    action = wanted if wanted in allowed else _nearest(wanted, allowed)
    return Tally(action=action, why=why if action is wanted else Why.NOT_OPEN, votes=votes)


def _wanted(votes: Sequence[Vote], quorum: QuorumPolicy, verdict: Verdict) -> tuple[Action, Why]:
    said = {vote.action for vote in votes}
    if _is_majority(votes, Action.ROLLBACK, quorum):
        return Action.ROLLBACK, Why.ROLLBACK
    if said & {Action.REJECT, Action.ROLLBACK}:
        return Action.REJECT, Why.VETO
    if sorted(vote.agent for vote in votes) != sorted(quorum.members):
        return Action.PAUSE_AND_FIX, Why.NOT_HEARD
    seen = worst((verdict, *(vote.verdict for vote in votes)))
    if seen is not Verdict.PASS:
        at_least = Action.SHADOW_ONLY if seen is Verdict.INCONCLUSIVE else Action.PAUSE_AND_FIX
        return _most_cautious(votes, at_least), Why.NOT_PASSED
    if _is_majority(votes, Action.GO, quorum):
        return Action.GO, Why.GO
    why = Why.SAME_EVIDENCE if said == {Action.GO} else Why.NO_MAJORITY
    return _most_cautious(votes, Action.SHADOW_ONLY), why


def _is_majority(votes: Sequence[Vote], action: Action, quorum: QuorumPolicy) -> bool:
    """Whether enough votes that count say so, the chair's not alone."""
    voters = {vote.agent for vote in votes if vote.counts and vote.action is action}
    return len(voters) >= quorum.go_min and bool(voters - {quorum.chair})


def _most_cautious(votes: Iterable[Vote], at_least: Action) -> Action:
    return max((at_least, *(CAUTION[_caution(vote.action)] for vote in votes)), key=_caution)


def _caution(action: Action) -> int:
    """Place in the table; what is no recommendation on a release is as cautious as a pause."""
    return CAUTION.index(action if action in CAUTION else Action.PAUSE_AND_FIX)


def _nearest(wanted: Action, allowed: Collection[Action]) -> Action | None:
    """The next more cautious open action, else the most cautious one below; GO and a rollback want their own votes."""
    steps = [action for action in CAUTION if action not in (Action.GO, Action.ROLLBACK) and action in allowed]
    bolder = [action for action in steps if _caution(action) < _caution(wanted)]
    return next((action for action in steps if action not in bolder), bolder[-1] if bolder else None)


def _counted(ballots: Sequence[Ballot], quorum: QuorumPolicy) -> tuple[Vote, ...]:
    """The votes in the members' order; of each group on the same evidence one counts."""
    place = {member: index for index, member in enumerate(quorum.members)}
    ordered = sorted(ballots, key=lambda item: (place[item.vote.agent], -_caution(item.vote.action)))
    chosen = {id(min(group, key=lambda item: _rank(item, quorum))) for group in _groups(ordered)}
    return tuple(item.vote.model_copy(update={"counts": id(item) in chosen and bool(item.cited)}) for item in ordered)


def _rank(ballot: Ballot, quorum: QuorumPolicy) -> tuple[int, bool, str]:
    vote = ballot.vote
    return -_caution(vote.action), vote.agent != quorum.chair, vote.agent


def _groups(ballots: Iterable[Ballot]) -> list[list[Ballot]]:
    """Votes that share what they cite or what they saw, directly or through another one."""
    groups: list[list[Ballot]] = []
    for ballot in ballots:
        same = [group for group in groups if any(_same_evidence(ballot, other) for other in group)]
        groups = [group for group in groups if group not in same]
        groups.append([ballot, *(other for group in same for other in group)])
    return groups


def _same_evidence(one: Ballot, other: Ballot) -> bool:
    return one.cited == other.cited or one.seen == other.seen
