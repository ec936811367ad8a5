"""The bootstrap: against SciPy, against itself written plainly, and far out where resamples run short."""

import math

import numpy as np
import pytest

from interlock.gates.bootstrap import MIN_BEYOND, NUM_RESAMPLES, resample


def rng(seed=0):
    return np.random.default_rng(seed)


def of_mean(scores, seed=2):
    return resample(scores - scores.mean(), None, rng(seed))


@pytest.mark.parametrize("draw", ["exponential", "normal", "uniform"])
def test_bca_of_a_mean_equals_scipys(draw):
    from scipy.stats import bootstrap

    scores = getattr(rng(1), draw)(size=60)
    found = of_mean(scores)
    low, high = (scores.mean() + found.scale * side for side in found.bca(0.95))
    peer = bootstrap((scores,), np.mean, confidence_level=0.9, n_resamples=20_000, rng=rng(3)).confidence_interval
    width = peer.high - peer.low
    assert low == pytest.approx(peer.low, abs=0.02 * width)
    assert high == pytest.approx(peer.high, abs=0.02 * width)


@pytest.mark.parametrize("skewed", [False, True])
def test_bca_of_a_ratio_equals_scipys(skewed):
    from scipy.stats import bootstrap

    x = rng(1).gamma(1.0 if skewed else 9.0, size=50)
    y = 3 * x + rng(2).exponential(size=50)
    estimate = y.sum() / x.sum()
    found = resample(y - estimate * x, x, rng(3))
    low, high = (estimate + found.scale * side for side in found.bca(0.95))
    peer = bootstrap(
        (y, x), lambda y, x, axis: y.sum(axis) / x.sum(axis), paired=True, vectorized=True,
        confidence_level=0.9, n_resamples=20_000, rng=rng(4),
    ).confidence_interval  # fmt: skip
    width = peer.high - peer.low
    assert low == pytest.approx(peer.low, abs=0.03 * width)
    assert high == pytest.approx(peer.high, abs=0.03 * width)


def test_the_studentized_bound_equals_its_definition(monkeypatch):
    """Efron & Tibshirani 1993, 12.22: mean - t(0.95) * se and mean - t(0.05) * se, resample by resample."""
    monkeypatch.setattr("interlock.gates.bootstrap.NUM_RESAMPLES", 399)
    scores = rng(5).exponential(size=30)
    random = rng(6)
    drawn = scores[random.integers(30, size=(399, 30), dtype=np.int32)]
    errors = drawn.std(axis=1) / math.sqrt(30)
    pivots = np.sort((drawn.mean(axis=1) - scores.mean()) / errors)
    error = scores.std() / math.sqrt(30)
    found = resample(scores - scores.mean(), None, rng(6))
    low, high = (found.scale * side for side in found.studentized(0.95))
    assert low == pytest.approx(-error * pivots[379])  # rank 0.95 * 400
    assert high == pytest.approx(-error * pivots[19])  # rank 0.05 * 400


def test_the_reach_is_the_wider_of_both():
    found = of_mean(rng(7).exponential(size=25))
    for confidence in (0.6, 0.9, 0.95, 0.99):
        both = np.array([found.bca(confidence), found.studentized(confidence)]) * found.scale
        assert found.reach(confidence) == (pytest.approx(both[:, 0].min()), pytest.approx(both[:, 1].max()))


def test_a_mean_is_the_ratio_over_ones():
    scores = rng(8).exponential(size=40)
    mean, ratio = of_mean(scores), resample(scores - scores.mean(), np.ones(40), rng(2))
    assert np.allclose(mean.reach(0.95), ratio.reach(0.95))


def test_the_unit_of_the_denominators_moves_the_bounds_along():
    y, x = rng(1).gamma(4.0, size=30), rng(2).gamma(4.0, size=30)
    plain, milli = (resample(y - y.sum() / x.sum() * x, x * unit, rng(3)) for unit in (1.0, 1000.0))
    assert np.allclose(np.array(plain.reach(0.95)), 1000 * np.array(milli.reach(0.95)))


def test_beyond_the_resamples_the_normal_bound_has_to_agree():
    """At 1 - 1e-9 the outermost of 9,999 resamples lies 4 standard errors out; the normal bound 6."""
    found = of_mean(rng(9).normal(size=400))
    confidence = 1 - 1e-9
    assert (1 - confidence) * (NUM_RESAMPLES + 1) < MIN_BEYOND
    low, high = (side / (found.scale * found.error) for side in found.reach(confidence))
    assert low < -5.99
    assert high > 5.99


def test_more_confidence_reaches_further():
    found = of_mean(rng(10).exponential(size=20))
    reaches = [found.reach(c) for c in (0.51, 0.8, 0.95, 0.98, 0.995, 0.999, 1 - 1e-6, 1 - 1e-12)]
    assert reaches == sorted(reaches, reverse=True)
    assert [high for _, high in reaches] == sorted(high for _, high in reaches)
