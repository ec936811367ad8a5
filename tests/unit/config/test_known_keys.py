"""A mistyped key is led to the one that was meant, whatever letter is wrong and however much is left out."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.config.known_keys import edits, known_keys, nearest_key
from interlock.config.validate import experiment_model
from interlock.lanes.catalog import find_lane

VALUES = {
    "agents": {"scout": {"policy": {"kind": "rules"}}},
    "lane": {"kind": "toy", "search_space": {"lane.optimizer.lr": {"low": 0.1}}},
}
KEYS = sorted(known_keys(experiment_model(find_lane("toy")), VALUES))


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("lane.optimizer.lrr", "lane.optimizer.lr"),
        ("lane.optimizr.lr", "lane.optimizer.lr"),
        ("laen.optimizer.lr", "lane.optimizer.lr"),
        ("optimizer.lr", "lane.optimizer.lr"),
        ("optimizer.rl", "lane.optimizer.lr"),
        ("lr", "lane.optimizer.lr"),
        ("trainer.steps", "lane.trainer.steps"),
        ("sede", "seed"),
        ("agents.scuot.budget.calls", "agents.scout.budget.calls"),
        ("hardware.thraeds", "hardware.threads"),
        ("something.else.entirely", ""),
        ("qqqq", ""),
    ],
)
def test_nearest_key(typed, meant):
    assert nearest_key(typed, KEYS) == meant


def test_keys_of_the_contract_count_even_where_no_file_sets_them():
    assert {"lane.trainer.sleep_s", "budget.compute_hours_max", "agents.scout.tokens_hard_ratio"} <= set(KEYS)


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [("", "", 0), ("a", "", 1), ("lr", "rl", 1), ("seed", "sed", 1), ("kitten", "sitting", 3), ("abc", "abc", 0)],
)
def test_edits(one, other, distance):
    assert edits(one, other) == edits(other, one) == distance


@given(st.text("abc", max_size=6), st.text("abc", max_size=6), st.integers(0, 6))
def test_a_limit_changes_nothing_below_it(one, other, limit):
    full = edits(one, other)
    assert edits(one, other, limit=limit) == (full if full <= limit else math.inf)
