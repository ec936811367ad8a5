"""What a score says about each pair, asked both ways: right or wrong, how sure, and what that adds up to.

A pair is one item. Forward is the class that precision and recall are about:

    accuracy    share of pairs in the right order; the two ways of a pair are right or wrong together
    F1          2 TP / (2 TP + FP + FN), summed over both ways of all pairs: a ratio of sums over pairs
    confidence  probability of the answer that is given, calibrated

Doubt goes against the adapter: an answer that cannot decide (score 0, as between two equal passages) is wrong when it
is the adapter's, and half right when it is a baseline's. Shapes: P pairs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interlock.contracts.measurement import Bins

Scores = NDArray[np.float64]

BINS = Bins(count=15, layout="equal_mass")
"""Bins of the calibration error: as many pairs in each."""


@dataclass(frozen=True)
class Answers:
    """Scores of "the first passage given comes first" for every pair as it was written, and for it turned round."""

    forward: Scores
    """[P] above 0 where the right order is recognised."""
    backward: Scores
    """[P] below 0 where the turned order is recognised."""

    def correct(self, *, undecided: float = 0.0) -> Scores:
        """[P] mean over both ways; 0 or 1 where the score changes its sign with the order and decides at all."""
        return (_right(self.forward, undecided) + _right(-self.backward, undecided)) / 2

    @property
    def f1_parts(self) -> tuple[Scores, Scores]:
        """[P] twice the true positives, and that plus false positives and false negatives."""
        twice_hits = 2.0 * (self.forward > 0).astype(np.float64)
        return twice_hits, twice_hits + (self.backward >= 0).astype(np.float64) + (self.forward <= 0).astype(np.float64)

    def confidence(self, temperature: float) -> Scores:
        """[P] stated probability of the answer that was given, 0.5 to 1."""
        return 1.0 / (1.0 + np.exp(-np.abs(self.forward) / temperature))


def _right(scores: Scores, undecided: float) -> Scores:
    return np.where(scores == 0, undecided, (scores > 0).astype(np.float64))


def reliability_rows(correct: Scores, confidence: Scores) -> list[tuple[float, float, int]]:
    """Mean confidence, share of right answers and pairs of each bin of equal mass that holds any."""
    edges = np.quantile(confidence, np.arange(1, BINS.count) / BINS.count)
    place = np.searchsorted(edges, confidence, side="left")  # as interlock.gates.calibration sorts them
    rows = []
    for number in range(BINS.count):
        if len(inside := np.flatnonzero(place == number)):
            rows.append((float(confidence[inside].mean()), float(correct[inside].mean()), len(inside)))
    return rows
