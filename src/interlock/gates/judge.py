"""The judge: gates and measurements in, one row per gate out. Pure, and closed to doubt.

    rows = judge(gates, measurements, scores=..., items=..., seed=seed_of(run_id))
    verdict = fold(rows)                                    # interlock.contracts.verdict

It raises nothing about the data: whatever cannot be judged is a `blocked` row that says why. The same inputs give the
same rows, whatever the order of gates, measurements or items.

Gates of one family are passed jointly by Holm's procedure (`interlock.gates.family`): a pass is asked for at the
family's adjusted confidence, a fail is judged at the gate's own, as if it stood alone.

Does not cover reading files (the judge stage) nor what to do about a verdict (`interlock.decisions`).
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from interlock.contracts.gate import BaselineGate, Gate, PredicateGate, ThresholdGate, families, mixed_family
from interlock.contracts.measurement import Measurement
from interlock.contracts.verdict import Cause, GateResult, Verdict
from interlock.gates.comparison import compare, deciding_bounds, sentence
from interlock.gates.family import step_down
from interlock.gates.planning import Plan
from interlock.gates.question import Facts, Question, baseline_question, sample_curve, threshold_question
from interlock.gates.sample import BlockedError, ItemIds
from interlock.gates.statistics import Bounds

_SIGNS = {"at_least": ">=", "at_most": "<="}


def judge(
    gates: Mapping[str, Gate],
    measurements: Mapping[str, Measurement],
    *,
    scores: Mapping[str, Any],
    items: Mapping[str, ItemIds],
    seed: int,
    unavailable: Mapping[str, BlockedError] | None = None,
) -> tuple[GateResult, ...]:
    """Judge every gate; rows stand in the order of the gates' names.

    Args:
        gates: Gates by name.
        measurements: Measurements by their own name.
        scores: Per-item scores by measurement name, numbers; needed for every measurement that states a file of
            scores. [n]; of a ratio [n, 2] numerators and denominators, of a calibration [n, 2] correct (0 or 1) and
            confidence.
        items: Item ids [n] by measurement name, in the order of its scores.
        seed: Non-negative seed of the bootstrap, `seed_of(run_id)` for a run.
        unavailable: Why a measurement may not be used, by its name, whatever stands under that name.
    """
    facts = Facts(measurements=measurements, scores=scores, items=items, seed=seed, unavailable=dict(unavailable or {}))
    asked = {name: _asked(gate, facts) for name, gate in gates.items()}
    for family, members in families(gates).items():
        if (fault := mixed_family(family, members)) is not None:
            asked |= dict.fromkeys(members, BlockedError(Cause.FAMILY, fault))
    levels = {name: level for members in families(gates).values() for name, level in _levels(members, asked).items()}
    rows = tuple(_row_of(name, gates, asked[name], levels.get(name), facts) for name in sorted(gates))
    return _told_what_waits(rows, gates, measurements)


def seed_of(run_id: str) -> int:
    """The seed that belongs to a run, so that a judgement follows from run, gates and measurements alone."""
    return int.from_bytes(hashlib.blake2b(run_id.encode(), digest_size=8).digest(), "little")


def bounds_of(
    name: str,
    measurements: Mapping[str, Measurement],
    *,
    scores: Mapping[str, Any],
    items: Mapping[str, ItemIds],
    seed: int,
    confidence: float,
) -> Bounds:
    """One-sided bounds of one measurement, the same that a gate would get. Raises BlockedError where it would block."""
    facts = Facts(measurements=measurements, scores=scores, items=items, seed=seed)
    return sample_curve(facts.sample(name), facts, confidence=confidence)(confidence)


_Asked = Question | Measurement | BlockedError
"""A question with bounds, a yes/no measurement, or why there is nothing to ask."""


def _asked(gate: Gate, facts: Facts) -> _Asked:
    try:
        match gate:
            case ThresholdGate():
                return threshold_question(gate, facts)
            case BaselineGate():
                return baseline_question(gate, facts)
            case PredicateGate():
                return _check(gate, facts)
    except BlockedError as blocked:
        return blocked


def _check(gate: PredicateGate, facts: Facts) -> Measurement:
    measured = facts.sample(gate.check).measurement
    if measured.unit != "bool" or measured.value not in (0.0, 1.0):
        found = f"{measured.value:g} {measured.unit}"
        raise BlockedError(Cause.NOT_A_CHECK, f"{gate.check}: {found} is neither yes (1 bool) nor no (0 bool)")
    return measured


def _levels(members: Mapping[str, ThresholdGate | BaselineGate], asked: Mapping[str, _Asked]) -> dict[str, float]:
    """The confidence at which each gate of a family has to pass."""

    def passes(name: str, confidence: float) -> bool:
        question = asked[name]
        if not isinstance(question, Question) or question.curve is None:
            return False
        bounds = question.curve(confidence)
        return compare(bounds, direction=question.gate.direction, target=question.target) is Verdict.PASS

    confidence = next(iter(members.values())).confidence
    assert confidence is not None
    return step_down(members, passes, confidence=confidence)


def _row_of(name: str, gates: Mapping[str, Gate], asked: _Asked, level: float | None, facts: Facts) -> GateResult:
    gate = gates[name]
    if isinstance(asked, BlockedError):
        return _blocked_row(name, gate, asked, facts.measurements)
    if isinstance(asked, Question):
        return _compared_row(name, asked, level)
    assert isinstance(gate, PredicateGate)
    holds = asked.value == 1.0
    remark = f": {asked.reason}" if asked.reason else ""
    return _row(
        name,
        gate,
        verdict=Verdict.PASS if holds else Verdict.FAIL,
        observed=asked.value,
        comparison="is",
        metric=gate.check,
        unit="bool",
        n=asked.n,
        evidence=asked.evidence,
        method="plain",
        reason=f"{gate.check} is {'yes' if holds else 'no'}, n={asked.n}{remark}",
    )


def _told_what_waits(
    rows: tuple[GateResult, ...], gates: Mapping[str, Gate], measurements: Mapping[str, Measurement]
) -> tuple[GateResult, ...]:
    """The same rows, where those that miss the shipped file say that it waits for the others to pass.

    Of a run that was exported, which later gates may judge otherwise, nothing waits: what is missing is missing.
    """
    earlier = [row for row in rows if row.severity != "advise" and gates[row.gate].phase != "shipped"]
    is_exported = any(row.metric in measurements for row in rows if gates[row.gate].phase == "shipped")
    if is_exported or all(row.verdict is Verdict.PASS for row in earlier):
        return rows
    return tuple(
        row.model_copy(
            update={
                "cause": Cause.NOT_EXPORTED,
                "reason": f"{row.metric}: not measured yet; nothing is exported before the other gates pass",
            }
        )
        if row.cause is Cause.MISSING and gates[row.gate].phase == "shipped"
        else row
        for row in rows
    )


def _compared_row(name: str, question: Question, level: float | None) -> GateResult:
    gate, target, measured = question.gate, question.target, question.measured
    own = question.own_bounds()
    bounds = own if level is None else question.pass_side(own, level)
    verdict = compare(bounds, direction=gate.direction, target=target)
    outlook = question.plan(bounds) if verdict is Verdict.INCONCLUSIVE else Plan()
    bound, other_bound = deciding_bounds(bounds, gate.direction)
    said = own if verdict is Verdict.FAIL else bounds  # a fail is proven at the gate's own confidence
    reason = sentence(question.subject, said, verdict=verdict, direction=gate.direction, target=target, plan=outlook)
    if level is not None:
        reason += f"; in family {gate.family} a pass needs {100 * level:.6g} % (Holm)"
    return _row(
        name,
        gate,
        verdict=verdict,
        observed=bounds.estimate,
        bound=bound,
        other_bound=other_bound,
        confidence=bounds.confidence,
        family=gate.family,
        target=target,
        comparison=_SIGNS[gate.direction],
        metric=gate.metric,
        unit=measured.unit,
        n=bounds.n,
        n_needed=outlook.needed,
        detectable=outlook.detectable,
        baseline_sha256=question.baseline_sha256,
        method=bounds.method,
        evidence=measured.evidence,
        reason=reason,
    )


def _blocked_row(name: str, gate: Gate, blocked: BlockedError, measurements: Mapping[str, Measurement]) -> GateResult:
    metric = gate.check if isinstance(gate, PredicateGate) else gate.metric
    found = measurements.get(metric)
    target = {"threshold": getattr(gate, "target", None), "baseline": getattr(gate, "margin", None)}.get(gate.kind)
    return _row(
        name,
        gate,
        verdict=Verdict.BLOCKED,
        cause=blocked.cause,
        observed=None,
        metric=metric,
        target=target,
        comparison="is" if isinstance(gate, PredicateGate) else _SIGNS[gate.direction],
        unit=found.unit if found else "",
        n=found.n if found else None,
        method="none",
        reason=blocked.reason,
        evidence=found.evidence if found else "",
        family=None if isinstance(gate, PredicateGate) else gate.family,
    )


def _row(name: str, gate: Gate, **found: Any) -> GateResult:
    values = {"target": None, "bound": None} | found
    return GateResult(gate=name, severity=gate.severity, on_failure=gate.on_failure, **values)
