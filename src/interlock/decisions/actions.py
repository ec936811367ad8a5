"""Which actions a verdict allows, and the guard that holds every policy to them.

The tables are the whole rule. The guard can only refuse: it never replaces an action, so a refused proposal is seen.

    verdict        lane                                    release
    pass           accept escalate                         go shadow_only pause_and_fix reject
    inconclusive   gather_more retrain escalate waive      shadow_only pause_and_fix reject
    fail           retrain escalate reject                 pause_and_fix reject rollback
    blocked        repair escalate                         pause_and_fix reject

A job's answer has the lane's column without `waive`.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from interlock.contracts.decision import DECIDED_UPON, Action, Decision, DecisionContext, Kind, Statement
from interlock.contracts.verdict import Verdict
from interlock.decisions.evidence import statement_faults
from interlock.decisions.search_space import override_faults
from interlock.errors import DecisionError, Fault

Table = Mapping[Verdict, frozenset[Action]]

LANE_ACTIONS: Table = MappingProxyType(
    {
        Verdict.PASS: frozenset({Action.ACCEPT, Action.ESCALATE}),
        Verdict.INCONCLUSIVE: frozenset({Action.GATHER_MORE, Action.RETRAIN, Action.ESCALATE, Action.WAIVE}),
        Verdict.FAIL: frozenset({Action.RETRAIN, Action.ESCALATE, Action.REJECT}),
        Verdict.BLOCKED: frozenset({Action.REPAIR, Action.ESCALATE}),
    }
)

JOB_ACTIONS: Table = MappingProxyType({verdict: actions - {Action.WAIVE} for verdict, actions in LANE_ACTIONS.items()})
"""A job has no run of its own that somebody could waive."""

RELEASE_ACTIONS: Table = MappingProxyType(
    {
        Verdict.PASS: frozenset({Action.GO, Action.SHADOW_ONLY, Action.PAUSE_AND_FIX, Action.REJECT}),
        Verdict.INCONCLUSIVE: frozenset({Action.SHADOW_ONLY, Action.PAUSE_AND_FIX, Action.REJECT}),
        Verdict.FAIL: frozenset({Action.PAUSE_AND_FIX, Action.REJECT, Action.ROLLBACK}),
        Verdict.BLOCKED: frozenset({Action.PAUSE_AND_FIX, Action.REJECT}),
    }
)

ACTIONS: Mapping[Kind, Table] = MappingProxyType({"lane": LANE_ACTIONS, "job": JOB_ACTIONS, "release": RELEASE_ACTIONS})

PERSON = "person"
"""Name of the policy under which a person's own choice is recorded."""

_PERSONS_ONLY = frozenset({Action.WAIVE})


def allowed_actions(verdict: Verdict, *, policy: str, kind: Kind = "lane") -> tuple[Action, ...]:
    """Actions open to a policy, in alphabetical order; only a person may waive."""
    withheld = frozenset() if policy == PERSON else _PERSONS_ONLY
    return tuple(sorted(ACTIONS[kind][verdict] - withheld))


def guard(decision: Decision, context: DecisionContext) -> Decision:
    """Return the decision if it stays inside the context, else raise DecisionError with every fault at once."""
    faults = list(decision_faults(decision, context))
    if faults:
        raise DecisionError(
            faults,
            subject=f"decision {decision.action} by {decision.policy}",
            hint="decide again inside the verdict's actions, the search space and the evidence, or escalate",
        )
    return decision


def decision_faults(decision: Decision, context: DecisionContext) -> Iterator[Fault]:
    """Everything that is wrong with a decision; nothing when it stays inside the context."""
    yield from _identity_faults(decision, context)
    yield from _action_faults(decision, context)
    yield from override_faults(decision.proposed_overrides, context.search_space, context.current)
    yield from _statement_faults(decision, context)


def _identity_faults(decision: Decision, context: DecisionContext) -> Iterator[Fault]:
    for field in DECIDED_UPON:
        found, expected = str(getattr(decision, field)), str(getattr(context, field))
        if found != expected:
            yield Fault(key=field, problem="is not the one decided upon", value=found, allowed=(expected,))
    known = set(context.evidence)
    for item in decision.evidence:
        if item not in known:
            yield Fault(key=f"evidence.{item.id}", problem="is not a fact of this context", value=item.value)


def _action_faults(decision: Decision, context: DecisionContext) -> Iterator[Fault]:
    open_to_policy = set(allowed_actions(context.verdict, policy=decision.policy, kind=context.kind))
    allowed = tuple(sorted(open_to_policy & set(context.allowed)))
    if decision.action not in allowed:
        to = "" if decision.policy == PERSON else f" to {decision.policy}"  # what a person may not do, nobody may
        yield Fault(
            key="action",
            problem=f"is not allowed{to} after a verdict of {context.verdict}",
            value=str(decision.action),
            allowed=tuple(map(str, allowed)),
        )
    if decision.action is Action.RETRAIN and context.kind == "lane" and not decision.proposed_overrides:
        problem = "a retrain changes something: the same run gives the same bits"
        yield Fault(key="proposed_overrides", problem=problem, has_value=False)
    if decision.action is not Action.RETRAIN and decision.proposed_overrides:
        yield Fault(key="proposed_overrides", problem=f"belong to retrain, not to {decision.action}", has_value=False)


def _statement_faults(decision: Decision, context: DecisionContext) -> Iterator[Fault]:
    kinds: tuple[tuple[str, tuple[Statement, ...]], ...] = (("reasons", decision.reasons), ("risks", decision.risks))
    for kind, statements in kinds:
        for index, statement in enumerate(statements):
            yield from statement_faults(statement, context.evidence, key=f"{kind}.{index}")
