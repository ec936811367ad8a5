"""Mann-Whitney confidence interval of a shift, as R's `wilcox.test(conf.int = TRUE, exact = FALSE)` defines it.

The bounds are the shifts at which the rank-sum statistic, corrected for ties and continuity, reaches the normal
quantile (Bauer 1972; Hodges and Lehmann 1963 for the estimate); R's documentation of `wilcox.test` and Kayenta's
`kayenta-judge/.../mannwhitney/MannWhitney.scala` (spinnaker/kayenta) use the same definition.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from gatebench.cases import Scores

_NORMAL = NormalDist()


@dataclass(frozen=True, kw_only=True)
class Shift:
    """By how much the first sample lies above the second."""

    estimate: float
    lower: float
    upper: float


def shift_interval(sample: Scores, control: Scores, *, confidence: float) -> Shift:
    """Two-sided interval of the shift sample - control; both need at least one finite number."""
    least, most = float(sample.min() - control.max()), float(sample.max() - control.min())
    z = _NORMAL.inv_cdf(1 - (1 - confidence) / 2)

    def root(level: float, correct: bool) -> float:
        def distance(shift: float) -> float:
            return _standardised(sample - shift, control, correct=correct) - level

        return _crossing(distance, least, most)

    return Shift(estimate=root(0.0, False), lower=root(z, True), upper=root(-z, True))


def _standardised(sample: Scores, control: Scores, *, correct: bool) -> float:
    from scipy.stats import rankdata

    n, m = len(sample), len(control)
    ranks = rankdata(np.r_[sample, control])
    distance = float(ranks[:n].sum()) - n * (n + 1) / 2 - n * m / 2
    _, ties = np.unique(ranks, return_counts=True)
    tied = float((ties.astype(float) ** 3 - ties).sum()) / ((n + m) * (n + m - 1))
    sigma = math.sqrt(max(n * m / 12 * ((n + m + 1) - tied), 0.0))
    if correct:
        distance -= math.copysign(0.5, distance) if distance else 0.0
    return distance / sigma if sigma else 0.0


def _crossing(distance: Callable[[float], float], least: float, most: float) -> float:
    """Where the falling step function `distance` crosses zero; its ends where it does not."""
    from scipy.optimize import brentq

    if least == most or distance(least) <= 0:
        return least
    if distance(most) >= 0:
        return most
    return float(brentq(distance, least, most, xtol=1e-4))
