"""Paired differences of small samples: what asymptotic bounds would prove by luck."""

import itertools

import numpy as np
import pytest
from judged_world import World, hits, over

from interlock.contracts.verdict import Verdict
from interlock.gates.pairing import Pairs, difference_curve
from interlock.gates.statistics import MIN_DIFFERING


def rng():
    return np.random.default_rng(0)


def lower_bound(gains, losses, n):
    differences = np.r_[np.ones(gains), -np.ones(losses), np.zeros(n - gains - losses)]
    pairs = Pairs(differences=differences, are_rates=True, score_range=(-1.0, 1.0))
    return difference_curve(pairs, rng=rng())(0.95)


def test_three_gains_in_three_pairs_prove_nothing():
    row = World().add("r_at_5", hits(3, 3)).add("bm25.r_at_5", hits(0, 3)).judge(over())[0]
    assert (row.verdict, row.method) == (Verdict.INCONCLUSIVE, "sparse")
    assert row.bound == pytest.approx(1 - 2 * (1 - 0.05 ** (1 / 3)))
    assert row.n_needed == 5  # 5 of 5 have odds of 1 in 32


@pytest.mark.parametrize("n", range(2, MIN_DIFFERING))
def test_equal_systems_with_few_pairs_pass_in_one_of_twenty_at_most(n):
    from scipy.stats import multinomial

    counts = [(gains, losses) for gains, losses in itertools.product(range(n + 1), repeat=2) if gains + losses <= n]
    passing = [(*pair, n - sum(pair)) for pair in counts if lower_bound(*pair, n).lower >= 0]
    for discordance in (0.1, 0.5, 0.8, 1.0):
        odds = multinomial(n, (discordance / 2, discordance / 2, 1 - discordance))
        assert sum(odds.pmf(found) for found in passing) <= 0.05


def test_ten_pairs_have_bounds_of_their_own():
    assert lower_bound(6, 1, MIN_DIFFERING).method == "tango"
    assert lower_bound(6, 1, MIN_DIFFERING - 1).method == "sparse"
