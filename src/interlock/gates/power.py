"""How many items a one-sided test needs, and what the present ones can tell: textbook formulas, power 0.8.

Fleiss, Levin & Paik 2003, Statistical methods for rates and proportions, chapter 4: a test at `confidence` tells an
estimate from a target with power 0.8 when sqrt(n) * distance reaches z(confidence) * spread at the target + z(0.8) *
spread at the estimate. Assumes that the estimate is true: a plan, not a promise.
"""

import math
from statistics import NormalDist

POWER = 0.8
"""Chance to decide that plans are made for."""

MOST_ITEMS = 10**9
"""More than anyone has: such a number is no answer."""

_NORMAL = NormalDist()


def items_needed(
    estimate: float,
    target: float,
    *,
    spread: float,
    spread_at_target: float | None = None,
    confidence: float,
    noise: float = 0.0,
) -> int | None:
    """Items at which a one-sided test tells `estimate` from `target` with power 0.8, if the estimate is true.

    `spread` is the standard deviation of one item at the estimate, `spread_at_target` that at the target (the same
    unless given; for a share p it is sqrt(p (1 - p))). `noise` is a bias of noise / sqrt(n) to be overcome as well.
    None when they are equal or the number is beyond 10^9: no sample that anyone has would decide.
    """
    if estimate == target:
        return None
    reach = noise + _reach(spread, spread if spread_at_target is None else spread_at_target, confidence)
    root = reach / abs(estimate - target)
    return max(1, math.ceil(root**2)) if root <= math.sqrt(MOST_ITEMS) else None


def detectable_difference(
    n: int, *, spread: float, spread_at_target: float | None = None, confidence: float, noise: float = 0.0
) -> float:
    """Smallest distance from a target that `n` items tell with power 0.8; arguments as for `items_needed`."""
    at_target = spread if spread_at_target is None else spread_at_target
    return (noise + _reach(spread, at_target, confidence)) / math.sqrt(n)


def detectable_share(n: int, target: float, *, above: bool, confidence: float) -> float | None:
    """Smallest distance above (or below) a target share that `n` yes/no items tell with power 0.8; None when none."""

    def tells(distance: float) -> bool:
        share = target + distance if above else target - distance
        reach = _reach(share_spread(share), share_spread(target), confidence)
        return math.sqrt(n) * distance >= reach

    low, high = 0.0, 1 - target if above else target
    if high <= 0 or not tells(high):
        return None
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if tells(middle) else (middle, high)
    return high


def share_spread(share: float) -> float:
    """Standard deviation of one yes/no item with P(yes) = `share`."""
    return math.sqrt(max(share * (1 - share), 0.0))


def _reach(spread: float, at_target: float, confidence: float) -> float:
    return _NORMAL.inv_cdf(confidence) * at_target + _NORMAL.inv_cdf(POWER) * spread
