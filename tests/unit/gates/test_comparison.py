"""Bounds against a target, at the edges; and numbers as people read them."""

import math

import pytest

from interlock.contracts.verdict import Verdict
from interlock.gates.comparison import compare, deciding_bounds, numerals
from interlock.gates.statistics import Bounds

INTERVAL = Bounds(estimate=0.5, lower=0.4, upper=0.6, confidence=0.95, method="wilson", n=100)


@pytest.mark.parametrize(
    ("target", "at_least", "at_most"),
    [
        (0.39, Verdict.PASS, Verdict.FAIL),
        (0.40, Verdict.PASS, Verdict.INCONCLUSIVE),
        (0.50, Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE),
        (0.60, Verdict.INCONCLUSIVE, Verdict.PASS),
        (0.61, Verdict.FAIL, Verdict.PASS),
    ],
)
def test_the_bound_decides_and_touching_is_reaching(target, at_least, at_most):
    assert compare(INTERVAL, direction="at_least", target=target) is at_least
    assert compare(INTERVAL, direction="at_most", target=target) is at_most


def test_an_unknown_bound_decides_nothing():
    unknown = Bounds(estimate=0.5, lower=-math.inf, upper=math.inf, confidence=0.95, method="sparse", n=1)
    for direction in ("at_least", "at_most"):
        for target in (-1e300, 0.5, 1e300):
            assert compare(unknown, direction=direction, target=target) is Verdict.INCONCLUSIVE
        assert deciding_bounds(unknown, direction) == (None, None)


def test_the_bound_a_pass_needs_comes_first():
    assert deciding_bounds(INTERVAL, "at_least") == (0.4, 0.6)
    assert deciding_bounds(INTERVAL, "at_most") == (0.6, 0.4)


@pytest.mark.parametrize(
    ("numbers", "texts"),
    [
        ((0.5, 0.25), ["0.500", "0.250"]),
        ((0.5, 0.5), ["0.500", "0.500"]),
        ((0.49996, 0.5), ["0.49996", "0.50000"]),
        ((1e-7, 0.0), ["1e-07", "0.000"]),
        ((1234.5, 1e12), ["1234.500", "1e+12"]),
        ((-0.0, -math.inf), ["0.000", "unknown"]),
        ((0.1 + 0.3, -math.inf, math.inf, 0.5), ["0.400", "unknown", "unknown", "0.500"]),
    ],
)
def test_numbers_read_apart(numbers, texts):
    assert numerals(*numbers) == texts
