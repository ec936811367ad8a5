"""Every bootstrapped bound on more samples than the quick tests take; the full table: `benchmarks/gate_coverage.py`."""

import math

import numpy as np
import pytest

from interlock.contracts.measurement import Bins
from interlock.gates.calibration import calibration_curve, plain_error
from interlock.gates.ratio import ratio_curve
from interlock.gates.statistics import mean_bounds

pytestmark = pytest.mark.slow
NUM_SAMPLES = 700
NOISE = 3 * math.sqrt(0.05 * 0.95 / NUM_SAMPLES)
"""Three standard errors of a share of 0.95."""


@pytest.fixture(scope="module", autouse=True)
def _fewer_resamples():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("interlock.gates.bootstrap.NUM_RESAMPLES", 1499)
        patch.setattr("interlock.gates.calibration.NUM_RESAMPLES", 1499)
        yield


def rng(*key):
    return np.random.default_rng(key)


def assert_held(found, true, *, under=(0.0, 0.0), over=0.03):
    """`under`: by how much lower and upper may fall short of 0.95 for a reason that is documented."""
    lower, upper = np.mean([b.lower <= true for b in found]), np.mean([b.upper >= true for b in found])
    assert 0.95 - under[0] - NOISE <= lower <= 0.95 + over
    assert 0.95 - under[1] - NOISE <= upper <= 0.95 + over


@pytest.mark.parametrize(
    ("draw", "true", "n", "under"),
    [
        ("normal", 0.0, 20, (0.0, 0.0)),
        ("normal", 0.0, 200, (0.0, 0.0)),
        ("exponential", 1.0, 20, (0.0, 0.01)),
        ("exponential", 1.0, 200, (0.0, 0.005)),
        ("lognormal", math.exp(0.5), 60, (0.0, 0.03)),
        ("lognormal", math.exp(0.5), 200, (0.0, 0.02)),
    ],
)
def test_means(draw, true, n, under):
    found = [mean_bounds(getattr(rng(i, n), draw)(size=n), confidence=0.95, rng=rng(i, 1)) for i in range(NUM_SAMPLES)]
    assert_held(found, true, under=under)


@pytest.mark.parametrize(("n", "under"), [(20, (0.0, 0.025)), (100, (0.0, 0.01))])
def test_ratios(n, under):
    found = []
    for i in range(NUM_SAMPLES):
        seconds = rng(i, n).gamma(4.0, 1.0, n)
        tokens = 8 * seconds + rng(i, n, 1).exponential(4.0, n)
        found.append(ratio_curve(tokens, seconds, rng=rng(i, 2))(0.95))
    assert_held(found, 9.0, under=under)


@pytest.mark.parametrize("over", [0.0, 0.05, 0.1, 0.25])
@pytest.mark.parametrize("layout", ["equal_width", "equal_mass"])
def test_calibrations_are_on_the_safe_side(over, layout):
    bins, found = Bins(count=10, layout=layout), []
    for i in range(NUM_SAMPLES):
        confidence = rng(i).uniform(0.5, 1.0, 400)
        correct = (rng(i, 1).random(400) < confidence - over).astype(float)
        found.append(calibration_curve(correct, confidence, bins, rng=rng(i, 2))(0.95))
    assert_held(found, over, over=0.05)


def test_a_gate_on_the_edge_of_calibration_passes_in_at_most_one_of_twenty():
    """The least favourable case: all bins off the same way by just the target, and many items."""
    confidence = rng(0).uniform(0.5, 1.0, 10**6)
    true = plain_error(confidence - 0.1, confidence, Bins())
    assert true == pytest.approx(0.1)
    passed = 0
    for i in range(NUM_SAMPLES):
        confidence = rng(i).uniform(0.5, 1.0, 1500)
        correct = (rng(i, 1).random(1500) < confidence - 0.1).astype(float)
        passed += calibration_curve(correct, confidence, Bins(), rng=rng(i, 2))(0.95).upper <= 0.1
    assert passed / NUM_SAMPLES <= 0.05 + NOISE
