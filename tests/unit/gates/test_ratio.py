"""Ratios: refusals, properties, honesty where denominators run out, coverage by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.gates.ratio import MIN_POSITIVE, ratio_curve


@pytest.fixture(scope="module", autouse=True)
def _few_resamples():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("interlock.gates.bootstrap.NUM_RESAMPLES", 499)
        yield


def rng(seed=0):
    return np.random.default_rng(seed)


def sums(n, seed=0):
    """Tokens and seconds of n answers: long answers take longer, and a little more."""
    seconds = rng(seed).gamma(4.0, 1.0, n)
    return 8 * seconds + rng(seed + 1).exponential(4.0, n), seconds


@pytest.mark.parametrize("denominators", [[], [1.0, -1.0, 3.0], [0.0, 0.0, 0.0]])
def test_refuses_denominators_that_give_no_ratio(denominators):
    with pytest.raises(ValueError, match="add up to something"):
        ratio_curve(np.ones(len(denominators)), np.array(denominators), rng=rng())


def test_a_ratio_is_no_mean_of_ratios():
    found = ratio_curve(*sums(200), rng=rng())(0.95)
    y, x = sums(200)
    assert found.estimate == pytest.approx(y.sum() / x.sum())
    assert found.estimate != pytest.approx(float((y / x).mean()), rel=1e-3)
    assert found.lower < found.estimate < found.upper
    assert (found.method, found.n, found.confidence) == ("bca-t", 200, 0.95)


def test_pairs_stay_together():
    """y = 8 x exactly but for a little noise: the bounds are far tighter than those of independent sums."""
    x = rng(1).gamma(1.0, 1.0, 100)
    found = ratio_curve(8 * x + rng(2).normal(0, 0.01, 100), x, rng=rng())(0.95)
    assert found.upper - found.lower < 0.02


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), n=st.integers(1, 60))
def test_the_order_of_items_does_not_matter_and_the_estimate_lies_between(seed, n):
    y, x = sums(n, seed % 1000)
    by = rng(seed).permutation(n)
    found = ratio_curve(y, x, rng=rng(5))(0.9)
    shuffled = ratio_curve(y[by], x[by], rng=rng(5))(0.9)
    assert (found.lower, found.upper) == (shuffled.lower, shuffled.upper)
    assert found.lower <= found.estimate <= found.upper


def test_hardly_any_denominator_gives_no_bound():
    for num_positive, method in ((MIN_POSITIVE - 1, "sparse"), (MIN_POSITIVE, "bca-t")):
        x = np.r_[rng(1).gamma(2.0, 1.0, num_positive), np.zeros(300)]
        found = ratio_curve(rng(2).gamma(2.0, 1.0, x.size), x, rng=rng())(0.95)
        assert found.method == method
        assert math.isinf(found.lower) is math.isinf(found.upper) is (method == "sparse")


def test_one_common_ratio_is_no_evidence():
    """Every item at exactly 8 per second is a constant, not a measurement."""
    x = rng(1).gamma(2.0, 1.0, 100)
    found = ratio_curve(8 * x, x, rng=rng())(0.95)
    assert (found.method, found.lower, found.upper) == ("sparse", -math.inf, math.inf)


@pytest.mark.parametrize("n", [30, 150])
def test_coverage(n):
    true = 8 + 4.0 / 4.0
    found = [ratio_curve(*sums(n, 10 * i), rng=rng(i))(0.95) for i in range(700)]
    least = 0.935 - 3 * math.sqrt(0.935 * 0.065 / len(found))
    for holds in ([b.lower <= true for b in found], [b.upper >= true for b in found]):
        assert least <= np.mean(holds) <= 0.985
