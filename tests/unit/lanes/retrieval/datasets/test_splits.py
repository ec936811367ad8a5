"""Dividing groups: whole, by name alone, and nothing of a later split left in an earlier one."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from interlock.lanes.retrieval.datasets.config import SPLITS
from interlock.lanes.retrieval.datasets.splits import (
    OVERSHOOT,
    Links,
    crossing,
    hold_out,
    hold_out_queries,
    joined,
)

SHARES = {"validation": 0.1, "test": 0.2}
group_sizes = st.dictionaries(st.text(min_size=1, max_size=5), st.integers(1, 50), min_size=1, max_size=60)


def links(*pairs: tuple[int, int]) -> Links:
    query, thing = np.array(pairs, np.int64).reshape(-1, 2).T
    return Links(query, thing)


@given(group_sizes, st.integers(0, 5))
def test_groups_are_divided_whole_within_bounds_and_by_name_alone(sizes: dict[str, int], seed: int) -> None:
    assigned = hold_out(sizes, SHARES, seed=seed)
    assert assigned.keys() == sizes.keys()
    turned = dict(sorted(sizes.items(), reverse=True))
    assert hold_out(turned, dict(reversed(SHARES.items())), seed=seed) == assigned
    held = Counter[str]()
    for group, split in assigned.items():
        held[split] += sizes[group]
    for split, share in SHARES.items():
        assert held[split] <= max(share * sum(sizes.values()) * OVERSHOOT, 1)


def test_many_small_groups_meet_the_shares() -> None:
    sizes = {f"g{n}": 1 for n in range(1000)}
    assert Counter(hold_out(sizes, SHARES, seed=0).values()) == {"train": 700, "validation": 100, "test": 200}
    assert hold_out(sizes, SHARES, seed=0) != hold_out(sizes, SHARES, seed=1)


@given(st.lists(st.tuples(st.integers(0, 29), st.integers(0, 15)), max_size=40), st.data())
def test_after_leaving_out_what_crosses_nothing_is_shared(pairs: list[tuple[int, int]], data: st.DataObject) -> None:
    splits = data.draw(st.lists(st.sampled_from(SPLITS), min_size=30, max_size=30))
    found = links(*pairs)
    gone = crossing(splits, found)
    owner: dict[int, str] = {}
    for query, thing in zip(*(part.tolist() for part in (found.query, found.thing)), strict=True):
        if not gone[query]:
            assert owner.setdefault(thing, splits[query]) == splits[query]
    assert not any(gone[row] for row in range(30) if splits[row] == "test")


@given(st.lists(st.tuples(st.integers(0, 29), st.integers(0, 40)), max_size=40))
def test_queries_that_share_something_are_held_out_together(pairs: list[tuple[int, int]]) -> None:
    found = links(*pairs)
    wanted = np.ones(30, np.bool_)
    ranks = hold_out_queries([f"q{n}" for n in range(30)], wanted, found, shares=SHARES, seed=0)
    owner: dict[int, int] = {}
    for query, thing in pairs:
        assert owner.setdefault(thing, int(ranks[query])) == ranks[query]


def test_joined_links_keep_their_things_apart() -> None:
    both = joined(links((0, 0), (1, 4)), links((2, 0)))
    assert both.thing.tolist() == [0, 4, 5]
    assert both.only(np.array([False, True, True])).query.tolist() == [1, 2]
