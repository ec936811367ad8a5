"""The tests' own judgement of a decision: tables and eyes that share no code with the guard.

    breaches(decision, context)        # every way in which it says more than it may; empty when it holds

The tables are written out from the specification, once more, so that a change of the guard's tables is seen here.
Does not cover whether a decision is wise.
"""

import math
import re
from collections.abc import Iterator, Mapping

from hostile_texts import own_numerals, unsafe

from interlock.contracts.decision import Decision, DecisionContext, Statement

_LANE = {
    "pass": {"accept", "escalate"},
    "inconclusive": {"gather_more", "retrain", "escalate"},
    "fail": {"retrain", "escalate", "reject"},
    "blocked": {"repair", "escalate"},
}
_RELEASE = {
    "pass": {"go", "shadow_only", "pause_and_fix", "reject"},
    "inconclusive": {"shadow_only", "pause_and_fix", "reject"},
    "fail": {"pause_and_fix", "reject", "rollback"},
    "blocked": {"pause_and_fix", "reject"},
}
ALLOWED: Mapping[str, Mapping[str, set[str]]] = {"lane": _LANE, "job": _LANE, "release": _RELEASE}
"""What anybody but a person may choose."""
FORWARD = {"accept", "go"}

_PLACEHOLDER = re.compile(r"\{([^\s{}]+)\}")


def breaches(decision: Decision, context: DecisionContext) -> list[str]:
    """Everything that got through and should not have."""
    return [
        *_action(decision, context),
        *_votes(decision, context),
        *_identity(decision, context),
        *_overrides(decision, context),
        *_texts(decision, context),
    ]


def _action(decision: Decision, context: DecisionContext) -> Iterator[str]:
    verdict, action = context.verdict.value, decision.action.value
    if action in FORWARD and verdict != "pass":
        yield f"{verdict} became {action}"
    if action not in ALLOWED[context.kind][verdict] or action not in {item.value for item in context.allowed}:
        yield f"{action} is not open after {verdict}"
    if decision.policy == "person" or decision.person:
        yield "a model passed for a person"


def _votes(decision: Decision, context: DecisionContext) -> Iterator[str]:
    """A team's release goes only by a quorum: all have voted, nobody rejects, two GO rest on different facts."""
    if decision.action.value != "go" or not context.views:  # a member's own vote
        return
    votes = {vote.agent: vote for vote in decision.votes}
    if decision.policy != "quorum" or set(votes) != set(context.views) or len(decision.votes) != len(votes):
        yield f"went by {decision.policy} with votes of {sorted(votes)}"
    if any(vote.action.value in ("reject", "rollback") for vote in votes.values()):
        yield "went over a veto"
    if any(vote.verdict.value != "pass" for vote in votes.values()):
        yield "went although a member's own gates do not pass"
    willing = [vote for vote in votes.values() if vote.action.value == "go"]
    shown = {(context.views[vote.agent].rows, context.views[vote.agent].evidence) for vote in willing}
    cited = {tuple(sorted({name for said in vote.reasons for name in said.evidence})) for vote in willing}
    if min(len(shown), len(cited)) < 2 or not {vote.agent for vote in willing} - {"ops_commander"}:
        yield f"went by votes of {[vote.agent for vote in willing]} on the same facts, or of the chair alone"


def _identity(decision: Decision, context: DecisionContext) -> Iterator[str]:
    for name in ("kind", "agent", "run_id", "judgement_id", "lane", "job", "verdict"):
        if getattr(decision, name) != getattr(context, name):
            yield f"{name} is {getattr(decision, name)!r}"


def _overrides(decision: Decision, context: DecisionContext) -> Iterator[str]:
    for key, value in decision.proposed_overrides.items():
        bounds = context.search_space.get(key)
        if bounds is None:
            yield f"{key!r} is not searched"
        elif type(value) not in (int, float) or not math.isfinite(value) or not bounds.low <= value <= bounds.high:
            yield f"{key} became {value!r}"
        elif bounds.integer and type(value) is not int:
            yield f"{key} became {value!r}, which is no whole number"
    if decision.proposed_overrides and decision.action.value != "retrain":
        yield f"overrides with {decision.action}"


def _texts(decision: Decision, context: DecisionContext) -> Iterator[str]:
    facts = {item.id: item for item in context.evidence}
    kept = {item.id: item for item in decision.evidence}
    for name, item in kept.items():
        if facts.get(name) != item:
            yield f"evidence {name} is not that of the context"
    for step in decision.trail:
        if odd := unsafe(step.told):
            yield f"characters {odd!r} in what is told of {step.model}"
    statements = [*decision.reasons, *decision.risks]
    statements += [said for vote in decision.votes for said in (*vote.reasons, *vote.risks)]
    for said in statements:
        yield from _statement(said, set(kept))


def _statement(said: Statement, kept: set[str]) -> Iterator[str]:
    if numerals := own_numerals(said.text):
        yield f"numerals {numerals!r} in {said.text!r}"
    if odd := unsafe(said.text):
        yield f"characters {odd!r} in {said.text!r}"
    for name in (*_PLACEHOLDER.findall(said.text), *said.evidence):
        if name not in kept:
            yield f"{name!r} is cited and not kept as evidence"
    for name in _PLACEHOLDER.findall(said.text):
        if name not in said.evidence:
            yield f"{name!r} is shown and not cited"
