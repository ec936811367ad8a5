"""Two measurements of the same items, subtracted item by item, after every reason not to compare them is ruled out.

Unknown is not equal: a split or an evaluator without a digest blocks the comparison.
"""

import numpy as np

from interlock.contracts.measurement import Measurement
from interlock.contracts.verdict import Cause
from interlock.gates.sample import BlockedError, Sample, score_range
from interlock.gates.statistics import Scores


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
