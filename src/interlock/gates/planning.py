"""What it would take to decide an inconclusive gate: how many items, and what the present ones can tell.

Planned as a one-sided test with power 0.8 on the assumption that the estimate is true. A plan, not a promise: it
never enters a verdict.
"""

import math
from dataclasses import dataclass

from interlock.gates.sample import Sample
from interlock.gates.statistics import Bounds, Scores, detectable_difference, items_needed, share_spread


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What it would take to decide."""

    needed: int | None = None
    """Items that would decide; None when no number would, or none can be given."""
    detectable: float | None = None
    """Distance from the target that the present sample could tell; None when unknown."""


def sample_plan(sample: Sample, bounds: Bounds, target: float) -> Plan:
    """The plan for a measurement. A quantile is planned as the share of items that do not exceed the target."""
    assert sample.scores is not None
    if bounds.method == "wilson":
        return _share_plan(bounds.estimate, target, bounds)
    if bounds.method == "order-statistic":
        assert sample.measurement.quantile is not None
        share = float((sample.scores <= target).mean())
        return Plan(needed=_share_plan(share, sample.measurement.quantile, bounds).needed)
    return mean_plan(sample.scores, bounds, target)


def mean_plan(scores: Scores, bounds: Bounds, target: float) -> Plan:
    """The plan for a mean of `scores` [n]; empty when too few of them differ to know their spread."""
    assert bounds.confidence is not None
    if bounds.method == "sparse":
        return Plan()
    spread = float(scores.std())
    needed = items_needed(bounds.estimate, target, spread=spread, confidence=bounds.confidence)
    return Plan(
        needed=_worth_saying(needed, bounds.n),
        detectable=detectable_difference(bounds.n, spread=spread, confidence=bounds.confidence),
    )


def _share_plan(share: float, goal: float, bounds: Bounds) -> Plan:
    assert bounds.confidence is not None
    at_goal = share_spread(goal)
    needed = items_needed(
        share, goal, spread=share_spread(share), spread_at_target=at_goal, confidence=bounds.confidence
    )
    return Plan(
        needed=_worth_saying(needed, bounds.n),
        detectable=detectable_difference(bounds.n, spread=at_goal, confidence=bounds.confidence),
    )


def _worth_saying(needed: int | None, n: int) -> int | None:
    """Rounded up to two significant digits, and always more than the sample that did not decide."""
    if needed is None:
        return None
    needed = max(needed, n + 1)
    unit = int(10 ** max(0, math.floor(math.log10(needed)) - 1))
    return -(-needed // unit) * unit
