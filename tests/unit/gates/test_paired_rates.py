"""Tango's bounds: published examples, symmetry, and their error summed exactly."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.gates.paired_rates import paired_rate_bounds, restricted_spread

counts = st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(1, 400)).map(
    lambda drawn: (drawn[0], drawn[1], sum(drawn))
)


@pytest.mark.parametrize(
    ("gains", "losses", "n", "two_sided", "low", "high"),
    [
        # As published: twice Tango 1998 (the first are contact lenses); Agresti & Min 2005; Fagerland et al. 2014
        (0, 1, 44, 0.90, -0.096, 0.037),
        (9, 3, 32, 0.95, -0.027, 0.390),
        (16, 8, 86, 0.95, -0.020, 0.207),
        (1, 7, 21, 0.95, -0.517, -0.026),
    ],
)
def test_published_examples(gains, losses, n, two_sided, low, high):
    estimate, lower, upper = paired_rate_bounds(gains, losses, n, confidence=1 - (1 - two_sided) / 2)
    assert estimate == (gains - losses) / n
    assert (round(lower, 3), round(upper, 3)) == (low, high)


@given(counts, st.floats(0.55, 0.9999))
def test_at_the_bound_the_score_test_just_rejects(drawn, confidence):
    from scipy.special import ndtri

    gains, losses, n = drawn
    estimate, lower, upper = paired_rate_bounds(gains, losses, n, confidence=confidence)
    assert -1 <= lower <= estimate <= upper <= 1
    assert lower < upper
    for bound, sign in ((lower, 1), (upper, -1)):
        if abs(bound) < 1 - 1e-9:
            spread = restricted_spread(*((gains, losses) if sign < 0 else (losses, gains)), n, -sign * bound)
            z = sign * (estimate - bound) * math.sqrt(n) / spread
            assert z == pytest.approx(float(ndtri(confidence)), rel=1e-4)


@given(counts, st.floats(0.55, 0.999))
def test_swapping_the_systems_mirrors_the_bounds(drawn, confidence):
    gains, losses, n = drawn
    _, lower, upper = paired_rate_bounds(gains, losses, n, confidence=confidence)
    _, swapped_lower, swapped_upper = paired_rate_bounds(losses, gains, n, confidence=confidence)
    assert (lower, upper) == (-swapped_upper, -swapped_lower)


@given(counts, st.floats(0.51, 0.999), st.floats(0.51, 0.999))
def test_more_confidence_is_wider(drawn, one, other):
    _, low, high = paired_rate_bounds(*drawn, confidence=min(one, other))
    _, lower, higher = paired_rate_bounds(*drawn, confidence=max(one, other))
    assert lower <= low
    assert high <= higher


def test_at_margin_0_it_is_mcnemars_test():
    from scipy.special import ndtr

    for gains, losses in ((12, 4), (30, 20), (9, 0), (3, 3)):
        z = (gains - losses) / math.sqrt(gains + losses)
        _, lower, _ = paired_rate_bounds(gains, losses, 100, confidence=max(0.5001, float(ndtr(z)) - 1e-6))
        _, beyond, _ = paired_rate_bounds(gains, losses, 100, confidence=float(ndtr(z)) + 1e-6)
        assert beyond < 0 <= lower or z <= 0


def test_nothing_discordant_still_has_bounds():
    estimate, lower, upper = paired_rate_bounds(0, 0, 400, confidence=0.95)
    z2 = 1.6448536269514722**2
    assert (estimate, -lower, upper) == (0.0, pytest.approx(z2 / (400 + z2)), pytest.approx(z2 / (400 + z2)))


@pytest.mark.parametrize(("n", "most"), [(20, 0.054), (100, 0.0523), (400, 0.0521)])
def test_two_equal_systems_pass_in_one_of_twenty(n, most):
    """Exact, whatever the discordance: the bootstrap passed them 6.6 % of the time at 24 discordant of 400."""
    from scipy.stats import binom

    z = 1.6448536269514722
    passes = {}
    for discordant in range(1, n + 1):
        gains = np.arange(discordant + 1)
        passed = (2 * gains - discordant) / math.sqrt(discordant) >= z
        passes[discordant] = float(binom.pmf(gains, discordant, 0.5)[passed].sum())
    for gains, losses in ((4, 0), (3, 0), (2, 0), (17, 7), (16, 8), (37, 23), (36, 24)):  # the bound does as McNemar
        lower = paired_rate_bounds(gains, losses, 400, confidence=0.95)[1]
        assert (lower >= 0) == ((gains - losses) / math.sqrt(gains + losses) >= z)
    for expected in (1, 2, 4, 6, 8, 9, 10, 11, 12, 14, 18):
        share = binom.pmf(np.arange(n + 1), n, expected / n)
        assert sum(share[k] * passes[k] for k in passes) <= most


@pytest.mark.parametrize("counts", [(-1, 0, 5), (3, 3, 5), (0, 0, 0)])
def test_refuses_counts_that_cannot_be(counts):
    with pytest.raises(ValueError, match="counts within n"):
        paired_rate_bounds(*counts, confidence=0.95)
