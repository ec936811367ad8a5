"""A ratio of sums over items, e.g. tokens per second: bounds that let both sums vary together.

The ratio of two means is no mean of ratios: a slow item weighs more. Items are resampled whole, so that numerator and
denominator stay paired (`interlock.gates.bootstrap`).
"""

import math

import numpy as np

from interlock.gates.bootstrap import Scores, resample
from interlock.gates.statistics import MIN_DIFFERING, Bounds, Curve, enclosing, most_common

MIN_POSITIVE = 2 * MIN_DIFFERING
"""Positive denominators that are enough where some are zero: a resample without any has a chance under 10^-8."""


def residuals(numerators: Scores, denominators: Scores) -> Scores:
    """What each item has more than the common ratio gives it: y - ratio * x, adding up to zero."""
    return numerators - float(numerators.sum() / denominators.sum()) * denominators


def ratio_curve(numerators: Scores, denominators: Scores, *, rng: np.random.Generator) -> Curve:
    """Bounds of sum(numerators) / sum(denominators), both float64 [n], at any confidence.

    Without a bound (-inf, inf; method `sparse`) where fewer than `MIN_DIFFERING` items differ from the common ratio, or
    nearly all denominators are zero. Raises ValueError for denominators that are negative or add up to nothing.
    """
    if numerators.size == 0 or denominators.min() < 0 or denominators.sum() <= 0:
        raise ValueError("a ratio needs denominators of zero or more that add up to something")
    order = np.lexsort((numerators, denominators))  # the same resamples whatever the order of items
    y, x = numerators[order], denominators[order]
    estimate, n = float(y.sum() / x.sum()), int(x.size)
    rest = residuals(y, x)
    if is_sparse(y, x):

        def unknown(confidence: float) -> Bounds:
            return enclosing(estimate, -math.inf, math.inf, confidence=confidence, method="sparse", n=n)

        return unknown
    resampled = resample(rest, x, rng)

    def at(confidence: float) -> Bounds:
        low, high = resampled.reach(confidence)
        return enclosing(estimate, estimate + low, estimate + high, confidence=confidence, method="bca-t", n=n)

    return at


def is_sparse(numerators: Scores, denominators: Scores) -> bool:
    """Whether there is too little to resample."""
    rest = residuals(numerators, denominators)
    scale = float(max(np.abs(numerators).max(), np.abs(rest).max())) or 1.0
    num_differing = most_common(np.sort(np.round(rest / scale, 9)))[1]
    num_positive = int(np.count_nonzero(denominators))
    return num_differing < MIN_DIFFERING or num_positive < min(MIN_POSITIVE, denominators.size)
