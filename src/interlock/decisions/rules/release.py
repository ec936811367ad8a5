"""The rules about a release: an executive's vote on its own gates, or the team's caution without a quorum.

    pass          GO                 SHADOW_ONLY where GO is not open
    inconclusive  SHADOW_ONLY        what nobody measured may be measured where nobody sees the answers
    blocked       PAUSE_AND_FIX      what could not be looked at
    fail          by FAILED: the first line that one of the failed gates matches
                  ROLLBACK           in place of any of them for a model that answers live requests now

The same rules serve all three: what differs is what each of them sees. An action that is not open gives way to the next
more cautious one. A quorum that comes to nothing is no GO: the guard around it withholds that from these rules.
"""

from fnmatch import fnmatchcase

from interlock.contracts.decision import Action, Decision, DecisionContext, Statement
from interlock.contracts.verdict import GateResult, Verdict
from interlock.decisions.rules.choice import Choice, Confidence, about, decided, deciding
from interlock.errors import DecisionError, Fault

FAILED: tuple[tuple[str, Action, str], ...] = (
    ("integration.serialisation", Action.REJECT, "loading it would run whatever it holds"),
    ("integration.schema", Action.REJECT, "callers that were written for the present version would break"),
    ("production.difference", Action.REJECT, "it is worse than what answers now"),
    ("integration.regression.*", Action.REJECT, "it loses more against what answers now than is acceptable"),
    ("*", Action.PAUSE_AND_FIX, "mend it and judge again"),
)
"""Patterns of failed gates, what follows, and why; tried from the top. A REJECT is a veto in a quorum."""
CAUTION = (Action.GO, Action.SHADOW_ONLY, Action.PAUSE_AND_FIX, Action.REJECT)
"""From the boldest to the most cautious."""

_BACK = "it answers live requests now, so the version before comes back"
_SAY = {
    Verdict.PASS: "",
    Verdict.INCONCLUSIVE: "nobody knows yet, so it may answer where nobody sees it",
    Verdict.BLOCKED: "it could not be looked at",
}


def decide(context: DecisionContext) -> Decision:
    """Decide by the rules; the result has passed the guard. Raises DecisionError where nothing is open."""
    return decided(context, _choice(context))


def _choice(context: DecisionContext) -> Choice:
    match context.verdict:
        case Verdict.PASS:
            return _cautious(context, Action.GO, deciding(context), confidence="high")
        case Verdict.INCONCLUSIVE:
            rows = deciding(context, Verdict.INCONCLUSIVE)
            return _cautious(context, Action.SHADOW_ONLY, rows, confidence="medium")
        case Verdict.BLOCKED:
            rows = deciding(context, Verdict.BLOCKED)
            return _cautious(context, Action.PAUSE_AND_FIX, rows, confidence="high")
        case Verdict.FAIL:
            return _on_fail(context)


def _on_fail(context: DecisionContext) -> Choice:
    rows = deciding(context, Verdict.FAIL)
    for pattern, action, why in FAILED:
        failed = [row for row in rows if fnmatchcase(row.gate, pattern)]
        if not failed:
            continue
        others = tuple(about(row, "") for row in rows if row not in failed)
        if Action.ROLLBACK in context.allowed:
            reasons = tuple(about(row, _BACK) for row in failed)
            return Choice(action=Action.ROLLBACK, reasons=reasons, risks=others, confidence="high")
        reasons = tuple(about(row, why) for row in failed)
        found = _cautious(context, action, failed, confidence="high")
        return Choice(action=found.action, reasons=reasons, risks=(*others, *found.risks), confidence="high")
    raise _nothing_open(context)  # a fail without a failed row, which the contract refuses


def _cautious(context: DecisionContext, wanted: Action, rows: list[GateResult], *, confidence: Confidence) -> Choice:
    """The wanted action, or the next more cautious one that is open; advisory gates that do not pass are its risks."""
    more = CAUTION[CAUTION.index(wanted) :]
    action = next((item for item in more if item in context.allowed), None)
    if action is None or not rows:
        raise _nothing_open(context)
    say = _SAY.get(context.verdict, "")
    if action is not wanted and wanted is Action.GO:
        say = "it holds, and going live is not open here"
    reasons: tuple[Statement, ...] = tuple(about(row, say) for row in rows)
    return Choice(action=action, reasons=reasons, risks=_concerns(context), confidence=confidence)


def _concerns(context: DecisionContext) -> tuple[Statement, ...]:
    advisory = (row for row in context.rows if row.severity == "advise" and row.verdict is not Verdict.PASS)
    return tuple(about(row, "advisory") for row in advisory)


def _nothing_open(context: DecisionContext) -> DecisionError:
    fault = Fault(
        key="allowed", problem=f"nothing that the rules would choose is open after a verdict of {context.verdict}",
        value=tuple(map(str, context.allowed)), allowed=tuple(map(str, CAUTION)),
    )  # fmt: skip
    return DecisionError([fault], subject="decision on a release", hint="ask a person")
