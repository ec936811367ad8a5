"""`decision.md`: what was decided and why, every number filled in from the evidence."""

from interlock.contracts.decision import Decision, Statement
from interlock.decisions.evidence import render
from interlock.reports.figures import figure, markdown_table


def decision_markdown(decision: Decision) -> str:
    """Render a decision. Raises DecisionError if a sentence holds a number that no evidence gives."""
    parts = [
        f"# Decision: {decision.action}",
        f"Lane `{decision.lane}`, run `{decision.run_id}`, verdict **{decision.verdict}**. "
        f"Decided by {decision.policy}, confidence {decision.confidence}.",
        "## Reasons\n\n" + _listed(decision.reasons, decision),
    ]
    if decision.proposed_overrides:
        rows = [(f"`{key}`", figure(float(value))) for key, value in sorted(decision.proposed_overrides.items())]
        overrides = " ".join(f"{key}={value!r}" for key, value in sorted(decision.proposed_overrides.items()))
        parts.append("## Proposed overrides\n\n" + markdown_table(("key", "value"), rows, right=(1,)))
        parts.append(f"Add them to the overrides of this run: `{overrides}`")
    if decision.risks:
        parts.append("## Risks\n\n" + _listed(decision.risks, decision))
    evidence = [(f"`{item.id}`", str(item.value), f"`{item.pointer}`") for item in decision.evidence]
    parts.append("## Evidence\n\n" + markdown_table(("id", "value", "stands in"), evidence))
    return "\n\n".join(parts) + "\n"


def _listed(statements: tuple[Statement, ...], decision: Decision) -> str:
    return "\n".join(f"- {render(statement.text, decision.evidence)}" for statement in statements)
