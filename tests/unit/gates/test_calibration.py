"""Calibration error: exact small numbers, bins, honest bounds where the plain value misleads."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.contracts.measurement import Bins
from interlock.gates.calibration import calibration_curve, gaps, plain_error

WIDTH = Bins()


@pytest.fixture(scope="module", autouse=True)
def _few_resamples():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("interlock.gates.bootstrap.NUM_RESAMPLES", 499)
        patch.setattr("interlock.gates.calibration.NUM_RESAMPLES", 1999)
        yield


def rng(seed=0):
    return np.random.default_rng(seed)


def answers(n, seed=0, over=0.0, low=0.5):
    """Confidences and whether they came true; `over` of 0.1 means overconfident by a tenth."""
    confidence = rng(seed).uniform(low, 1.0, n)
    return (rng(seed + 10**6).random(n) < confidence - over).astype(float), confidence


def test_a_literal_example():
    """Bins of width 0.5: 0.4 and 0.2 with one hit are 0.4 short in sum, 0.9 and 0.7 with one hit 0.6 too much."""
    correct, confidence = np.array([1.0, 0.0, 1.0, 0.0]), np.array([0.4, 0.2, 0.9, 0.7])
    assert plain_error(correct, confidence, Bins(count=2)) == pytest.approx((0.4 + 0.6) / 4)
    assert plain_error(correct, confidence, Bins(count=1)) == pytest.approx(0.2 / 4)
    assert plain_error(correct, confidence, Bins(count=2, layout="equal_mass")) == pytest.approx((0.4 + 0.6) / 4)


def test_equals_the_definition_of_guo():
    """Bin m holds confidences in ((m-1)/M, m/M]; ECE = sum |B_m| / n * |acc(B_m) - conf(B_m)| (Guo et al. 2017)."""
    correct, confidence = answers(500, low=0.0)
    confidence[:3] = 0.0, 1.0, 3 / 15
    expected = 0.0
    for m in range(1, 16):
        inside = (confidence > (m - 1) / 15) & (confidence <= m / 15) | ((m == 1) & (confidence == 0))
        if inside.any():
            expected += inside.mean() * abs(correct[inside].mean() - confidence[inside].mean())
    assert plain_error(correct, confidence, WIDTH) == pytest.approx(expected)


def test_equal_confidences_share_a_bin():
    confidence = np.repeat([0.6, 0.7, 0.9], 40)
    correct = np.r_[np.ones(20), np.zeros(20), np.ones(40), np.ones(40)]
    found = gaps(correct, confidence, Bins(count=15, layout="equal_mass"))
    assert np.count_nonzero(found.by_bin) == 3


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(1, 80),
    seed=st.integers(0, 1000),
    count=st.integers(1, 20),
    layout=st.sampled_from(["equal_width", "equal_mass"]),
)
def test_bounds_hold_the_estimate_and_never_hang_on_the_order(n, seed, count, layout):
    correct, confidence = answers(n, seed)
    bins = Bins(count=count, layout=layout)
    by = rng(seed).permutation(n)
    found = calibration_curve(correct, confidence, bins, rng=rng(1))
    shuffled = calibration_curve(correct[by], confidence[by], bins, rng=rng(1))
    narrow, wide = found(0.8), found(0.95)
    assert (shuffled(0.8).lower, shuffled(0.8).upper) == (narrow.lower, narrow.upper)
    assert 0 <= wide.lower <= narrow.lower <= narrow.estimate <= narrow.upper <= wide.upper <= 1
    assert narrow.estimate <= plain_error(correct, confidence, bins) + 1e-12


def test_the_plain_value_misleads_and_the_bounds_do_not():
    """Perfectly calibrated, 100 items: by its plain value ECE <= 0.10 fails 30 % of the time, by the bound never."""
    found = [(plain_error(*answers(100, s, low=0.5), WIDTH), answers(100, s, low=0.5)) for s in range(300)]
    curves = [calibration_curve(*sample, WIDTH, rng=rng(1))(0.95) for _, sample in found]
    assert 0.2 < np.mean([plain > 0.1 for plain, _ in found]) < 0.4
    assert np.mean([bounds.lower > 0.1 for bounds in curves]) == 0
    plain = np.mean([plain for plain, _ in found])
    assert np.mean([bounds.estimate for bounds in curves]) < 0.5 * plain


@pytest.mark.parametrize("over", [0.0, *(pytest.param(over, marks=pytest.mark.slow) for over in (0.1, 0.25))])
def test_coverage(over):
    """The true error is the shift itself (all confidences of a bin are shifted alike)."""
    found = [calibration_curve(*answers(300, s, over), WIDTH, rng=rng(s))(0.95) for s in range(400)]
    least = 0.95 - 3 * math.sqrt(0.05 * 0.95 / len(found))
    assert np.mean([b.lower <= over for b in found]) >= least
    assert np.mean([b.upper >= over for b in found]) >= least


def test_bounds_close_in_on_the_error():
    for over in (0.0, 0.1):
        found = calibration_curve(*answers(20_000, 3, over), WIDTH, rng=rng())(0.95)
        assert found.upper - found.lower < 0.05
        assert found.lower <= over <= found.upper
        assert found.estimate == pytest.approx(over, abs=0.01)


def test_no_error_seen_is_no_proof_of_calibration():
    """60 answers of 0.99 all correct: one in twenty wrong would look the same in 5 % of samples."""
    found = calibration_curve(np.ones(60), np.full(60, 0.99), WIDTH, rng=rng())(0.95)
    assert found.method == "ece-sparse"
    assert found.lower == 0
    assert found.upper > 0.04
