"""Which actions a verdict allows, and the guard that holds every policy to them.

The tables are the whole rule. The guard can only refuse: it never replaces an action, so a refused proposal is seen.

    verdict        lane                                    release
    pass           accept escalate                         go shadow_only pause_and_fix reject
    inconclusive   gather_more retrain escalate waive      shadow_only pause_and_fix reject
    fail           retrain escalate reject                 pause_and_fix reject rollback
    blocked        repair escalate                         pause_and_fix reject
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from interlock.contracts.decision import Decision, DecisionContext, LaneAction, ReleaseAction, Statement
from interlock.contracts.verdict import Verdict
from interlock.decisions.evidence import statement_faults
from interlock.decisions.search_space import override_faults
from interlock.errors import DecisionError, Fault

LANE_ACTIONS: Mapping[Verdict, frozenset[LaneAction]] = MappingProxyType(
    {
        Verdict.PASS: frozenset({LaneAction.ACCEPT, LaneAction.ESCALATE}),
        Verdict.INCONCLUSIVE: frozenset(
            {LaneAction.GATHER_MORE, LaneAction.RETRAIN, LaneAction.ESCALATE, LaneAction.WAIVE}
        ),
        Verdict.FAIL: frozenset({LaneAction.RETRAIN, LaneAction.ESCALATE, LaneAction.REJECT}),
        Verdict.BLOCKED: frozenset({LaneAction.REPAIR, LaneAction.ESCALATE}),
    }
)

RELEASE_ACTIONS: Mapping[Verdict, frozenset[ReleaseAction]] = MappingProxyType(
    {
        Verdict.PASS: frozenset(
            {ReleaseAction.GO, ReleaseAction.SHADOW_ONLY, ReleaseAction.PAUSE_AND_FIX, ReleaseAction.REJECT}
        ),
        Verdict.INCONCLUSIVE: frozenset({ReleaseAction.SHADOW_ONLY, ReleaseAction.PAUSE_AND_FIX, ReleaseAction.REJECT}),
        Verdict.FAIL: frozenset({ReleaseAction.PAUSE_AND_FIX, ReleaseAction.REJECT, ReleaseAction.ROLLBACK}),
        Verdict.BLOCKED: frozenset({ReleaseAction.PAUSE_AND_FIX, ReleaseAction.REJECT}),
    }
)

PERSON = "person"
"""Name of the policy under which a person's own choice is recorded."""

_PERSONS_ONLY = frozenset({LaneAction.WAIVE})


def allowed_actions(verdict: Verdict, *, policy: str) -> tuple[LaneAction, ...]:
    """Lane actions open to a policy, in alphabetical order; only a person may waive."""
    withheld = frozenset() if policy == PERSON else _PERSONS_ONLY
    return tuple(sorted(LANE_ACTIONS[verdict] - withheld))


def guard(decision: Decision, context: DecisionContext) -> Decision:
    """Return the decision if it stays inside the context, else raise DecisionError with every fault at once."""
    faults = [
        *_identity_faults(decision, context),
        *_action_faults(decision, context),
        *override_faults(decision.proposed_overrides, context.search_space, context.current),
        *_statement_faults(decision, context),
    ]
    if faults:
        raise DecisionError(
            faults,
            subject=f"decision {decision.action} by {decision.policy}",
            hint="decide again inside the verdict's actions, the search space and the evidence, or escalate",
        )
    return decision


def _identity_faults(decision: Decision, context: DecisionContext) -> Iterator[Fault]:
    for field in ("run_id", "judgement_id", "lane", "verdict"):
        found, expected = str(getattr(decision, field)), str(getattr(context, field))
        if found != expected:
            yield Fault(key=field, problem="is not the one decided upon", value=found, allowed=(expected,))
    known = set(context.evidence)
    for item in decision.evidence:
        if item not in known:
            yield Fault(key=f"evidence.{item.id}", problem="is not a fact of this context", value=item.value)


def _action_faults(decision: Decision, context: DecisionContext) -> Iterator[Fault]:
    open_to_policy = set(allowed_actions(context.verdict, policy=decision.policy))
    allowed = tuple(sorted(open_to_policy & set(context.allowed)))
    if decision.action not in allowed:
        yield Fault(
            key="action",
            problem=f"is not allowed to {decision.policy} after a verdict of {context.verdict}",
            value=str(decision.action),
            allowed=tuple(map(str, allowed)),
        )
    if decision.action is LaneAction.RETRAIN and not decision.proposed_overrides:
        yield Fault(key="proposed_overrides", problem="a retrain changes something: the same run gives the same bits")


def _statement_faults(decision: Decision, context: DecisionContext) -> Iterator[Fault]:
    kinds: tuple[tuple[str, tuple[Statement, ...]], ...] = (("reasons", decision.reasons), ("risks", decision.risks))
    for kind, statements in kinds:
        for index, statement in enumerate(statements):
            yield from statement_faults(statement, context.evidence, key=f"{kind}.{index}")
