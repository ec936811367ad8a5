"""The judge: gates and measurements in, one row per gate out. Pure, and closed to doubt.

    rows = judge(gates, measurements, scores=..., items=..., seed=seed_of(run_id))
    verdict = fold(rows)                                    # interlock.contracts.verdict

It raises nothing about the data: whatever cannot be judged is a `blocked` row that says why. The same inputs give the
same rows, whatever the order of gates, measurements or items. A measurement has one interval, whichever gate asks for
it: random numbers depend on the seed and on what is measured, never on a gate's name or place.

Does not cover reading files (the judge stage) nor what to do about a verdict (`interlock.decisions`).
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from interlock.contracts.gate import BaselineGate, Gate, PredicateGate, ThresholdGate
from interlock.contracts.measurement import Measurement
from interlock.contracts.verdict import Cause, GateResult, Verdict
from interlock.gates.comparison import compare, deciding_bounds, sentence
from interlock.gates.pairing import difference_range, paired_differences
from interlock.gates.planning import Plan, mean_plan, sample_plan
from interlock.gates.sample import BlockedError, ItemIds, Sample, checked_sample, score_range
from interlock.gates.statistics import Bounds, mean_bounds, quantile_bounds, rate_bounds, value_bounds

_SIGNS = {"at_least": ">=", "at_most": "<="}


@dataclass(frozen=True, kw_only=True)
class _Facts:
    """What all gates look at, and the seed of their random numbers."""

    measurements: Mapping[str, Measurement]
    scores: Mapping[str, Any]
    items: Mapping[str, ItemIds]
    seed: int

    def sample(self, name: str) -> Sample:
        return checked_sample(name, self.measurements, scores=self.scores, items=self.items)

    def rng(self, *names: str) -> np.random.Generator:
        key = hashlib.blake2b("\0".join(names).encode(), digest_size=8).digest()
        return np.random.default_rng([self.seed, int.from_bytes(key, "little")])


def judge(
    gates: Mapping[str, Gate],
    measurements: Mapping[str, Measurement],
    *,
    scores: Mapping[str, Any],
    items: Mapping[str, ItemIds],
    seed: int,
) -> tuple[GateResult, ...]:
    """Judge every gate; rows stand in the order of the gates' names.

    Args:
        gates: Gates by name.
        measurements: Measurements by their own name.
        scores: Per-item scores [n] by measurement name, numbers; needed for every measurement that states a file of
            scores.
        items: Item ids [n] by measurement name, in the order of its scores.
        seed: Non-negative seed of the bootstrap, `seed_of(run_id)` for a run.
    """
    facts = _Facts(measurements=measurements, scores=scores, items=items, seed=seed)
    return tuple(_judge_one(name, gates[name], facts) for name in sorted(gates))


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
    facts = _Facts(measurements=measurements, scores=scores, items=items, seed=seed)
    return _bounds(facts.sample(name), confidence, facts.rng(name))


def _judge_one(name: str, gate: Gate, facts: _Facts) -> GateResult:
    try:
        match gate:
            case ThresholdGate():
                return _threshold(name, gate, facts)
            case BaselineGate():
                return _baseline(name, gate, facts)
            case PredicateGate():
                return _predicate(name, gate, facts)
    except BlockedError as blocked:
        return _blocked_row(name, gate, blocked, facts.measurements)


def _threshold(name: str, gate: ThresholdGate, facts: _Facts) -> GateResult:
    sample = facts.sample(gate.metric)
    measured = sample.measurement
    if measured.unit != gate.unit:
        wanted = f"the gate's {gate.target:g} is in {gate.unit}"
        raise BlockedError(Cause.UNIT, f"{gate.metric}: measured in {measured.unit}, {wanted}")
    _refuse_few(gate.metric, measured.n, gate.n_min)
    bounds = _bounds(sample, gate.confidence, facts.rng(gate.metric))
    return _compared_row(
        name,
        gate,
        bounds,
        target=gate.target,
        subject=gate.metric,
        measured=measured,
        plan=lambda: sample_plan(sample, bounds, gate.target),
    )


def _baseline(name: str, gate: BaselineGate, facts: _Facts) -> GateResult:
    sample, reference = facts.sample(gate.metric), facts.sample(gate.baseline)
    differences = paired_differences(sample, reference)
    n = int(differences.size)
    _refuse_few(f"{gate.metric} - {gate.baseline}", n, gate.n_min)
    if gate.confidence is None:
        bounds = value_bounds(float(differences.mean()), n)
    else:
        bounds = mean_bounds(
            differences,
            confidence=gate.confidence,
            rng=facts.rng(gate.metric, gate.baseline),
            score_range=difference_range(sample.measurement, reference.measurement),
        )
    return _compared_row(
        name,
        gate,
        bounds,
        target=gate.margin,
        subject=f"{gate.metric} - {gate.baseline}",
        measured=sample.measurement,
        plan=lambda: mean_plan(differences, bounds, gate.margin),
    )


def _predicate(name: str, gate: PredicateGate, facts: _Facts) -> GateResult:
    measured = facts.sample(gate.check).measurement
    if measured.unit != "bool" or measured.value not in (0.0, 1.0):
        found = f"{measured.value:g} {measured.unit}"
        raise BlockedError(Cause.NOT_A_CHECK, f"{gate.check}: {found} is neither yes (1 bool) nor no (0 bool)")
    holds = measured.value == 1.0
    remark = f": {measured.reason}" if measured.reason else ""
    return _row(
        name,
        gate,
        verdict=Verdict.PASS if holds else Verdict.FAIL,
        observed=measured.value,
        comparison="is",
        metric=gate.check,
        unit="bool",
        n=measured.n,
        evidence=measured.evidence,
        method="plain",
        reason=f"{gate.check} is {'yes' if holds else 'no'}, n={measured.n}{remark}",
    )


def _refuse_few(subject: str, n: int, n_min: int) -> None:
    if n < n_min:
        raise BlockedError(Cause.TOO_FEW, f"{subject}: n={n} is under the n_min of {n_min}")


def _bounds(sample: Sample, confidence: float | None, rng: np.random.Generator) -> Bounds:
    measured, scores = sample.measurement, sample.scores
    if confidence is None:
        return value_bounds(sample.value, measured.n)
    if scores is None or measured.estimator == "value":
        raise BlockedError(
            Cause.NO_INTERVAL,
            f"{measured.name}: {sample.value:g} has no per-item scores for a {100 * confidence:g} % bound; "
            "measure them, or compare plainly with confidence: null",
        )
    match measured.estimator:
        case "rate":
            return rate_bounds(int(scores.sum()), measured.n, confidence=confidence)
        case "mean":
            return mean_bounds(scores, confidence=confidence, rng=rng, score_range=score_range(measured))
        case "quantile":
            assert measured.quantile is not None
            return quantile_bounds(scores, measured.quantile, confidence=confidence)


def _compared_row(
    name: str,
    gate: ThresholdGate | BaselineGate,
    bounds: Bounds,
    *,
    target: float,
    subject: str,
    measured: Measurement,
    plan: Callable[[], Plan],
) -> GateResult:
    verdict = compare(bounds, direction=gate.direction, target=target)
    outlook = plan() if verdict is Verdict.INCONCLUSIVE else Plan()
    bound, other_bound = deciding_bounds(bounds, gate.direction)
    return _row(
        name,
        gate,
        verdict=verdict,
        observed=bounds.estimate,
        bound=bound,
        other_bound=other_bound,
        target=target,
        comparison=_SIGNS[gate.direction],
        metric=gate.metric,
        unit=measured.unit,
        n=bounds.n,
        n_needed=outlook.needed,
        method=bounds.method,
        evidence=measured.evidence,
        reason=sentence(subject, bounds, verdict=verdict, direction=gate.direction, target=target, plan=outlook),
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
    )


def _row(name: str, gate: Gate, **found: Any) -> GateResult:
    values = {"target": None, "bound": None} | found
    return GateResult(gate=name, severity=gate.severity, on_failure=gate.on_failure, **values)
