"""Overrides: refused by name outside the space, and moves that never leave it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.contracts.lane import Range
from interlock.decisions.search_space import Move, check_overrides, override_faults, propose
from interlock.errors import DecisionError

SPACE = {
    "lane.optimizer.lr": Range(low=1e-5, high=1e-2, scale="log"),
    "lane.model.dropout": Range(low=0.0, high=0.5),
    "lane.trainer.epochs": Range(low=1, high=40, integer=True),
}
CURRENT = {"lane.optimizer.lr": 1e-3, "lane.model.dropout": 0.0, "lane.trainer.epochs": 10}


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("lane.optimizer.lr", 0.5, "lies outside 1e-05 .. 0.01"),
        ("lane.optimizer.lr", 0, "lies outside"),
        ("lane.optimizer.lr", float("nan"), "not a finite number"),
        ("lane.optimizer.lr", float("inf"), "not a finite number"),
        ("lane.optimizer.lr", True, "not a finite number"),
        ("lane.optimizer.lr", "0.001", "not a finite number"),
        ("lane.optimizer.lr", 1e-3, "is the present value"),
        ("lane.trainer.epochs", 12.0, "not a whole number"),
        ("lane.trainer.epochs", 41, "lies outside 1 .. 40"),
        ("lane.gates.r_at_5.target", 0.1, "not in the search space"),
        ("seed", 2, "not in the search space"),
        ("hardware.threads", 2, "not in the search space"),
    ],
)
def test_refused_by_name(key, value, words):
    with pytest.raises(DecisionError, match=words) as caught:
        check_overrides({key: value}, SPACE, CURRENT)
    assert [fault.key for fault in caught.value.faults] == [key]


def test_all_faults_at_once_with_the_nearest_name():
    faults = list(override_faults({"lane.optimiser.lr": 1e-4, "lane.model.dropout": 0.9}, SPACE, CURRENT))
    assert [(fault.key, fault.nearest) for fault in faults] == [
        ("lane.model.dropout", ""),
        ("lane.optimiser.lr", "lane.optimizer.lr"),
    ]
    assert faults[1].allowed == tuple(sorted(SPACE))


def test_bounds_themselves_are_inside():
    check_overrides({"lane.optimizer.lr": 1e-5, "lane.model.dropout": 0.5, "lane.trainer.epochs": 40}, SPACE, CURRENT)


@pytest.mark.parametrize(
    ("move", "expected"),
    [
        (Move(key="lr", factor=0.1), {"lane.optimizer.lr": 1e-4}),
        (Move(key="lr", factor=0.3), {"lane.optimizer.lr": 3e-4}),  # not 0.00030000000000000003
        (Move(key="lr", factor=1e-9), {"lane.optimizer.lr": 1e-5}),
        (Move(key="dropout", add=0.1), {"lane.model.dropout": 0.1}),
        (Move(key="dropout", factor=2.0), {}),
        (Move(key="*epochs", factor=1.25), {"lane.trainer.epochs": 13}),
        (Move(key="epochs", factor=0.01), {"lane.trainer.epochs": 1}),
        (Move(key="temperature", factor=0.5), {}),
    ],
)
def test_moves(move, expected):
    found = propose([move], SPACE, CURRENT)
    assert found == expected
    assert [type(value) for value in found.values()] == [type(value) for value in expected.values()]


def test_a_whole_number_stays_whole_even_in_a_range_of_reals():
    found = propose([Move(key="dim", factor=1.5)], {"dim": Range(low=1, high=999)}, {"dim": 5})
    assert found == {"dim": 8}
    assert type(found["dim"]) is int


@given(
    factor=st.floats(0.0, 100.0),
    add=st.floats(-10, 10),
    lr=st.floats(1e-5, 1e-2),
    dropout=st.floats(0, 0.5),
    epochs=st.integers(1, 40),
)
def test_whatever_is_proposed_passes_the_check(factor, add, lr, dropout, epochs):
    current = {"lane.optimizer.lr": lr, "lane.model.dropout": dropout, "lane.trainer.epochs": epochs}
    check_overrides(propose([Move(key="*", factor=factor, add=add)], SPACE, current), SPACE, current)


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        (
            {"lane.optimizer.lr": 3e-4},
            {"lane.optimizer.lr": 6e-4},
        ),  # the middle of 1e-5 .. 1e-2 is 3.2e-4 by logarithms
        ({"lane.optimizer.lr": 4e-4}, {}),
        ({"lane.model.dropout": 0.2}, {"lane.model.dropout": 0.4}),
        ({"lane.model.dropout": 0.25}, {}),
    ],
)
def test_a_move_of_low_values_alone(present, expected):
    key = next(iter(present)).rpartition(".")[2]
    assert propose([Move(key=key, factor=2.0, if_low=True)], SPACE, present) == expected
