"""Holm's step-down: equal to its textbook form over p-values, and its error over a family."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.gates.family import step_down

p_values = st.dictionaries(st.text("abcdefgh", min_size=1, max_size=3), st.floats(0.0, 1.0), min_size=1, max_size=8)


def passed(by_name, confidence=0.95):
    levels = step_down(by_name, lambda name, level: by_name[name] <= 1 - level, confidence=confidence)
    assert set(levels) == set(by_name)
    return {name for name, level in levels.items() if by_name[name] <= 1 - level}


def holm(by_name, alpha):
    """As in Holm 1979: smallest first against alpha / m, alpha / (m - 1), ...; stop at the first that is larger."""
    found, m = set(), len(by_name)
    for rank, name in enumerate(sorted(by_name, key=lambda name: (by_name[name], name))):
        if by_name[name] > 1 - (1 - alpha / (m - rank)):
            break
        found.add(name)
    return found


@given(p_values)
def test_equals_the_textbook(by_name):
    assert passed(by_name) == holm(by_name, 1 - 0.95)


def test_a_literal_example():
    """0.01, 0.02, 0.03, 0.005 at alpha 0.05: 0.005 <= 0.0125, 0.01 <= 0.0167, 0.02 <= 0.025, 0.03 <= 0.05."""
    assert passed({"a": 0.01, "b": 0.02, "c": 0.03, "d": 0.005}) == {"a", "b", "c", "d"}
    assert passed({"a": 0.01, "b": 0.03, "c": 0.03, "d": 0.005}) == {"a", "d"}
    assert passed({"a": 0.02, "b": 0.02, "c": 0.02}) == set()


@given(p_values, st.randoms())
def test_order_does_not_matter(by_name, random):
    names = list(by_name)
    random.shuffle(names)
    levels = [
        step_down(order, lambda name, level: by_name[name] <= 1 - level, confidence=0.9) for order in (names, by_name)
    ]
    assert levels[0] == levels[1]


@given(p_values)
def test_a_family_passes_nothing_that_fails_alone(by_name):
    assert passed(by_name) <= {name for name, p in by_name.items() if p <= 1 - 0.95}


@given(p_values)
def test_a_gate_that_never_passes_makes_nobody_elses_test_easier(by_name):
    with_blocked = passed(by_name | {"blocked": 2.0})
    assert with_blocked <= passed(by_name)


def test_one_gate_alone_keeps_its_confidence():
    assert step_down(["a"], lambda name, level: True, confidence=0.95) == {"a": 0.95}


@pytest.mark.parametrize("num_false", [1, 3, 5])
@pytest.mark.parametrize("correlated", [False, True])
def test_any_wrong_pass_in_at_most_one_of_twenty(num_false, correlated):
    """Five gates, some with nothing behind them (uniform p-values, also all the same), the others clear passes."""
    random, wrong = np.random.default_rng(num_false), 0
    for _ in range(2000):
        draws = np.repeat(random.random(), num_false) if correlated else random.random(num_false)
        by_name = {f"false{i}": float(p) for i, p in enumerate(draws)}
        by_name |= {f"true{i}": 1e-6 for i in range(5 - num_false)}
        wrong += any(name.startswith("false") for name in passed(by_name))
    assert wrong / 2000 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 2000)
    if not correlated:
        assert wrong / 2000 >= 0.035  # it is not bought with silence
