"""The one interface of everything that decides. Rules, models, guards, quorums and people share it and nest.

    policy = policies.build("dir_models", agents, llm, asker)
    decision = policy.decide(context)

Where a policy cannot decide it raises NoDecisionError with its trail, and whoever stands around it goes on from there.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from interlock.contracts.decision import DECIDED_UPON, Decision, DecisionContext, Step
from interlock.decisions.wording import visible
from interlock.errors import DecisionError, Fault, NoDecisionError
from interlock.provenance.canonical import sha256_json

_TOLD_MAX_CHARS = 2000


class Policy(Protocol):
    """Something that decides."""

    def decide(self, context: DecisionContext) -> Decision:
        """Choose inside the context. Raises NoDecisionError, with everything that was tried, where it cannot."""
        ...


def decision_id(context: DecisionContext, *, policy: str, answers: tuple[str, ...] = ()) -> str:
    """Identity of a decision: what was shown, who decided, and the digests of replayed answers."""
    return sha256_json({"context": context, "policy": policy, "answers": answers})


def decided_upon(context: DecisionContext) -> dict[str, Any]:
    """The fields of a decision that its context gives."""
    return {name: getattr(context, name) for name in DECIDED_UPON}


def answers_of(trail: Iterable[Step]) -> tuple[str, ...]:
    """What stands for a trail in a decision's id: the digest of each recorded answer, and of a step without one."""
    return tuple(step.answer_sha256 or sha256_json(step) for step in trail)


def by_person(context: DecisionContext) -> str:
    """What a person types to decide it."""
    if context.kind != "lane":
        return f"a person decides: {', '.join(context.allowed)}"
    return (
        f"decide yourself: interlock decide {context.run_id} --as NAME --action ACTION --reason WHY; "
        f"open are {', '.join(context.allowed)}"
    )


def no_decision(trail: Sequence[Step], *, subject: str, hint: str) -> NoDecisionError:
    """The error of a policy that came to nothing; it lists every step."""
    faults = [
        Fault(key=step.model or step.policy, problem=f"{step.outcome}: {step.told}", has_value=False) for step in trail
    ]
    error = NoDecisionError(faults, subject=subject, hint=hint)
    error.trail = tuple(trail)
    return error


def told_of(error: DecisionError | Sequence[str]) -> str:
    """Faults as one short paragraph for a step."""
    parts = error if not isinstance(error, DecisionError) else [_fault_text(fault) for fault in error.faults]
    text = visible("; ".join(parts))  # names of fields in a recorded answer are anybody's words
    return text if len(text) <= _TOLD_MAX_CHARS else text[: _TOLD_MAX_CHARS - 1] + "…"


def _fault_text(fault: Fault) -> str:
    return " ".join(str(fault).split())
