"""Bounds: exact values against SciPy, honesty on degenerate samples, coverage by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.gates.statistics import MIN_DIFFERING, mean_bounds, quantile_bounds, rate_bounds


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
        for num_differing, method in ((MIN_DIFFERING - 1, "sparse"), (MIN_DIFFERING, "bca-t")):
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

    @pytest.mark.parametrize(
        ("draw", "true", "n"),
        [
            pytest.param("normal", 0.0, 60, marks=pytest.mark.slow),
            pytest.param("exponential", 1.0, 60, marks=pytest.mark.slow),
            ("exponential", 1.0, 20),
        ],
    )
    def test_coverage(self, draw, true, n, monkeypatch):
        """Each bound holds in about 95 % of samples: never more than 3 standard errors under 93.5 %.

        BCa alone falls to 90.7 % for the upper bound of the smallest skewed sample.
        """
        monkeypatch.setattr("interlock.gates.bootstrap.NUM_RESAMPLES", 999)
        draws = getattr(rng(11), draw)(size=(1000, n))
        found = [mean_bounds(row, confidence=0.95, rng=rng(i)) for i, row in enumerate(draws)]
        least = 0.935 - 3 * math.sqrt(0.935 * 0.065 / len(found))
        for holds in ([b.lower <= true for b in found], [b.upper >= true for b in found]):
            assert least <= np.mean(holds) <= 0.985


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
