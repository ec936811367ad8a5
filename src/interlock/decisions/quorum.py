"""A quorum: every member decides by its own policy on its own evidence, and the votes fold into one decision.

    Quorum(config, {"ops_commander": Guard(...), ...}).decide(context)

What a member sees is `context.views[member]`: the gates that it answers for with the verdict that they fold to, and the
facts that it may cite. A member whose view is missing, names a gate that was not judged, or holds no fact sees nothing
and is not heard. How votes fold stands in `interlock.decisions.votes`. Decides upon releases alone.
"""

from collections.abc import Iterator, Mapping, Sequence

from interlock.contracts.agent import QuorumPolicy
from interlock.contracts.answer import Outcome
from interlock.contracts.decision import Action, Decision, DecisionContext, Evidence, Statement, Step, View, Vote
from interlock.contracts.verdict import GateResult, fold
from interlock.decisions.actions import allowed_actions, guard
from interlock.decisions.evidence import evidence_id
from interlock.decisions.policy import Policy, answers_of, decided_upon, decision_id, no_decision, told_of
from interlock.decisions.votes import Ballot, Tally, fold_votes
from interlock.errors import DecisionError, NoDecisionError, NotRecordedError

QUORUM = "quorum"
"""Name of this policy in decisions."""
_SURENESS = ("low", "medium", "high")


class Quorum:
    """Several policies that vote."""

    def __init__(self, config: QuorumPolicy, members: Mapping[str, Policy]) -> None:
        """`members` holds the policy of each of `config.members`."""
        self._config, self._members = config, members

    def decide(self, context: DecisionContext) -> Decision:
        """What the votes come to.

        Raises NoDecisionError where nothing that they support is open and for anything but a release, NotRecordedError
        for a replay that lacks a member's answer.
        """
        if context.kind != "release":
            raise _none(context, [], told=f"a quorum votes on releases, and this is a {context.kind}")
        ballots: list[Ballot] = []
        trail: list[Step] = []
        decisions: list[str] = []
        for member in self._config.members:
            shown = seen_by(context, member)
            decision = self._ask(member, shown, trail)
            if shown is not None and decision is not None:
                ballots.append(_ballot(member, decision, shown))
                decisions.append(decision.decision_id)
        tally = fold_votes(ballots, self._config, verdict=context.verdict, allowed=context.allowed)
        if tally.action is None:
            raise _none(context, trail, told=tally.why)
        return _decision(context, tally, tally.action, trail=trail, decisions=decisions)

    def _ask(self, member: str, shown: DecisionContext | None, trail: list[Step]) -> Decision | None:
        """The member's decision inside what it sees, and in the trail how it came to it; None without one."""
        told = "it sees no gates and facts of its own"
        if shown is not None:
            try:
                decision = guard(self._members[member].decide(shown), shown)
            except NotRecordedError:
                raise
            except DecisionError as error:
                trail.extend(error.trail if isinstance(error, NoDecisionError) else ())
                told = told_of(error)
            else:
                trail.extend(decision.trail)
                return decision
        trail.append(Step(agent=member, policy=QUORUM, outcome=Outcome.NOT_HEARD, told=told))
        return None


def seen_by(context: DecisionContext, member: str) -> DecisionContext | None:
    """The narrower context of a member; None where it has no gates or no facts of its own."""
    view = context.views.get(member)
    if view is None or not view.rows or not set(view.rows) <= {row.gate for row in context.rows}:
        return None
    rows = tuple(row for row in context.rows if row.gate in view.rows)
    citable = set(_citable(view))
    evidence = tuple(item for item in context.evidence if item.id in citable)
    if not evidence:
        return None
    verdict = fold(rows)
    withheld = {Action.ROLLBACK} - set(context.allowed)  # everything else a member may say of its own gates
    own = allowed_actions(verdict, policy=QUORUM, kind=context.kind)
    changes = {
        "agent": member,
        "verdict": verdict,
        "rows": rows,
        "evidence": evidence,
        "views": {},
        "allowed": tuple(action for action in own if action not in withheld),
    }
    return context.model_copy(update=changes)


def _citable(view: View) -> Iterator[str]:
    """Ids of a view's facts: those that it names, and everything about its own gates."""
    yield from view.evidence
    yield from (evidence_id("gate", gate, field) for gate in view.rows for field in GateResult.model_fields)


def _ballot(member: str, decision: Decision, shown: DecisionContext) -> Ballot:
    pointers = {item.id: item.pointer for item in shown.evidence}
    cited = {name for reason in decision.reasons for name in reason.evidence}
    vote = Vote(
        agent=member,
        action=decision.action,
        verdict=shown.verdict,
        reasons=decision.reasons,
        risks=decision.risks,
        confidence=decision.confidence,
        policy=decision.policy,
    )
    return Ballot(vote=vote, cited=frozenset(pointers[name] for name in cited), seen=frozenset(pointers.values()))


def _decision(
    context: DecisionContext, tally: Tally, action: Action, *, trail: Sequence[Step], decisions: Sequence[str]
) -> Decision:
    reasons, risks = _statements(tally, action)
    cited = {name for statement in (*reasons, *risks) for name in statement.evidence}
    decision = Decision(
        **decided_upon(context),
        decision_id=decision_id(context, policy=QUORUM, answers=(*decisions, *answers_of(trail))),
        action=action,
        reasons=reasons,
        risks=risks,
        confidence=min((vote.confidence for vote in _behind(tally, action)), key=_SURENESS.index),
        policy=QUORUM,
        trail=tuple(trail),
        votes=tally.votes,
        evidence=_facts(context, cited),
    )
    return guard(decision, context)


def _behind(tally: Tally, action: Action) -> tuple[Vote, ...]:
    """Votes for the action; all of them where it is nobody's own recommendation."""
    return tuple(vote for vote in tally.votes if vote.action is action) or tally.votes


def _statements(tally: Tally, action: Action) -> tuple[tuple[Statement, ...], tuple[Statement, ...]]:
    """Reasons: why the votes came to this, and what those behind it say. Risks: what the others say, and all risks."""
    behind = _behind(tally, action)
    first = tuple(dict.fromkeys(vote.reasons[0].evidence[0] for vote in behind))
    reasons = dict.fromkeys(reason for vote in behind for reason in vote.reasons)
    others = [reason for vote in tally.votes if vote not in behind for reason in vote.reasons]
    risks = dict.fromkeys([*others, *(risk for vote in tally.votes for risk in vote.risks)])
    return (Statement(text=tally.why, evidence=first), *reasons), tuple(risks)


def _facts(context: DecisionContext, cited: set[str]) -> tuple[Evidence, ...]:
    return tuple(item for item in context.evidence if item.id in cited)


def _none(context: DecisionContext, trail: Sequence[Step], *, told: str) -> NoDecisionError:
    step = Step(agent=context.agent, policy=QUORUM, outcome=Outcome.NOT_HEARD, told=told)
    return no_decision([*trail, step], subject=f"the quorum of {context.agent}", hint="ask a person, or mend the views")
