"""The rules about a job: what the architect does about the lanes' verdicts together. Pure.

    pass          accept
    inconclusive  gather_more, or retrain, where every open lane's director chose to go on so
    fail          retrain, where every failed lane's director retrains
    blocked       repair, where running again can mend every blocked lane
    else          escalate

The lanes' own decisions stand in the evidence as `lane.<name>.action`; a job never does more than its directors chose.
"""

from interlock.contracts.decision import Action, Decision, DecisionContext, Statement
from interlock.contracts.verdict import GateResult, Verdict
from interlock.decisions.rules.choice import Choice, about, decided, deciding
from interlock.decisions.rules.lane import REPAIRABLE

_GO_ON: dict[Verdict, tuple[tuple[Action, frozenset[str]], ...]] = {
    Verdict.INCONCLUSIVE: (
        (Action.GATHER_MORE, frozenset({Action.GATHER_MORE})),
        (Action.RETRAIN, frozenset({Action.GATHER_MORE, Action.RETRAIN})),
    ),
    Verdict.FAIL: ((Action.RETRAIN, frozenset({Action.RETRAIN})),),
}
"""What the job does where all of its lanes' directors chose one of these."""


def decide(context: DecisionContext) -> Decision:
    """Decide by the rules; the result has passed the guard."""
    return decided(context, _choice(context))


def _choice(context: DecisionContext) -> Choice:
    rows = deciding(context, context.verdict)
    others = tuple(about(row, "") for row in deciding(context) if row not in rows and row.verdict is not Verdict.PASS)
    if context.verdict is Verdict.PASS:
        return _taken(context, Action.ACCEPT, tuple(about(row, "") for row in rows), others)
    if context.verdict is Verdict.BLOCKED:
        if rows and all(row.cause in REPAIRABLE for row in rows):
            reasons = tuple(about(row, "run it again") for row in rows)
            return _taken(context, Action.REPAIR, reasons, others)
        return _escalated(rows, others, "running again would not mend it")
    said = {row.gate: _said(context, row) for row in rows}
    for action, choices in _GO_ON[context.verdict]:
        if rows and set(said.values()) <= choices:
            reasons = tuple(_with_action(row) for row in rows)
            return _taken(context, action, reasons, others)
    return _escalated(rows, others, "not every director goes on by itself")


def _taken(
    context: DecisionContext, action: Action, reasons: tuple[Statement, ...], risks: tuple[Statement, ...]
) -> Choice:
    if action not in context.allowed:
        rows = deciding(context, context.verdict)
        return _escalated(rows, risks, f"the rules would choose {action}, which is not open here")
    confidence = "high" if action is Action.ACCEPT else "medium"
    return Choice(action=action, reasons=reasons, risks=risks, confidence=confidence)  # type: ignore[arg-type]


def _escalated(rows: list[GateResult], risks: tuple[Statement, ...], why: str) -> Choice:
    return Choice(
        action=Action.ESCALATE, reasons=tuple(about(row, why) for row in rows), risks=risks, confidence="high"
    )


def _said(context: DecisionContext, row: GateResult) -> str:
    found = next((item.value for item in context.evidence if item.id == f"lane.{row.gate}.action"), "")
    return str(found)


def _with_action(row: GateResult) -> Statement:
    action = f"lane.{row.gate}.action"
    return about(row, f"its director chose to {{{action}}}", also=(action,))
