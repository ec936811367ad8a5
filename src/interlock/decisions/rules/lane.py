"""The rules about a lane's run: what to do about its verdict when nobody else is asked. Pure, and a table.

    pass          accept
    inconclusive  gather_more, if some number of items would decide; else escalate
    fail          escalate, if the data or a gate is at fault; else retrain by the first of RULES that fits the evidence
                  and can still move something; else escalate
    blocked       repair, if every cause is one that running again can mend; else escalate

From `max_attempts` judged runs on, a fail or a block goes to a person. A retrain changes one thing, so that the next
verdict says what the change did; too little training is one thing, whose parts are the learning rate and the epochs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from interlock.contracts.decision import Action, Decision, DecisionContext, Statement
from interlock.contracts.verdict import Cause, GateResult, Verdict
from interlock.decisions.evidence import evidence_id
from interlock.decisions.rules.choice import Choice, Confidence, about, decided, deciding
from interlock.decisions.search_space import Move, propose

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


CHECKS_OF_DATA = ("splits_correct", "negatives_*")
"""Metrics of the data itself. While one fails, no training proves anything."""
DATA_CAUSES = frozenset({Cause.TOO_FEW, Cause.DUPLICATE_ITEMS, Cause.MISNAMED, Cause.UNIT, Cause.BASELINE_CHANGED})
"""Causes that every training meets again."""

_RETRIEVAL = ("*r_at_*", "*recall*", "*ndcg*", "*mrr*")
_FIT = ("*loss_final", "accuracy*", "f1*", "*ece*", "*cosine*")


@dataclass(frozen=True, kw_only=True)
class Change:
    """One thing to try."""

    does: str
    """In words, without numerals: what the first move does."""
    also: str = ""
    """What the others do, where they are possible."""
    moves: tuple[Move, ...]
    """Made together; the first one must be possible, or the change is passed over."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What to change when gates on certain metrics fail."""

    metrics: tuple[str, ...]
    """Patterns of metric names; one failed gate must match."""
    fact: tuple[str, str | bool] | None = None
    """Evidence id and the value it must have; None for any."""
    sign: str
    """What it says of the training; no numerals."""
    changes: tuple[Change, ...]
    """The first one that is possible is made."""
    in_turn: bool = False
    """Where the sign does not say which change helps: each attempt begins with the next one."""
    confidence: Confidence


def _one(does: str, move: Move) -> Change:
    return Change(does=does, moves=(move,))


_LONGER = _one("train for longer", Move(key="*epochs", factor=3.0))
_FASTER = Change(
    does="raise the learning rate, which is low",
    also="train for longer",
    moves=(Move(key="lr", factor=8.0, if_low=True), *_LONGER.moves),
)
_A_BIT_FASTER = _one("raise the learning rate", Move(key="lr", factor=2.0))
_GENTLER = _one("lower the learning rate", Move(key="lr", factor=0.3))
_WIDER = _one("widen the model", Move(key="dim*", factor=2.0))

RULES: tuple[Rule, ...] = (
    Rule(
        metrics=("no_nan_inf",),
        sign="values became infinite or not a number",
        changes=(_one("train from the start with a tenth of the learning rate", Move(key="lr", factor=0.1)),),
        confidence="medium",
    ),
    Rule(
        metrics=("*converged*",),
        fact=("train.trend", "rising"),
        sign="the loss rises at the end",
        changes=(_GENTLER,),
        confidence="medium",
    ),
    Rule(
        metrics=("*converged*",),
        fact=("train.trend", "improving"),
        sign="the loss still improves at the end",
        changes=(_FASTER, _LONGER, _A_BIT_FASTER),
        confidence="high",
    ),
    Rule(
        metrics=("*converged*",),
        fact=("train.trend", "unknown"),
        sign="the training is too short to tell where the loss goes",
        changes=(_FASTER, _LONGER),
        confidence="high",
    ),
    Rule(
        metrics=("*converged*",),
        fact=("train.trend", "stalled"),
        sign="the loss does not fall",
        changes=(_GENTLER, _one("make the batches smaller", Move(key="batch_size", factor=0.5))),
        in_turn=True,
        confidence="low",
    ),
    Rule(
        metrics=(*_RETRIEVAL, *_FIT, "echo*"),
        fact=("train.overfitting", True),
        sign="validation worsens while training improves",
        changes=(
            _one("drop more", Move(key="dropout", add=0.1)),
            _one("lower the learning rate", Move(key="lr", factor=0.5)),
            _one("let weights decay faster", Move(key="weight_decay", factor=3.0)),
            _one("stop earlier", Move(key="*epochs", factor=0.5)),
        ),
        in_turn=True,
        confidence="medium",
    ),
    Rule(
        metrics=("echo*",),
        sign="concepts do not come back whole",
        changes=(_one("weigh the echo more", Move(key="echo*", factor=2.0)), _WIDER, _LONGER),
        in_turn=True,
        confidence="medium",
    ),
    Rule(
        metrics=_RETRIEVAL,
        sign="the right documents rank too low",
        changes=(
            _one("sharpen the contrast", Move(key="temperature", factor=0.7)),
            _one("learn from more hard negatives", Move(key="*negatives*", factor=2.0, add=1.0)),
            _WIDER,
            _LONGER,
        ),
        in_turn=True,
        confidence="low",
    ),
    Rule(
        metrics=_FIT,
        sign="the fit is too weak",
        changes=(_FASTER, _LONGER, _GENTLER),
        confidence="low",
    ),
    Rule(
        metrics=("*latency*",),
        sign="it answers too slowly",
        changes=(
            _one("make the model narrower", Move(key="dim*", factor=0.5)),
            _one("make the model shallower", Move(key="*layers", factor=0.5)),
        ),
        in_turn=True,
        confidence="low",
    ),
)
"""Tried from the top; causes stand before symptoms."""


def decide(context: DecisionContext) -> Decision:
    """Decide by the rules; the result has passed the guard. Raises DecisionError if even escalating is not allowed."""
    choice = _CHOOSE[context.verdict](context)
    if choice.action not in context.allowed:
        choice = _escalate(context, f"the rules would choose {choice.action}, which is not open here")
    return decided(context, choice)


def _on_pass(context: DecisionContext) -> Choice:
    reasons = tuple(about(row, "") for row in deciding(context))
    return Choice(action=Action.ACCEPT, reasons=reasons, confidence="high")


def _on_inconclusive(context: DecisionContext) -> Choice:
    open_rows = deciding(context, Verdict.INCONCLUSIVE)
    if any(row.n_needed is None for row in open_rows):
        return _escalate(context, "no number of items is known to decide it")
    needed = [evidence_id("gate", row.gate, "n_needed") for row in open_rows]
    reasons = tuple(
        about(row, f"measure about {{{items}}} items", also=(items,))
        for row, items in zip(open_rows, needed, strict=True)
    )
    return Choice(action=Action.GATHER_MORE, reasons=reasons, confidence="medium")


def _on_fail(context: DecisionContext) -> Choice:
    if context.attempts >= context.max_attempts:
        return _escalate(context, "the runs of this lineage are used up")
    if any(map(_no_training_mends, deciding(context))):
        return _escalate(context, "what is wrong with the data or the gates, no training mends")
    facts = {item.id: item.value for item in context.evidence}
    for rule in RULES:
        helped = [row for row in deciding(context, Verdict.FAIL) if _matches(rule, row)]
        if not helped or (rule.fact is not None and facts.get(rule.fact[0]) != rule.fact[1]):
            continue
        for change in _in_order(rule, context.attempts):
            if propose(change.moves[:1], context.search_space, context.current):
                return _retrain(context, rule, helped, change)
    return _escalate(context, "nothing in the search space is known to help")


def _no_training_mends(row: GateResult) -> bool:
    is_broken_data = row.verdict is Verdict.FAIL and any(fnmatchcase(row.metric, name) for name in CHECKS_OF_DATA)
    return is_broken_data or (row.verdict is Verdict.BLOCKED and row.cause in DATA_CAUSES)


def _on_blocked(context: DecisionContext) -> Choice:
    blocked = deciding(context, Verdict.BLOCKED)
    rows = [row for row in blocked if row.cause is not Cause.NOT_EXPORTED]
    mendable = all(row.cause in REPAIRABLE for row in rows) and bool(rows)
    if not mendable or context.attempts >= context.max_attempts:
        return _escalate(context, "running again would not mend it, or was tried often enough")
    reasons = tuple(about(row, "evaluate again") for row in rows)
    return Choice(action=Action.REPAIR, reasons=reasons, confidence="medium")


_CHOOSE: dict[Verdict, Callable[[DecisionContext], Choice]] = {
    Verdict.PASS: _on_pass,
    Verdict.INCONCLUSIVE: _on_inconclusive,
    Verdict.FAIL: _on_fail,
    Verdict.BLOCKED: _on_blocked,
}


def _retrain(context: DecisionContext, rule: Rule, helped: list[GateResult], change: Change) -> Choice:
    overrides = propose(change.moves, context.search_space, context.current)
    changed = tuple(evidence_id("search", key) for key in overrides)
    also = (
        f", and {change.also}"
        if change.also and propose(change.moves[1:], context.search_space, context.current)
        else ""
    )
    reasons = [about(row, f"{rule.sign}, so {change.does}{also}", also=changed) for row in helped]
    if rule.fact is not None:
        reasons.append(Statement(text=f"{rule.fact[0]} is {{{rule.fact[0]}}}", evidence=(rule.fact[0],)))
    others = [row for row in _in_the_way(context) if row not in helped]
    risks = tuple(about(row, "this change does not aim at it") for row in others)
    return Choice(
        action=Action.RETRAIN,
        reasons=tuple(reasons),
        confidence=rule.confidence,
        overrides=overrides,
        risks=risks,
    )


def _escalate(context: DecisionContext, why: str) -> Choice:
    """Ask a person, with every row that is in the way; the lineage stands in for a judgement without rows."""
    rows = _in_the_way(context)
    lineage = ("lineage.attempts", "lineage.max_attempts")
    head = Statement(text=f"{why} (run {{{lineage[0]}}} of {{{lineage[1]}}})", evidence=lineage)
    return Choice(action=Action.ESCALATE, reasons=(head, *(about(row, "") for row in rows)), confidence="high")


def _in_the_way(context: DecisionContext) -> list[GateResult]:
    """Rows that keep the run back; those that wait for the export alone only where nothing else does."""
    rows = [row for row in deciding(context) if row.verdict is not Verdict.PASS]
    return [row for row in rows if row.cause is not Cause.NOT_EXPORTED] or rows


def _in_order(rule: Rule, attempt: int) -> tuple[Change, ...]:
    start = (attempt - 1) % len(rule.changes) if rule.in_turn else 0
    return rule.changes[start:] + rule.changes[:start]


def _matches(rule: Rule, row: GateResult) -> bool:
    return any(fnmatchcase(row.metric, pattern) for pattern in rule.metrics)
