"""What it would take to decide an inconclusive gate: how many items, and what the present ones can tell.

Planned as a one-sided test with power 0.8 on the assumption that the estimate is true (`interlock.gates.power`). A
plan, not a promise: it never enters a verdict.
"""

import math
from dataclasses import dataclass

import numpy as np

from interlock.gates.bootstrap import Scores
from interlock.gates.calibration import Gaps
from interlock.gates.paired_rates import restricted_spread
from interlock.gates.power import MOST_ITEMS, detectable_difference, detectable_share, items_needed, share_spread
from interlock.gates.ratio import residuals
from interlock.gates.statistics import MIN_DIFFERING, Bounds, most_common


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What it would take to decide."""

    needed: int | None = None
    """Items that would decide; None when no number would, or none can be given."""
    detectable: float | None = None
    """Distance from the target that the present sample could tell; None when unknown."""
    obstacle: str = ""
    """Why no number of items can be given."""


def share_plan(bounds: Bounds, target: float) -> Plan:
    """The plan for a share of yes/no items."""
    share, confidence = bounds.estimate, _confidence(bounds)
    needed = items_needed(
        share, target, spread=share_spread(share), spread_at_target=share_spread(target), confidence=confidence
    )
    detectable = detectable_share(bounds.n, target, above=_is_above(share, target), confidence=confidence)
    return _plan(bounds, target, needed=needed, detectable=detectable)


def mean_plan(scores: Scores, bounds: Bounds, target: float) -> Plan:
    """The plan for a mean of `scores` [n], or of paired differences."""
    if bounds.method == "sparse":
        return _sparse_plan(scores, bounds, target)
    return spread_plan(float(scores.std()), bounds, target)


def spread_plan(
    spread: float, bounds: Bounds, target: float, *, spread_at_target: float | None = None, noise: float = 0.0
) -> Plan:
    """The plan where one item deviates by `spread` (standard deviation); arguments as for `items_needed`."""
    confidence = _confidence(bounds)
    return _plan(
        bounds,
        target,
        needed=items_needed(
            bounds.estimate,
            target,
            spread=spread,
            spread_at_target=spread_at_target,
            confidence=confidence,
            noise=noise,
        ),
        detectable=detectable_difference(
            bounds.n, spread=spread, spread_at_target=spread_at_target, confidence=confidence, noise=noise
        ),
    )


def quantile_plan(scores: Scores, quantile: float, *, bounds: Bounds, target: float) -> Plan:
    """The plan for a quantile, planned as the share of items that do not exceed the target."""
    confidence = _confidence(bounds)
    share = float((scores <= target).mean())
    needed = items_needed(
        share, quantile, spread=share_spread(share), spread_at_target=share_spread(quantile), confidence=confidence
    )
    if needed is not None:  # a bound exists only from here on
        outer = quantile if bounds.estimate <= target else 1 - quantile
        needed = max(needed, math.ceil(math.log1p(-confidence) / math.log(outer)))
    under = _is_above(target, bounds.estimate)
    distance = detectable_share(bounds.n, quantile, above=under, confidence=confidence)
    if distance is None:
        return _plan(bounds, target, needed=needed, detectable=None)
    reached = float(np.quantile(scores, min(1.0, quantile + distance) if under else max(0.0, quantile - distance)))
    return _plan(bounds, target, needed=needed, detectable=abs(reached - float(np.quantile(scores, quantile))))


def paired_rate_plan(differences: Scores, bounds: Bounds, target: float) -> Plan:
    """The plan for a difference of two rates on the same items, `differences` of -1, 0 and 1 [n]."""
    if bounds.method == "sparse":
        return _sparse_plan(differences, bounds, target)
    gains, losses = int(np.count_nonzero(differences > 0)), int(np.count_nonzero(differences < 0))
    at_target = restricted_spread(gains, losses, bounds.n, target)
    plan = spread_plan(float(differences.std()), bounds, target, spread_at_target=at_target)
    # With next to nothing discordant the spread is nearly 0, but the bounds are not.
    least = max(bounds.upper - bounds.estimate, bounds.estimate - bounds.lower)
    return Plan(needed=plan.needed, detectable=max(plan.detectable or 0.0, least), obstacle=plan.obstacle)


def ratio_plan(numerators: Scores, denominators: Scores, *, bounds: Bounds, target: float) -> Plan:
    """The plan for a ratio of sums, from how much items deviate from the common ratio."""
    if bounds.method == "sparse":
        return Plan(obstacle="hardly any item differs from the common ratio, or hardly any has a denominator")
    spread = float(residuals(numerators, denominators).std() / denominators.mean())
    return spread_plan(spread, bounds, target)


def calibration_plan(found: Gaps, bounds: Bounds, target: float) -> Plan:
    """The plan for a calibration error, whose bounds have to overcome the noise of all bins."""
    if bounds.method == "ece-sparse":
        return Plan(
            detectable=max(bounds.upper - bounds.estimate, bounds.estimate - bounds.lower),
            obstacle=f"fewer than {MIN_DIFFERING} items tell how much they differ",
        )
    # The plain value lies above the estimate: that stands before a bound under the target, and helps one above it.
    excess = found.plain - bounds.estimate
    noise = excess if bounds.estimate < target else max(0.0, found.noise - excess)
    return spread_plan(float(found.signed.std()), bounds, target, noise=noise * math.sqrt(bounds.n))


def _sparse_plan(scores: Scores, bounds: Bounds, target: float) -> Plan:
    """Where nearly all items score the same: enough of them to see that, or until enough differ for a bootstrap."""
    reach = bounds.estimate - bounds.lower if bounds.estimate > target else bounds.upper - bounds.estimate
    detectable = reach if math.isfinite(reach) else None
    num_differing = most_common(np.sort(scores))[1]
    if num_differing:
        spread = float(scores.std())
        needed = items_needed(bounds.estimate, target, spread=spread, confidence=_confidence(bounds))
        enough = math.ceil(bounds.n * MIN_DIFFERING / num_differing)
        return _plan(bounds, target, needed=needed and max(needed, enough), detectable=detectable)
    if detectable is None:
        return Plan(obstacle="all items score the same, and how far others could lie is not known")
    # One-sided bound of a share of which nothing was seen: 1 - (1 - confidence)^(1 / n).
    worst = reach / -math.expm1(math.log1p(-_confidence(bounds)) / bounds.n)
    share = abs(bounds.estimate - target) / worst
    needed = None
    if 1 / MOST_ITEMS < share < 1:
        needed = math.ceil(math.log1p(-_confidence(bounds)) / math.log1p(-share))
    return _plan(bounds, target, needed=needed, detectable=detectable)


def _plan(bounds: Bounds, target: float, *, needed: int | None, detectable: float | None) -> Plan:
    obstacle = ""
    if needed is None:
        on_target = bounds.estimate == target
        obstacle = "the estimate lies on the target" if on_target else "the estimate lies too close to the target"
    return Plan(needed=_worth_saying(needed, bounds.n), detectable=detectable, obstacle=obstacle)


def _worth_saying(needed: int | None, n: int) -> int | None:
    """Rounded up to two significant digits, and always more than the sample that did not decide."""
    if needed is None:
        return None
    needed = max(needed, n + 1)
    unit = int(10 ** max(0, math.floor(math.log10(needed)) - 1))
    return -(-needed // unit) * unit


def _is_above(estimate: float, target: float) -> bool:
    """Which side of the target to plan for; on it, the one with more room for a share."""
    return estimate > target or (estimate == target and target < 0.5)


def _confidence(bounds: Bounds) -> float:
    assert bounds.confidence is not None
    return bounds.confidence
