import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.lanes.training.config import ConvergenceRule
from interlock.lanes.training.convergence import is_overfitting, is_stalled, judge_convergence

RULE = ConvergenceRule(window_epochs=4, tolerance=0.01)
loss = st.floats(min_value=1e-3, max_value=1e3)


def judge(losses, *, early_stopped=False, **changes):
    return judge_convergence(losses, RULE.model_copy(update=changes), early_stopped=early_stopped)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, 3, -1])
def test_a_loss_that_is_not_finite_blocks_even_an_early_stop(bad, place):
    losses = [5.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]
    losses[place] = bad
    answer = judge(losses, early_stopped=True, loss_under=1e9)
    assert not answer.converged
    assert "not finite" in answer.reason


def test_no_epoch_and_one_epoch_show_nothing():
    assert not judge([]).converged
    assert not judge([1.0]).converged
    assert "raise epochs" in judge([1.0]).reason


def test_one_epoch_under_the_threshold_has_converged():
    assert judge([0.1], loss_under=0.2).converged


def test_flat_window():
    answer = judge([5.0, 2.0, 1.0, 0.9, 0.9, 0.9, 0.9, 0.9])
    assert answer.converged
    assert "flat" in answer.reason


def test_still_improving_says_raise_epochs():
    answer = judge([8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0])
    assert not answer.converged
    assert "still improving" in answer.reason
    assert "raise epochs" in answer.reason


def test_rising_blocks_even_under_the_threshold_and_after_an_early_stop():
    answer = judge([5.0, 1.0, 0.5, 0.5, 0.7, 0.9, 1.2, 1.5], early_stopped=True, loss_under=10.0)
    assert not answer.converged
    assert "rising" in answer.reason


def test_early_stop_suffices_while_improving():
    assert judge([8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0], early_stopped=True).converged


def test_threshold_is_strict():
    improving = [8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]
    assert judge(improving, loss_under=1.01).converged
    assert not judge(improving, loss_under=1.0).converged


@given(st.lists(loss, min_size=2, max_size=60), st.floats(min_value=0.01, max_value=100))
def test_the_answer_does_not_depend_on_the_unit_of_the_loss(losses, factor):
    scaled = [value * factor for value in losses]
    if judge(losses).converged != judge(scaled).converged:  # only rounding at the very limit may differ
        window = min(4, len(losses) // 2)
        width = max(1, window // 3)
        start, end = sum(losses[: len(losses) - window][-width:]) / width, sum(losses[-width:]) / width
        assert abs(abs(start - end) / losses[0] - 0.01) < 1e-9


@given(loss, st.integers(min_value=2, max_value=60))
def test_a_constant_loss_has_converged(value, epochs):
    assert judge([value] * epochs).converged


@given(st.lists(loss, min_size=2, max_size=60))
def test_an_early_stop_never_makes_the_answer_worse(losses):
    assert judge(losses, early_stopped=True).converged >= judge(losses).converged


def test_stalled_needs_a_whole_window_after_the_first_epoch():
    assert not is_stalled([1.0] * 4, RULE)
    assert is_stalled([1.0] * 5, RULE)


def test_a_single_lower_loss_in_the_window_is_progress():
    assert not is_stalled([1.0, 1.0, 0.999, 1.0, 1.0], RULE)
    assert is_stalled([1.0, 0.999, 1.0, 1.0, 1.0, 1.0], RULE)


@given(st.lists(loss, min_size=6, max_size=30))
def test_a_loss_at_90_percent_of_the_first_is_never_stalled(losses):
    losses[-1] = 0.9 * losses[0]
    assert not is_stalled(losses, RULE)


@pytest.mark.parametrize(
    ("losses", "trend"),
    [([4, 3, 2, 1], "improving"), ([4, 1, 1, 1, 1, 1], "flat"), ([4, 1, 1, 2, 3], "rising"), ([4], "unknown")],
)
def test_the_trend_at_the_end(losses: list[float], trend: str) -> None:
    assert judge_convergence(losses, RULE, early_stopped=False).trend == trend


@pytest.mark.parametrize(
    ("training", "validation", "expected"),
    [
        ([4, 3, 2, 1], [4, 3, 3.5, 4], True),
        ([4, 3, 2, 1], [4, 3, 2, 1], False),
        ([4, 3, 3.5, 4], [4, 3, 3.5, 4], False),
        ([4, 3, 2, 1], [4, 3, 3.01, 3.02], False),
        ([4], [4], False),
    ],
)
def test_overfitting_needs_both_curves(training: list[float], validation: list[float], expected: bool) -> None:
    assert is_overfitting(training, validation, RULE) is expected
