"""The rule policy: what to do about a verdict when nobody else is asked. Pure, and a table.

    pass          accept
    inconclusive  gather_more, if some number of items would decide; else escalate
    fail          retrain by the first of RULES that fits the evidence and can still move something; else escalate
    blocked       repair, if every cause is one that running again can mend; else escalate

From `max_attempts` judged runs on, a fail or a block goes to a person. A retrain changes one thing at a time (the
attempt number picks where in the rule's list to begin), so that the next verdict says what the change did.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from interlock.contracts.decision import (
    Action,
    Decision,
    DecisionContext,
    Number,
    Statement,
)
from interlock.contracts.verdict import Cause, GateResult, Verdict
from interlock.decisions.actions import guard
from interlock.decisions.search_space import Move, propose
from interlock.provenance.canonical import sha256_json

POLICY = "rules"
Confidence = Literal["low", "medium", "high"]

REPAIRABLE = frozenset(
    {
        Cause.MISSING,
        Cause.SCORES_MISSING,
        Cause.SCORES_INVALID,
        Cause.SCORES_DISAGREE,
        Cause.ITEMS_DIFFER,
        Cause.SPLIT_DIFFERS,
        Cause.EVALUATOR_DIFFERS,
    }
)
"""Causes that evaluating again can mend: a file is gone, damaged or older than its neighbour. The others are faults of
the data, the configuration or the code, which give the same again."""


_RETRIEVAL = ("*r_at_*", "*recall*", "*ndcg*", "*mrr*")
_FIT = ("*loss_final", "accuracy*", "f1*")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What to change when gates on certain metrics fail."""

    metrics: tuple[str, ...]
    """Patterns of metric names; one failed gate must match."""
    fact: tuple[str, str | bool] | None = None
    """Evidence id and the value it must have; None for any."""
    moves: tuple[Move, ...]
    """Changes, in the order in which they are tried."""
    advice: str
    """The sentence after the gate's own reason."""
    confidence: Confidence


RULES: tuple[Rule, ...] = (
    Rule(
        metrics=("no_nan_inf",),
        moves=(Move(key="lr", factor=0.1),),
        confidence="medium",
        advice="values became infinite or not a number: train from the start with a tenth of the learning rate",
    ),
    Rule(
        metrics=("*converged*",),
        fact=("train.trend", "rising"),
        moves=(Move(key="lr", factor=0.3),),
        confidence="medium",
        advice="the loss rises at the end: lower the learning rate",
    ),
    Rule(
        metrics=("*converged*",),
        fact=("train.trend", "improving"),
        moves=(Move(key="*epochs", factor=2.0), Move(key="lr", factor=2.0)),
        confidence="high",
        advice="the loss still improves at the end: train for longer",
    ),
    Rule(
        metrics=("*converged*",),
        fact=("train.trend", "stalled"),
        moves=(Move(key="lr", factor=0.3), Move(key="batch_size", factor=0.5)),
        confidence="low",
        advice="the loss does not fall: change the learning rate, then the batch size",
    ),
    Rule(
        metrics=(*_RETRIEVAL, *_FIT, "echo*"),
        fact=("train.overfitting", True),
        moves=(
            Move(key="dropout", add=0.1),
            Move(key="lr", factor=0.5),
            Move(key="weight_decay", factor=3.0),
            Move(key="*epochs", factor=0.5),
        ),
        confidence="medium",
        advice="validation worsens while training improves: regularise",
    ),
    Rule(
        metrics=("echo*",),
        moves=(Move(key="echo*", factor=2.0), Move(key="dim", factor=2.0), Move(key="*epochs", factor=1.5)),
        confidence="medium",
        advice="concepts do not come back whole: weigh the echo more, then widen, then train on",
    ),
    Rule(
        metrics=_RETRIEVAL,
        moves=(
            Move(key="temperature", factor=0.7),
            Move(key="*negatives*", factor=2.0, add=1.0),
            Move(key="dim", factor=2.0),
            Move(key="*epochs", factor=1.5),
        ),
        confidence="low",
        advice="the right documents rank too low: sharpen the contrast, then harder or more capacity",
    ),
    Rule(
        metrics=_FIT,
        moves=(Move(key="*epochs", factor=1.5), Move(key="lr", factor=0.5)),
        confidence="low",
        advice="the fit is too weak: train for longer, then more gently",
    ),
    Rule(
        metrics=("*latency*",),
        moves=(Move(key="dim", factor=0.5), Move(key="*layers", factor=0.5)),
        confidence="low",
        advice="it answers too slowly: make the model smaller",
    ),
)
"""Tried from the top; causes stand before symptoms."""


@dataclass(frozen=True, kw_only=True)
class _Choice:
    action: Action
    reasons: tuple[Statement, ...]
    confidence: Confidence
    overrides: dict[str, Number]
    risks: tuple[Statement, ...] = ()


def decide(context: DecisionContext) -> Decision:
    """Decide by the rules; the result has passed the guard. Raises DecisionError if even escalating is not allowed."""
    choice = _CHOOSE[context.verdict](context)
    if choice.action not in context.allowed:
        choice = _escalate(context, f"the rules would choose {choice.action}, which is not open here")
    cited = {name for statement in (*choice.reasons, *choice.risks) for name in statement.evidence}
    decision = Decision(
        kind=context.kind,
        agent=context.agent,
        decision_id=decision_id(context, policy=POLICY),
        judgement_id=context.judgement_id,
        run_id=context.run_id,
        lane=context.lane,
        job=context.job,
        verdict=context.verdict,
        action=choice.action,
        reasons=choice.reasons,
        risks=choice.risks,
        proposed_overrides=choice.overrides,
        confidence=choice.confidence,
        policy=POLICY,
        evidence=tuple(item for item in context.evidence if item.id in cited),
    )
    return guard(decision, context)


def decision_id(context: DecisionContext, *, policy: str, answers: tuple[str, ...] = ()) -> str:
    """Identity of a decision: what was shown, who decided, and the digests of replayed answers."""
    return sha256_json({"context": context, "policy": policy, "answers": answers})


def _on_pass(context: DecisionContext) -> _Choice:
    reasons = tuple(_about(row, "") for row in _deciding(context))
    return _Choice(action=Action.ACCEPT, reasons=reasons, confidence="high", overrides={})


def _on_inconclusive(context: DecisionContext) -> _Choice:
    open_rows = _deciding(context, Verdict.INCONCLUSIVE)
    if any(row.n_needed is None for row in open_rows):
        return _escalate(context, "no number of items is known to decide it")
    reasons = tuple(
        Statement(
            text=f"{{gate.{row.gate}.reason}}: measure about {{gate.{row.gate}.n_needed}} items",
            evidence=(f"gate.{row.gate}.reason", f"gate.{row.gate}.n_needed"),
        )
        for row in open_rows
    )
    return _Choice(action=Action.GATHER_MORE, reasons=reasons, confidence="medium", overrides={})


def _on_fail(context: DecisionContext) -> _Choice:
    if context.attempts >= context.max_attempts:
        return _escalate(context, "the runs of this lineage are used up")
    facts = {item.id: item.value for item in context.evidence}
    for rule in RULES:
        helped = [row for row in _deciding(context, Verdict.FAIL) if _matches(rule, row)]
        if not helped or (rule.fact is not None and facts.get(rule.fact[0]) != rule.fact[1]):
            continue
        overrides = _first_change(rule, context)
        if overrides:
            return _retrain(context, rule, helped, overrides)
    return _escalate(context, "nothing in the search space is known to help")


def _on_blocked(context: DecisionContext) -> _Choice:
    rows = _deciding(context, Verdict.BLOCKED)
    mendable = all(row.cause in REPAIRABLE for row in rows) and bool(rows)
    if not mendable or context.attempts >= context.max_attempts:
        return _escalate(context, "running again would not mend it, or was tried often enough")
    reasons = tuple(_about(row, "evaluate again") for row in rows)
    return _Choice(action=Action.REPAIR, reasons=reasons, confidence="medium", overrides={})


_CHOOSE: dict[Verdict, Callable[[DecisionContext], _Choice]] = {
    Verdict.PASS: _on_pass,
    Verdict.INCONCLUSIVE: _on_inconclusive,
    Verdict.FAIL: _on_fail,
    Verdict.BLOCKED: _on_blocked,
}


def _retrain(context: DecisionContext, rule: Rule, helped: list[GateResult], overrides: dict[str, Number]) -> _Choice:
    changed = tuple(f"search.{key}" for key in overrides)
    reasons = [_about(row, rule.advice, also=changed) for row in helped]
    if rule.fact is not None:
        reasons.append(Statement(text=f"{rule.fact[0]} is {{{rule.fact[0]}}}", evidence=(rule.fact[0],)))
    others = [row for row in _deciding(context) if row.verdict is not Verdict.PASS and row not in helped]
    risks = tuple(_about(row, "this change does not aim at it") for row in others)
    return _Choice(
        action=Action.RETRAIN, reasons=tuple(reasons), confidence=rule.confidence, overrides=overrides, risks=risks
    )


def _escalate(context: DecisionContext, why: str) -> _Choice:
    """Ask a person, with every row that is in the way; the lineage stands in for a judgement without rows."""
    rows = [row for row in _deciding(context) if row.verdict is not Verdict.PASS]
    lineage = ("lineage.attempts", "lineage.max_attempts")
    head = Statement(text=f"{why} (run {{{lineage[0]}}} of {{{lineage[1]}}})", evidence=lineage)
    return _Choice(
        action=Action.ESCALATE, reasons=(head, *(_about(row, "") for row in rows)), confidence="high", overrides={}
    )


def _first_change(rule: Rule, context: DecisionContext) -> dict[str, Number]:
    start = (context.attempts - 1) % len(rule.moves)
    for move in rule.moves[start:] + rule.moves[:start]:
        overrides = propose([move], context.search_space, context.current)
        if overrides:
            return overrides
    return {}


def _deciding(context: DecisionContext, verdict: Verdict | None = None) -> list[GateResult]:
    return [row for row in context.rows if row.severity != "advise" and verdict in (None, row.verdict)]


def _matches(rule: Rule, row: GateResult) -> bool:
    return any(fnmatchcase(row.metric, pattern) for pattern in rule.metrics)


def _about(row: GateResult, remark: str, *, also: tuple[str, ...] = ()) -> Statement:
    """The gate's own reason, a remark, and further evidence that the remark rests on."""
    reason = f"gate.{row.gate}.reason"
    return Statement(text=f"{{{reason}}}: {remark}" if remark else f"{{{reason}}}", evidence=(reason, *also))
