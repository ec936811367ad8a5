"""A training is halted for hours over all attempts, and for taking far longer than estimated; never for seconds."""

import pytest

from interlock.contracts.recovery import RecoverySettings
from interlock.errors import BudgetError
from interlock.runs.healing.watch import Watch
from interlock.stages.progress import Silent


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def watched(**known):
    clock = Clock()
    values = dict(inner=Silent(), settings=RecoverySettings(estimate_floor_s=60.0), spent_hours=0.0, hours_max=10.0)
    return Watch(**(values | known), clock=clock), clock


def test_hours_of_all_attempts_count():
    watch, clock = watched(spent_hours=9.5)
    clock.now = 0.5 * 3600
    assert watch.halt() is None
    clock.now += 1.0
    found = watch.halt()
    assert isinstance(found, BudgetError)
    assert found.key == "budget.compute_hours_max"
    assert watch.spend().hours > 10.0


def steps(watch, clock, *, total, first_s, rest_s, until):
    for done, _ in enumerate(watch.track(range(total), "training", total=total)):
        if done == until:
            return
        clock.now += first_s if done < 40 else rest_s


def test_twice_the_estimate_halts():
    watch, clock = watched()
    clock.now = 3.0  # loading
    steps(watch, clock, total=100, first_s=1.0, rest_s=4.0, until=60)
    assert watch.estimate_s == pytest.approx(103.0)
    assert watch.halt() is None
    clock.now = 206.0
    assert watch.halt() is None
    clock.now = 206.1
    assert isinstance(watch.halt(), BudgetError)


def test_short_trainings_are_left_alone():
    watch, clock = watched(estimate_s=1.0)
    clock.now = 59.0
    assert watch.halt() is None
    clock.now = 61.0
    assert "estimate of 1 s" in str(watch.halt())


def test_other_loops_say_nothing():
    watch, clock = watched()
    for _ in watch.track(range(100), "mining negatives", total=100):
        clock.now += 1.0
    assert watch.estimate_s is None
    for _ in watch.track(range(100), "training"):
        clock.now += 1.0
    assert watch.estimate_s is None


def test_curves_are_kept_and_passed_on():
    points = []

    class Inner(Silent):
        def curve(self, step, values):
            points.append((step, dict(values)))

    watch, _ = watched(inner=Inner())
    watch.curve(1, {"train/loss": 3.0})
    watch.curve(2, {"epoch": 1, "train/epoch_loss": 2.0, "validation/loss": 2.5})
    assert (watch.training, watch.validation, len(points)) == ([2.0], [2.5], 2)
