"""What a gate with a number asks: bounds of one sample, or of a paired difference, against a target.

Everything that may not be judged is refused here; what remains can be asked at any confidence, which a family of gates
does. A measurement has one interval, whichever gate asks for it: random numbers depend on the seed and on what is
measured, never on a gate's name or place.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from interlock.contracts.gate import BaselineGate, ThresholdGate
from interlock.contracts.measurement import Bins, Measurement
from interlock.contracts.verdict import Cause
from interlock.gates.calibration import calibration_curve, gaps
from interlock.gates.pairing import difference_curve, paired, refuse_other_than, scores_sha256
from interlock.gates.planning import (
    Plan,
    calibration_plan,
    mean_plan,
    paired_rate_plan,
    quantile_plan,
    ratio_plan,
    share_plan,
)
from interlock.gates.ratio import ratio_curve
from interlock.gates.sample import BlockedError, ItemIds, Sample, checked_sample, score_range
from interlock.gates.statistics import Bounds, Curve, mean_curve, quantile_bounds, rate_bounds, value_bounds


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What all gates look at, and the seed of their random numbers."""

    measurements: Mapping[str, Measurement]
    scores: Mapping[str, Any]
    items: Mapping[str, ItemIds]
    seed: int
    unavailable: Mapping[str, BlockedError] = field(default_factory=dict)
    """Measurements that may not be used, and why."""
    _curves: dict[tuple[str, ...], Curve] = field(default_factory=dict)

    def sample(self, name: str) -> Sample:
        """The sample of a measurement. Raises BlockedError for one that is not fit to be judged."""
        if name in self.unavailable:
            raise self.unavailable[name]
        return checked_sample(name, self.measurements, scores=self.scores, items=self.items)

    def curve(self, *names: str, make: Callable[[np.random.Generator], Curve]) -> Curve:
        """The curve of these measurements, made once."""
        if names not in self._curves:
            key = hashlib.blake2b("\0".join(names).encode(), digest_size=8).digest()
            self._curves[names] = make(np.random.default_rng([self.seed, int.from_bytes(key, "little")]))
        return self._curves[names]


@dataclass(frozen=True, kw_only=True)
class Question:
    """One gate with everything that it takes to answer it."""

    gate: ThresholdGate | BaselineGate
    subject: str
    """What is compared, for the reason."""
    target: float
    """Threshold or margin."""
    measured: Measurement
    """The measurement that the gate names."""
    n: int
    """Number of items, or of pairs."""
    estimate: float
    """What a plain comparison compares."""
    curve: Curve | None
    """Bounds at any confidence; None for a plain comparison."""
    plan: Callable[[Bounds], Plan]
    """What it would take to decide."""
    baseline_sha256: str | None = None
    """Digest of the baseline."""

    def own_bounds(self) -> Bounds:
        """The bounds at the gate's own confidence; for a plain comparison the value itself."""
        if self.curve is None or self.gate.confidence is None:
            return value_bounds(self.estimate, self.n)
        return self.curve(self.gate.confidence)

    def pass_side(self, own: Bounds, level: float) -> Bounds:
        """The gate's own bounds with the one that a pass needs at the confidence that its family asks for."""
        assert self.curve is not None
        adjusted = self.curve(level)
        if self.gate.direction == "at_least":
            return replace(own, lower=adjusted.lower, confidence=level)
        return replace(own, upper=adjusted.upper, confidence=level)


def threshold_question(gate: ThresholdGate, facts: Facts) -> Question:
    """The question of a threshold gate. Raises BlockedError where it may not be asked."""
    sample = facts.sample(gate.metric)
    measured = sample.measurement
    if measured.unit != gate.unit:
        wanted = f"the gate's {gate.target:g} is in {gate.unit}"
        raise BlockedError(Cause.UNIT, f"{gate.metric}: measured in {measured.unit}, {wanted}")
    _refuse_few(gate.metric, measured.n, gate.n_min)
    return Question(
        gate=gate,
        subject=_subject(sample),
        target=gate.target,
        measured=measured,
        n=measured.n,
        estimate=_estimate(sample),
        curve=None if gate.confidence is None else sample_curve(sample, facts, confidence=gate.confidence),
        plan=lambda bounds: _sample_plan(sample, bounds, gate.target),
    )


def baseline_question(gate: BaselineGate, facts: Facts) -> Question:
    """The question of a baseline gate. Raises BlockedError where it may not be asked."""
    sample, reference = facts.sample(gate.metric), facts.sample(gate.reference)
    pairs = paired(sample, reference)
    digest = scores_sha256(reference)
    refuse_other_than(gate.baseline_sha256, digest, baseline=gate.reference)
    subject, plan = f"{gate.metric} - {gate.reference}", paired_rate_plan if pairs.are_rates else mean_plan
    n = int(pairs.differences.size)
    _refuse_few(subject, n, gate.n_min)

    def curve(rng: np.random.Generator) -> Curve:
        return difference_curve(pairs, rng=rng)

    return Question(
        gate=gate,
        subject=subject,
        target=gate.margin,
        measured=sample.measurement,
        n=n,
        estimate=float(pairs.differences.mean()),
        curve=None if gate.confidence is None else facts.curve(gate.metric, gate.reference, make=curve),
        plan=lambda bounds: plan(pairs.differences, bounds, gate.margin),
        baseline_sha256=digest,
    )


def sample_curve(sample: Sample, facts: Facts, *, confidence: float) -> Curve:
    """The bounds of one sample at any confidence.

    Raises BlockedError, naming the confidence asked for, where there are no per-item scores to give it.
    """
    measured = sample.measurement
    if sample.scores is None or measured.estimator == "value":
        raise BlockedError(
            Cause.NO_INTERVAL,
            f"{measured.name}: {sample.value:g} has no per-item scores for a {100 * confidence:g} % bound; "
            "measure them, or compare plainly with confidence: null",
        )
    return facts.curve(measured.name, make=lambda rng: _curve(sample, rng))


def _estimate(sample: Sample) -> float:
    """The value that is compared: of a calibration error without its bias, of everything else as measured."""
    measured, scores, second = sample.measurement, sample.scores, sample.second
    if measured.estimator != "calibration" or scores is None or second is None:
        return sample.value
    return gaps(scores, second, measured.bins or Bins()).debiased


def _curve(sample: Sample, rng: np.random.Generator) -> Curve:
    measured, scores, second = sample.measurement, sample.scores, sample.second
    assert scores is not None
    match measured.estimator:
        case "rate":
            return lambda confidence: rate_bounds(int(scores.sum()), measured.n, confidence=confidence)
        case "quantile":
            quantile = measured.quantile
            assert quantile is not None
            return lambda confidence: quantile_bounds(scores, quantile, confidence=confidence)
        case "ratio":
            assert second is not None
            return ratio_curve(scores, second, rng=rng)
        case "calibration":
            assert second is not None
            return calibration_curve(scores, second, measured.bins or Bins(), rng=rng)
        case _:
            return mean_curve(scores, rng=rng, score_range=score_range(measured))


def _sample_plan(sample: Sample, bounds: Bounds, target: float) -> Plan:
    measured, scores, second = sample.measurement, sample.scores, sample.second
    assert scores is not None
    match measured.estimator:
        case "rate":
            return share_plan(bounds, target)
        case "quantile":
            assert measured.quantile is not None
            return quantile_plan(scores, measured.quantile, bounds=bounds, target=target)
        case "ratio":
            assert second is not None
            return ratio_plan(scores, second, bounds=bounds, target=target)
        case "calibration":
            assert second is not None
            return calibration_plan(gaps(scores, second, measured.bins or Bins()), bounds, target)
        case _:
            return mean_plan(scores, bounds, target)


def _subject(sample: Sample) -> str:
    """The metric's name; of a calibration error with its plain value, which is not the estimate that is judged."""
    measured = sample.measurement
    if measured.estimator != "calibration":
        return measured.name
    bins = measured.bins or Bins()
    layout = bins.layout.replace("_", "-")
    return f"{measured.name} (plain {sample.value:.3f} over {bins.count} {layout} bins) debiased"


def _refuse_few(subject: str, n: int, n_min: int) -> None:
    if n < n_min:
        raise BlockedError(Cause.TOO_FEW, f"{subject}: n={n} is under the n_min of {n_min}")
