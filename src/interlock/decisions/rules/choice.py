"""What the rules of every kind of decision choose, and how a choice becomes a decision that the guard has seen.

Does not choose: that is `rules.lane`, `rules.release` and `rules.job`.
"""

from dataclasses import dataclass, field
from typing import Literal

from interlock.contracts.decision import Action, Decision, DecisionContext, Number, Statement
from interlock.contracts.verdict import GateResult, Verdict
from interlock.decisions.actions import guard
from interlock.decisions.evidence import evidence_id
from interlock.decisions.policy import decided_upon, decision_id

POLICY = "rules"
"""Name of this policy in decisions."""
Confidence = Literal["low", "medium", "high"]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """An action with its reasons."""

    action: Action
    reasons: tuple[Statement, ...]
    """At least one."""
    confidence: Confidence
    overrides: dict[str, Number] = field(default_factory=dict)
    """Only with a retrain."""
    risks: tuple[Statement, ...] = ()


def decided(context: DecisionContext, choice: Choice) -> Decision:
    """The choice as a decision by the rules. Raises DecisionError for a choice that the guard refuses."""
    cited = {name for statement in (*choice.reasons, *choice.risks) for name in statement.evidence}
    decision = Decision(
        **decided_upon(context),
        decision_id=decision_id(context, policy=POLICY),
        action=choice.action,
        reasons=choice.reasons,
        risks=choice.risks,
        proposed_overrides=choice.overrides,
        confidence=choice.confidence,
        policy=POLICY,
        evidence=tuple(item for item in context.evidence if item.id in cited),
    )
    return guard(decision, context)


def deciding(context: DecisionContext, verdict: Verdict | None = None) -> list[GateResult]:
    """The rows that decide the verdict; with `verdict` those that say so."""
    return [row for row in context.rows if row.severity != "advise" and verdict in (None, row.verdict)]


def about(row: GateResult, remark: str, *, also: tuple[str, ...] = ()) -> Statement:
    """The gate's own reason, a remark, and further evidence that the remark rests on."""
    reason = evidence_id("gate", row.gate, "reason")
    return Statement(text=f"{{{reason}}}: {remark}" if remark else f"{{{reason}}}", evidence=(reason, *also))
