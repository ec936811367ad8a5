"""Bounds: exact values against SciPy, honesty on degenerate samples, coverage by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.gates.statistics import (
    MIN_DIFFERING,
    detectable_difference,
    items_needed,
    mean_bounds,
    quantile_bounds,
    rate_bounds,
    share_spread,
)


def rng(seed=0):
    return np.random.default_rng(seed)


class TestRate:
    @pytest.mark.parametrize(("successes", "n"), [(0, 10), (1, 10), (7, 10), (10, 10), (642, 1204), (1, 1), (0, 1)])
    @pytest.mark.parametrize("confidence", [0.8, 0.95, 0.999])
    def test_equals_scipys_wilson(self, successes, n, confidence):
        from scipy.stats import binomtest

        found = rate_bounds(successes, n, confidence=confidence)
        # SciPy's one-sided alternatives put all of alpha on one side, as ours do.
        below = binomtest(successes, n, alternative="greater").proportion_ci(confidence, method="wilson")
        above = binomtest(successes, n, alternative="less").proportion_ci(confidence, method="wilson")
        assert found.lower == pytest.approx(below.low, abs=1e-12)
        assert found.upper == pytest.approx(above.high, abs=1e-12)

    def test_literal_example(self):
        found = rate_bounds(81, 263, confidence=0.975)  # Newcombe 1998, table I: 0.2553 .. 0.3662
        assert (round(found.lower, 4), round(found.upper, 4)) == (0.2553, 0.3662)
        assert (found.estimate, found.method, found.n) == (81 / 263, "wilson", 263)

    @given(n=st.integers(1, 10**6), data=st.data(), confidence=st.floats(0.51, 0.9999))
    def test_estimate_lies_between(self, n, data, confidence):
        found = rate_bounds(data.draw(st.integers(0, n)), n, confidence=confidence)
        assert 0.0 <= found.lower <= found.estimate <= found.upper <= 1.0
        assert found.lower < found.upper

    @pytest.mark.parametrize(("successes", "n"), [(-1, 5), (6, 5), (0, 0)])
    def test_refuses_counts_that_cannot_be(self, successes, n):
        with pytest.raises(ValueError, match="a rate needs"):
            rate_bounds(successes, n, confidence=0.95)

    @pytest.mark.parametrize("n", [100, 1000])
    @pytest.mark.parametrize("true", [0.1, 0.5, 0.9])
    def test_coverage(self, n, true):
        """Exact, without simulation: sum the binomial probabilities of the samples whose bound holds."""
        from scipy.stats import binom

        counts = np.arange(n + 1)
        found = [rate_bounds(int(k), n, confidence=0.95) for k in counts]
        weights = binom.pmf(counts, n, true)
        for holds in ([b.lower <= true for b in found], [b.upper >= true for b in found]):
            assert float(weights[holds].sum()) == pytest.approx(0.95, abs=0.025)


class TestMean:
    @pytest.mark.parametrize("draw", ["exponential", "normal", "uniform"])
    def test_equals_scipys_bca(self, draw):
        from scipy.stats import bootstrap

        scores = getattr(rng(1), draw)(size=60)
        found = mean_bounds(scores, confidence=0.95, rng=rng(2))
        peer = bootstrap((scores,), np.mean, confidence_level=0.9, n_resamples=20_000, rng=rng(3)).confidence_interval
        width = peer.high - peer.low
        assert found.method == "bca"
        assert found.lower == pytest.approx(peer.low, abs=0.02 * width)
        assert found.upper == pytest.approx(peer.high, abs=0.02 * width)

    def test_order_of_the_scores_does_not_matter(self):
        scores = rng().exponential(size=50)
        assert mean_bounds(scores, confidence=0.95, rng=rng()) == mean_bounds(scores[::-1], confidence=0.95, rng=rng())

    def test_shifting_and_scaling_moves_the_bounds_along(self):
        scores = rng().exponential(size=40)
        plain, moved = (mean_bounds(s, confidence=0.95, rng=rng(5)) for s in (scores, 1e6 * scores - 7e6))
        assert moved.lower == pytest.approx(1e6 * plain.lower - 7e6)
        assert moved.upper == pytest.approx(1e6 * plain.upper - 7e6)

    def test_more_confidence_is_wider(self):
        scores = rng().normal(size=80)
        bounds = [mean_bounds(scores, confidence=c, rng=rng(1)) for c in (0.6, 0.9, 0.99, 1 - 1e-9)]
        assert [b.lower for b in bounds] == sorted((b.lower for b in bounds), reverse=True)
        assert [b.upper for b in bounds] == sorted(b.upper for b in bounds)

    def test_identical_scores_are_no_evidence_of_a_narrow_mean(self):
        """The rule of three: 300 equal scores leave about 1 % of unseen items at the worst end of the range."""
        found = mean_bounds(np.ones(300), confidence=0.95, rng=rng(), score_range=(0.0, 1.0))
        assert found.method == "sparse"
        assert found.lower == pytest.approx(1 - (1 - 0.05 ** (1 / 300)))
        assert found.upper == 1.0

    def test_identical_scores_in_an_unknown_range_give_no_bound(self):
        found = mean_bounds(np.full(300, 3.2), confidence=0.95, rng=rng())
        assert (found.estimate, found.lower, found.upper) == (pytest.approx(3.2), -math.inf, math.inf)

    def test_rounding_noise_is_not_spread(self):
        scores = np.full(500, 0.3) + rng().normal(size=500) * 1e-15
        assert mean_bounds(scores, confidence=0.95, rng=rng()).method == "sparse"

    def test_one_gain_among_ties_is_no_proof_of_a_gain(self):
        """A percentile or BCa bound would stand at 0 here and let `margin: 0` pass."""
        found = mean_bounds(np.r_[np.zeros(999), 1.0], confidence=0.95, rng=rng(), score_range=(-1.0, 1.0))
        assert found.lower < 0 < found.estimate < found.upper

    def test_ten_differing_items_are_enough_for_the_bootstrap(self):
        for num_differing, method in ((MIN_DIFFERING - 1, "sparse"), (MIN_DIFFERING, "bca")):
            scores = np.r_[np.zeros(200), np.ones(num_differing)]
            assert mean_bounds(scores, confidence=0.95, rng=rng(), score_range=(-1.0, 1.0)).method == method

    @settings(max_examples=40)
    @given(
        scores=st.lists(st.floats(-1.0, 1.0), min_size=1, max_size=30),
        confidence=st.floats(0.51, 0.9999),
        seed=st.integers(0, 2**32),
    )
    def test_estimate_lies_between(self, scores, confidence, seed):
        found = mean_bounds(np.array(scores), confidence=confidence, rng=rng(seed), score_range=(-1.0, 1.0))
        assert found.lower <= found.estimate <= found.upper
        assert not math.isnan(found.lower + found.upper)

    def test_refuses_an_empty_sample(self):
        with pytest.raises(ValueError, match="mean of nothing"):
            mean_bounds(np.array([]), confidence=0.95, rng=rng())

    @pytest.mark.parametrize("skewed", [False, True])
    def test_coverage(self, skewed, monkeypatch):
        """The bounds hold in about 95 % of samples; the upper one in a little less where the tail is long."""
        monkeypatch.setattr("interlock.gates.statistics.NUM_RESAMPLES", 999)
        draws = rng(11).exponential(size=(1500, 60)) if skewed else rng(11).normal(loc=1.0, size=(1500, 60))
        found = [mean_bounds(row, confidence=0.95, rng=rng(i)) for i, row in enumerate(draws)]
        assert np.mean([b.lower <= 1.0 for b in found]) == pytest.approx(0.95, abs=0.02)
        assert np.mean([b.upper >= 1.0 for b in found]) == pytest.approx(0.95, abs=0.035 if skewed else 0.02)

    @pytest.mark.parametrize("num_expected", [2, 12])
    def test_few_differing_pairs_never_undercover_much(self, num_expected, monkeypatch):
        """Hit differences of two equal models: false proofs of a gain stay near or under 5 %.

        Measured over 3,000 samples: 0.0 % at 4 differing pairs, 2.5 % at 16, 6.6 % at 24, 7.5 % at 60 (4.1 and 5.2 %
        without the ties at exactly 0, which `>=` lets pass: with whole hits the bootstrap moves in steps of 1/n).
        """
        monkeypatch.setattr("interlock.gates.statistics.NUM_RESAMPLES", 499)
        share = num_expected / 800
        draws = rng(4).choice([-1.0, 0.0, 1.0], p=[share, 1 - 2 * share, share], size=(800, 400))
        found = [mean_bounds(row, confidence=0.95, rng=rng(i), score_range=(-1.0, 1.0)) for i, row in enumerate(draws)]
        assert np.mean([b.lower >= 0 for b in found]) <= 0.085


class TestQuantile:
    def test_textbook_ranks(self):
        """n=100, median: the one-sided 95 % bounds are the 42nd and the 59th of the ordered values."""
        found = quantile_bounds(np.arange(1.0, 101.0), 0.5, confidence=0.95)
        assert (found.lower, found.estimate, found.upper) == (42.0, 50.5, 59.0)
        assert found.method == "order-statistic"

    def test_p95_needs_59_items_for_an_upper_bound(self):
        assert quantile_bounds(np.arange(58.0), 0.95, confidence=0.95).upper == math.inf
        assert quantile_bounds(np.arange(59.0), 0.95, confidence=0.95).upper == 58.0

    def test_one_item_gives_no_bound_but_is_no_error(self):
        found = quantile_bounds(np.array([3.0]), 0.5, confidence=0.95)
        assert (found.lower, found.estimate, found.upper) == (-math.inf, 3.0, math.inf)

    def test_refuses_an_empty_sample(self):
        with pytest.raises(ValueError, match="quantile of nothing"):
            quantile_bounds(np.array([]), 0.5, confidence=0.95)

    @given(
        scores=st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=200),
        quantile=st.floats(0.01, 0.99),
        confidence=st.floats(0.6, 0.999),
    )
    def test_estimate_lies_between(self, scores, quantile, confidence):
        found = quantile_bounds(np.array(scores), quantile, confidence=confidence)
        assert found.lower <= found.estimate <= found.upper

    @pytest.mark.parametrize("quantile", [0.5, 0.95])
    def test_coverage(self, quantile):
        draws = rng(7).exponential(size=(3000, 300))
        true = -math.log(1 - quantile)
        found = [quantile_bounds(row, quantile, confidence=0.95) for row in draws]
        for holds in ([b.lower <= true for b in found], [b.upper >= true for b in found]):
            assert 0.94 <= np.mean(holds) <= 0.985  # never under, a little over because ranks are whole


class TestPlanning:
    def test_textbook_number(self):
        """0.55 against 0.50 with power 0.8: 617 items, the 500-1,000 queries of the literature."""
        needed = items_needed(
            0.55, 0.50, spread=share_spread(0.55), spread_at_target=share_spread(0.50), confidence=0.95
        )
        assert needed == 617

    def test_planned_number_reaches_its_power(self):
        from scipy.stats import binom

        n = 617
        passing = [k for k in range(n + 1) if rate_bounds(k, n, confidence=0.95).lower >= 0.5]
        assert binom.sf(passing[0] - 1, n, 0.55) == pytest.approx(0.8, abs=0.02)

    def test_nothing_decides_between_equals(self):
        assert items_needed(0.5, 0.5, spread=0.5, confidence=0.95) is None
        assert items_needed(0.5, 0.5 + 1e-9, spread=0.5, confidence=0.95) is None

    def test_detectable_difference_shrinks_with_the_root(self):
        one, four = (detectable_difference(n, spread=0.5, confidence=0.95) for n in (100, 400))
        assert one == pytest.approx(2 * four)
        assert one == pytest.approx(0.1243, abs=1e-4)
