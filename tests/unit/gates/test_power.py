"""Plans: textbook numbers, and the power they promise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.gates.power import detectable_difference, detectable_share, items_needed, share_spread
from interlock.gates.statistics import rate_bounds


def test_textbook_number():
    """0.55 against 0.50 with power 0.8: 617 items, the 500-1,000 queries of the literature."""
    needed = items_needed(0.55, 0.50, spread=share_spread(0.55), spread_at_target=share_spread(0.50), confidence=0.95)
    assert needed == 617


def test_planned_number_reaches_its_power():
    from scipy.stats import binom

    n = 617
    passing = [k for k in range(n + 1) if rate_bounds(k, n, confidence=0.95).lower >= 0.5]
    assert binom.sf(passing[0] - 1, n, 0.55) == pytest.approx(0.8, abs=0.02)


def test_nothing_decides_between_equals():
    assert items_needed(0.5, 0.5, spread=0.5, confidence=0.95) is None
    assert items_needed(0.5, 0.5 + 1e-9, spread=0.5, confidence=0.95) is None
    assert items_needed(0.0, 5e-324, spread=0.5, confidence=0.95) is None


def test_detectable_difference_shrinks_with_the_root():
    one, four = (detectable_difference(n, spread=0.5, confidence=0.95) for n in (100, 400))
    assert one == pytest.approx(2 * four)
    assert one == pytest.approx(0.1243, abs=1e-4)


@given(
    estimate=st.floats(0.01, 0.99),
    target=st.floats(0.01, 0.99),
    noise=st.floats(0.0, 2.0),
    confidence=st.floats(0.6, 0.999),
)
def test_needed_and_detectable_say_the_same(estimate, target, noise, confidence):
    """At the number needed, the distance is just what can be told."""
    needed = items_needed(estimate, target, spread=0.4, confidence=confidence, noise=noise)
    if needed is not None and needed > 1:
        distance = abs(estimate - target)
        told = [detectable_difference(n, spread=0.4, confidence=confidence, noise=noise) for n in (needed, needed - 1)]
        assert told[0] <= distance * (1 + 1e-9)
        assert told[1] >= distance * (1 - 1e-9)


@pytest.mark.parametrize(("target", "above"), [(0.5, True), (0.5, False), (0.9, True), (0.05, False), (0.02, True)])
def test_a_detectable_share_is_detected_four_times_in_five(target, above):
    from scipy.stats import binom

    n = 800
    distance = detectable_share(n, target, above=above, confidence=0.95)
    share = target + distance if above else target - distance
    counts = np.arange(n + 1)
    bounds = [rate_bounds(int(k), n, confidence=0.95) for k in counts]
    decided = [b.lower >= target if above else b.upper < target for b in bounds]
    assert binom.pmf(counts, n, share)[decided].sum() == pytest.approx(0.8, abs=0.06)


def test_where_there_is_no_room_nothing_is_detectable():
    assert detectable_share(50, 0.99, above=True, confidence=0.95) is None
    assert detectable_share(50, 1.0, above=True, confidence=0.95) is None
    assert detectable_share(50, 0.0, above=False, confidence=0.95) is None
