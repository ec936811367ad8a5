"""Two measurements of the same items, subtracted item by item, after every reason not to compare them is ruled out.

Unknown is not equal: a split or an evaluator without a digest blocks the comparison. A gate may pin its baseline to the
digest of its items and scores; then nothing else under that name is compared with.
"""

import hashlib
from dataclasses import dataclass

import numpy as np

from interlock.contracts.measurement import Measurement
from interlock.contracts.verdict import Cause
from interlock.gates.bootstrap import Scores
from interlock.gates.paired_rates import paired_rate_bounds
from interlock.gates.sample import BlockedError, Sample, score_range
from interlock.gates.statistics import MIN_DIFFERING, Bounds, Curve, mean_curve
from interlock.provenance.canonical import sha256_json


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Differences of two samples that may be compared."""

    differences: Scores
    """Scores of the metric less those of the baseline, float64 [n] in the order of their items."""
    are_rates: bool
    """Whether both are shares of yes/no items."""
    score_range: tuple[float, float]
    """Smallest and largest possible difference."""


def paired(sample: Sample, reference: Sample) -> Pairs:
    """Both samples item by item, or BlockedError saying why they cannot be compared."""
    metric, baseline = sample.measurement, reference.measurement
    rates = metric.estimator == baseline.estimator == "rate"
    return Pairs(
        differences=paired_differences(sample, reference),
        are_rates=rates,
        score_range=difference_range(metric, baseline),
    )


def difference_curve(pairs: Pairs, *, rng: np.random.Generator) -> Curve:
    """Bounds of the mean difference: Tango's score bounds for two rates, the bootstrap for other means.

    Fewer than `MIN_DIFFERING` pairs of rates take the conservative way of `mean_curve` too.
    """
    differences = pairs.differences
    # Tango's bounds are asymptotic: three gains in three pairs would prove a gain, and equal systems reach that in one
    # of eight samples.
    if not pairs.are_rates or differences.size < MIN_DIFFERING:
        return mean_curve(differences, rng=rng, score_range=pairs.score_range)
    gains, losses = int(np.count_nonzero(differences > 0)), int(np.count_nonzero(differences < 0))
    n = int(differences.size)

    def tango(confidence: float) -> Bounds:
        estimate, lower, upper = paired_rate_bounds(gains, losses, n, confidence=confidence)
        return Bounds(estimate=estimate, lower=lower, upper=upper, confidence=confidence, method="tango", n=n)

    return tango


def paired_differences(sample: Sample, reference: Sample) -> Scores:
    """Scores of `sample` less those of `reference`, float64 [n] in the order of their items, or BlockedError."""
    metric, baseline = sample.measurement, reference.measurement
    subject = f"{metric.name} - {baseline.name}"
    if metric.name == baseline.name or (metric.scores is not None and metric.scores == baseline.scores):
        raise BlockedError(Cause.NOT_COMPARABLE, f"{subject}: both are the same scores, n={metric.n}")
    if metric.unit != baseline.unit:
        raise BlockedError(Cause.UNIT, f"{subject}: one is in {metric.unit}, the other in {baseline.unit}")
    _refuse_unequal(Cause.SPLIT_DIFFERS, subject, "split", metric.split_sha256, baseline.split_sha256)
    _refuse_unequal(Cause.EVALUATOR_DIFFERS, subject, "evaluator", metric.evaluator_sha256, baseline.evaluator_sha256)
    scores, other_scores = _mean_scores(sample), _mean_scores(reference)
    assert sample.items is not None
    assert reference.items is not None
    if not np.array_equal(sample.items, reference.items):
        raise BlockedError(Cause.ITEMS_DIFFER, f"{subject}: n={metric.n} and n={baseline.n} are not the same items")
    return scores - other_scores


def scores_sha256(sample: Sample) -> str:
    """Digest of a sample's item ids and their scores, to pin a baseline to: whatever file holds them, in any order.

    SHA-256 of: the SHA-256 (hex) of the sorted ids as canonical JSON, then the scores as little-endian float64.
    Raises BlockedError for a sample without per-item scores.
    """
    if sample.scores is None or sample.items is None:
        name = sample.measurement.name
        raise BlockedError(Cause.NOT_COMPARABLE, f"{name}: a value without per-item scores is no baseline")
    scores = (sample.scores + 0.0).astype("<f8")  # -0.0 becomes 0.0
    return hashlib.sha256(sha256_json(sample.items.tolist()).encode() + scores.tobytes()).hexdigest()


def refuse_other_than(pinned: str | None, found: str, *, baseline: str) -> None:
    """Raise BlockedError unless the baseline is the pinned one."""
    if pinned is not None and pinned != found:
        raise BlockedError(
            Cause.BASELINE_CHANGED,
            f"{baseline}: its items and scores have the digest {found[:12]}, the gate is pinned to {pinned[:12]}",
        )


def difference_range(metric: Measurement, baseline: Measurement) -> tuple[float, float]:
    """Smallest and largest possible difference of two scores."""
    (low, high), (other_low, other_high) = score_range(metric), score_range(baseline)
    return low - other_high, high - other_low


def _mean_scores(sample: Sample) -> Scores:
    measured = sample.measurement
    if sample.scores is None or measured.estimator not in ("rate", "mean"):
        found = f"a {measured.estimator} {'with' if sample.scores is not None else 'without'} per-item scores"
        raise BlockedError(
            Cause.NOT_COMPARABLE, f"{measured.name}: {found}, n={measured.n}; only means of scores are compared"
        )
    return sample.scores


def _refuse_unequal(cause: Cause, subject: str, what: str, one: str | None, other: str | None) -> None:
    if one is None or one != other:
        raise BlockedError(
            cause, f"{subject}: {what} {(one or 'unknown')[:12]} is not known to be {(other or 'unknown')[:12]}"
        )
