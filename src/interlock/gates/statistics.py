"""One-sided confidence bounds of rates, means and quantiles.

`lower` lies under the true value in at least `confidence` of all samples, and so does `upper` above it; both at once
hold less often. Judging needs one of them, so nothing is halved.

A `Curve` gives the bounds of one sample at any confidence. It resamples once, so that a family of gates can ask again.

SciPy is imported where it is needed: `scipy.stats` alone takes longer to load than a judgement may take. The bootstrap
is therefore written out (`interlock.gates.bootstrap`; its acceleration has a closed form, which also saves the n x n
jackknife) and checked against `scipy.stats.bootstrap` in the tests.

A Wilson bound with few items expected beyond it errs a little: of 95 % asked for, `lower` holds in 92.2 % at a true
0.02 of 50 items and in 93.3 % at 0.1 of 200, `upper` alike at 0.98 and 0.9; elsewhere in 94 % and more.

Does not cover looking again and again at growing data: a fixed interval is valid for one look. Ratios, calibration
errors and paired rates have modules of their own.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from interlock.gates.bootstrap import Scores, resample

MIN_DIFFERING = 10
"""Items that must differ from the most common score before a bootstrap is trusted: resamples of 1 gain among 1,000
ties never fall below the ties, whatever the truth is."""

_NORMAL = NormalDist()


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """An estimate between two one-sided bounds, in the unit of the scores."""

    estimate: float
    """The value of the sample."""
    lower: float
    """One-sided lower bound; -inf when the sample gives none."""
    upper: float
    """One-sided upper bound; inf when the sample gives none."""
    confidence: float | None
    """Confidence of each bound by itself; None for a plain value."""
    method: str
    """`wilson`, `tango`, `bca-t`, `order-statistic`, `ece`, `sparse`, `ece-sparse` or `plain`."""
    n: int
    """Number of items."""


Curve = Callable[[float], Bounds]
"""Bounds of one sample at a confidence; more confidence never narrows them."""


def value_bounds(value: float, n: int) -> Bounds:
    """A plain value: no interval, both bounds are the value."""
    return Bounds(estimate=value, lower=value, upper=value, confidence=None, method="plain", n=n)


def rate_bounds(successes: int, n: int, *, confidence: float) -> Bounds:
    """Wilson score bounds (1927) of a share. Raises ValueError unless 0 <= successes <= n and n >= 1."""
    if not 0 <= successes <= n or n < 1:
        raise ValueError(f"a rate needs 0 <= successes <= n and n >= 1, not {successes} of {n}")
    z, share = _NORMAL.inv_cdf(confidence), successes / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # At 0 and n the formula gives 0 and 1 up to rounding; a bound must not lie on the wrong side of its estimate.
    lower = 0.0 if successes == 0 else middle - half
    upper = 1.0 if successes == n else middle + half
    return Bounds(estimate=share, lower=lower, upper=upper, confidence=confidence, method="wilson", n=n)


def mean_bounds(
    scores: Scores,
    *,
    confidence: float,
    rng: np.random.Generator,
    score_range: tuple[float, float] = (-math.inf, math.inf),
) -> Bounds:
    """Bounds of the mean of `scores` [n] at one confidence; see `mean_curve`."""
    return mean_curve(scores, rng=rng, score_range=score_range)(confidence)


def mean_curve(
    scores: Scores, *, rng: np.random.Generator, score_range: tuple[float, float] = (-math.inf, math.inf)
) -> Curve:
    """Bounds of the mean of `scores` [n] by the bootstrap; for paired data pass the differences.

    When fewer than `MIN_DIFFERING` items differ from the most common score (also when all are equal, or n is small)
    the bootstrap has nothing to work with. Then the share of differing items is bounded (Clopper-Pearson) and those
    items are taken at the worst end of `score_range`: wide, honest, and infinite when the range is unknown.
    Raises ValueError for an empty sample. The order of the scores does not matter.
    """
    if scores.size == 0:
        raise ValueError("the mean of nothing has no bounds")
    ordered = np.sort(scores)
    mean, n = float(ordered.mean()), int(ordered.size)
    common, num_differing = most_common(ordered)
    if num_differing < MIN_DIFFERING:

        def sparse(confidence: float) -> Bounds:
            lower, upper = _sparse(common, num_differing, n, confidence=confidence, score_range=score_range)
            return enclosing(mean, lower, upper, confidence=confidence, method="sparse", n=n)

        return sparse
    resampled = resample(ordered - mean, None, rng)

    def bootstrapped(confidence: float) -> Bounds:
        low, high = resampled.reach(confidence)
        return enclosing(mean, mean + low, mean + high, confidence=confidence, method="bca-t", n=n)

    return bootstrapped


def quantile_bounds(scores: Scores, quantile: float, *, confidence: float) -> Bounds:
    """Distribution-free bounds of a quantile: order statistics chosen by the binomial distribution.

    The number of items under the true quantile is Binomial(n, quantile) for continuous data, and ties only make the
    bounds wider. A sample too small for a bound gives -inf or inf (the 95 % upper bound of P95 needs 59 items).
    Raises ValueError for an empty sample.
    """
    from scipy.special import bdtr

    if scores.size == 0:
        raise ValueError("a quantile of nothing has no bounds")
    ordered = np.sort(scores)
    n = int(ordered.size)
    at_most = bdtr(np.arange(n, dtype=np.float64), n, quantile)  # at_most[k] = P(items under it <= k)
    below = int(np.searchsorted(at_most, 1 - confidence, side="right"))  # ranks with P(items under it < rank) <= alpha
    above = int(np.searchsorted(at_most, confidence, side="left"))  # first k with P(<= k) >= confidence
    estimate = float(np.quantile(ordered, quantile))
    lower = float(ordered[below - 1]) if below else -math.inf
    upper = float(ordered[above]) if above < n else math.inf
    return enclosing(estimate, lower, upper, confidence=confidence, method="order-statistic", n=n)


def enclosing(estimate: float, lower: float, upper: float, *, confidence: float, method: str, n: int) -> Bounds:
    """Bounds that hold their estimate: in tiny samples the formulas can put it outside; widening is always safe."""
    return Bounds(
        estimate=estimate,
        lower=min(lower, estimate),
        upper=max(upper, estimate),
        confidence=confidence,
        method=method,
        n=n,
    )


def most_common(ordered: Scores) -> tuple[float, int]:
    """The most common score and how many items differ from it by more than rounding (1e-9 of the largest)."""
    scale = float(np.abs(ordered).max()) or 1.0
    _, first, counts = np.unique(np.round(ordered / scale, 9), return_index=True, return_counts=True)
    most = int(counts.argmax())
    return float(ordered[first[most]]), int(ordered.size - counts[most])


def _sparse(
    common: float, num_differing: int, n: int, *, confidence: float, score_range: tuple[float, float]
) -> tuple[float, float]:
    from scipy.special import betaincinv

    share = 1.0 if num_differing == n else float(betaincinv(num_differing + 1, n - num_differing, confidence))
    low, high = score_range
    return common - share * (common - low), common + share * (high - common)
