"""One-sided confidence bounds, and how many items would be needed to decide.

`lower` lies under the true value in at least `confidence` of all samples, and so does `upper` above it; both at once
hold less often. Judging needs one of them, so nothing is halved.

SciPy is imported where it is needed: `scipy.stats` alone takes longer to load than a judgement may take. The bootstrap
of a mean is therefore written out here (its acceleration has a closed form, which also saves the n x n jackknife) and
checked against `scipy.stats.bootstrap` in the tests.

Does not cover looking again and again at growing data: a fixed interval is valid for one look.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]

NUM_RESAMPLES = 9_999
"""Bootstrap resamples; the 95 % bound then moves by about 1 % of the interval from seed to seed."""

MIN_DIFFERING = 10
"""Items that must differ from the most common score before a bootstrap is trusted: resamples of 1 gain among 1,000
ties never fall below the ties, whatever the truth is."""

POWER = 0.8
"""Chance to decide that `items_needed` plans for."""

_CHUNK = 1 << 21
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
    """`wilson`, `bca`, `sparse`, `order-statistic` or `plain`."""
    n: int
    """Number of items."""


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
    """Bounds of the mean of `scores` [n] by the BCa bootstrap (Efron 1987); for paired data pass the differences.

    When fewer than `MIN_DIFFERING` items differ from the most common score (also when all are equal, or n is small)
    the bootstrap has nothing to work with. Then the share of differing items is bounded (Clopper-Pearson) and those
    items are taken at the worst end of `score_range`: wide, honest, and infinite when the range is unknown.
    Raises ValueError for an empty sample. The order of the scores does not matter.
    """
    if scores.size == 0:
        raise ValueError("the mean of nothing has no bounds")
    ordered = np.sort(scores)
    common, num_differing = _most_common(ordered)
    if num_differing < MIN_DIFFERING:
        lower, upper = _sparse(common, num_differing, ordered.size, confidence=confidence, score_range=score_range)
        method = "sparse"
    else:
        lower, upper = _bca(ordered, confidence=confidence, rng=rng)
        method = "bca"
    return _enclosing(float(ordered.mean()), lower, upper, confidence=confidence, method=method, n=int(ordered.size))


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
    return _enclosing(estimate, lower, upper, confidence=confidence, method="order-statistic", n=n)


def items_needed(
    estimate: float, target: float, *, spread: float, spread_at_target: float | None = None, confidence: float
) -> int | None:
    """Items at which a one-sided test tells `estimate` from `target` with power 0.8, if the estimate is true.

    `spread` is the standard deviation of one item at the estimate, `spread_at_target` that at the target (the same
    unless given; for a share p it is sqrt(p (1 - p))). Fleiss, Statistical Methods for Rates and Proportions, 2.5.
    None when they are equal or the number is beyond 10^9: no sample that anyone has would decide.
    """
    if estimate == target:
        return None
    at_target = spread if spread_at_target is None else spread_at_target
    reach = _NORMAL.inv_cdf(confidence) * at_target + _NORMAL.inv_cdf(POWER) * spread
    needed = (reach / (estimate - target)) ** 2
    return math.ceil(needed) if needed <= 1e9 else None


def detectable_difference(n: int, *, spread: float, confidence: float) -> float:
    """Smallest distance from a target that `n` items tell with power 0.8; `spread` is the deviation of one item."""
    return (_NORMAL.inv_cdf(confidence) + _NORMAL.inv_cdf(POWER)) * spread / math.sqrt(n)


def share_spread(share: float) -> float:
    """Standard deviation of one yes/no item with P(yes) = `share`."""
    return math.sqrt(max(share * (1 - share), 0.0))


def _enclosing(estimate: float, lower: float, upper: float, *, confidence: float, method: str, n: int) -> Bounds:
    """Bounds that hold their estimate: in tiny samples the formulas can put it outside; widening is always safe."""
    return Bounds(
        estimate=estimate,
        lower=min(lower, estimate),
        upper=max(upper, estimate),
        confidence=confidence,
        method=method,
        n=n,
    )


def _most_common(ordered: Scores) -> tuple[float, int]:
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


def _bca(ordered: Scores, *, confidence: float, rng: np.random.Generator) -> tuple[float, float]:
    means = _resampled_means(ordered, rng)
    mean = ordered.mean()
    under = (np.count_nonzero(means < mean) + np.count_nonzero(means <= mean)) / (2 * means.size)
    bias = _NORMAL.inv_cdf(min(max(under, 0.5 / means.size), 1 - 0.5 / means.size))
    deviations = ordered - mean
    deviations /= np.abs(deviations).max()  # it has no unit; scaled, its powers neither over- nor underflow
    acceleration = float((deviations**3).sum() / (6 * (deviations**2).sum() ** 1.5))
    levels = [_adjusted(z, bias, acceleration) for z in (_NORMAL.inv_cdf(1 - confidence), _NORMAL.inv_cdf(confidence))]
    lower, upper = np.quantile(means, levels)
    return float(lower), float(upper)


def _adjusted(z: float, bias: float, acceleration: float) -> float:
    """The percentile of the bootstrap distribution that stands for `z`, corrected for bias and skewness."""
    shifted = bias + z
    denominator = 1 - acceleration * shifted
    if denominator <= 0:  # only beyond 6 standard deviations: take the outermost resample
        return 0.0 if z < 0 else 1.0
    return _NORMAL.cdf(bias + shifted / denominator)


def _resampled_means(ordered: Scores, rng: np.random.Generator) -> Scores:
    """`NUM_RESAMPLES` means of samples drawn with replacement, a few at a time to keep memory flat."""
    means = np.empty(NUM_RESAMPLES)
    rows = max(1, _CHUNK // ordered.size)
    for start in range(0, NUM_RESAMPLES, rows):
        block = means[start : start + rows]
        block[:] = ordered[rng.integers(ordered.size, size=(block.size, ordered.size))].mean(axis=1)
    return means
