"""Calibration error with honest bounds: does a stated confidence of 0.9 come true nine times in ten?

The expected calibration error sorts items by confidence into bins and adds up the bins' absolute gaps:

    ECE = sum over bins of |mean over all items of (correct - confidence) in this bin|

(Naeini, Cooper & Hauskrecht 2015; Guo et al. 2017). Its plain value is biased upwards, because noise in a bin never
cancels: ECE <= 0.10 with 15 bins fails a perfectly calibrated model 30 % of the time at 100 items. So:

    estimate  each bin's squared gap less its sampling variance, then the root (Broecker 2012; Kumar, Liang & Ma 2019)
    upper     ECE = max over signs s of the mean of s[bin] * (correct - confidence); the bound of that mean at the
              observed signs holds for all others too (intersection-union, Berger 1982), so nothing is chosen twice
    lower     plain value less the quantile of the noise |N(0, covariance of the bins)|, added up over bins (triangle
              inequality). A bin's variance is at least that of a calibrated model, confidence * (1 - confidence), which
              is consistency resampling (Broecker & Smith 2007; Vaicenavicius et al. 2019)

Both bounds are on the safe side; `benchmarks/gate_coverage.py` shows by how much. The error is that of the stated bins:
finer bins can find more. Top-label calibration of a classifier is the same with `correct` = the top label is right.

Does not cover calibration of every class, nor measuring it away (temperature scaling).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interlock.contracts.measurement import Bins
from interlock.gates.bootstrap import NUM_RESAMPLES, Scores
from interlock.gates.statistics import Bounds, Curve, enclosing, mean_curve


@dataclass(frozen=True, kw_only=True)
class Gaps:
    """Items sorted into bins."""

    signed: Scores
    """Each item's correct - confidence, with the sign of its bin's gap [n]; their mean is the plain ECE."""
    by_bin: Scores
    """Gap of each bin, weighted by its share of all items [bins]."""
    variance: Scores
    """Sampling variance of each gap, at least that of a calibrated model [bins]."""

    @property
    def plain(self) -> float:
        """The plain, upwards biased ECE."""
        return float(np.abs(self.by_bin).sum())

    @property
    def debiased(self) -> float:
        """The ECE less the bias of noise; 0 where noise explains it all."""
        return float(np.sqrt(np.maximum(self.by_bin**2 - self.variance, 0.0)).sum())

    @property
    def noise(self) -> float:
        """What a perfectly calibrated model would show on so many items: mean of the plain ECE."""
        return float(math.sqrt(2 / math.pi) * np.sqrt(self.variance).sum())


def gaps(correct: Scores, confidence: Scores, bins: Bins) -> Gaps:
    """Sort `correct` (0 or 1) and `confidence` (0..1), both float64 [n], into bins."""
    n, place = correct.size, _places(confidence, bins)
    difference = correct - confidence

    def per_bin(values: Scores) -> Scores:
        return np.bincount(place, values, minlength=bins.count) / n

    by_bin = per_bin(difference)
    calibrated = per_bin(confidence * (1 - confidence))
    observed = np.maximum(per_bin(difference**2) - by_bin**2, 0.0)
    variance = np.maximum(observed, calibrated) / max(n - 1, 1)
    return Gaps(signed=np.sign(by_bin)[place] * difference, by_bin=by_bin, variance=variance)


def plain_error(correct: Scores, confidence: Scores, bins: Bins) -> float:
    """The ECE as everybody computes it; what a measurement states as its value."""
    return gaps(correct, confidence, bins).plain


def calibration_curve(correct: Scores, confidence: Scores, bins: Bins, *, rng: np.random.Generator) -> Curve:
    """Bounds of the ECE at any confidence, around its debiased estimate; each within 0..1."""
    order = np.lexsort((correct, confidence))  # the same numbers whatever the order of items
    found = gaps(correct[order], confidence[order], bins)
    signed = mean_curve(found.signed, rng=rng, score_range=(-1.0, 1.0))
    deviations = rng.standard_normal((NUM_RESAMPLES, bins.count)) * np.sqrt(found.variance)
    noise = np.sort(np.abs(deviations).sum(axis=1))

    def at(confidence: float) -> Bounds:
        above = signed(confidence)
        lower = max(0.0, found.plain - float(np.quantile(noise, confidence)))
        upper = min(1.0, max(above.upper, found.plain))
        method = "ece" if above.method != "sparse" else "ece-sparse"
        return enclosing(found.debiased, lower, upper, confidence=confidence, method=method, n=above.n)

    return at


def _places(confidence: Scores, bins: Bins) -> NDArray[np.intp]:
    """Which bin each item belongs to."""
    if bins.layout == "equal_width":
        return np.clip(np.ceil(confidence * bins.count).astype(np.intp) - 1, 0, bins.count - 1)
    edges = np.quantile(confidence, np.arange(1, bins.count) / bins.count)
    return np.searchsorted(edges, confidence, side="left")
