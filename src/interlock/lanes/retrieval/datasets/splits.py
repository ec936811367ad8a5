"""Divides queries over train, validation and test so that nothing of one split is seen in another.

Groups (modules, articles) go to a split whole, chosen by a hash of seed and name: the choice depends neither on the
order of the groups nor on the machine. Where a source brings its own splits, a query whose text or answer also occurs
in a later split (train < validation < test) is left out; the test set of a source is never changed.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interlock.lanes.retrieval.datasets.config import SPLITS, SplitName
from interlock.lanes.retrieval.datasets.duplicates import linked

OVERSHOOT = 1.5
"""A group that would fill a held-out split beyond this multiple of its share stays in train."""


def hold_out(sizes: Mapping[str, int], shares: Mapping[SplitName, float], *, seed: int) -> dict[str, SplitName]:
    """Assign each group to a split. `sizes`: queries per group; `shares`: fraction of all queries to hold out.

    Groups are taken in hash order until a share is reached; what is left is train. A share can come out empty when
    groups are few and large; the caller refuses empty splits.
    """
    remaining = sorted(sizes, key=lambda group: hashlib.sha256(f"{seed}/{group}".encode()).digest())
    total, result = sum(sizes.values()), dict.fromkeys(sizes, SPLITS[0])
    for split in ("test", "validation"):
        wanted, held, passed = shares.get(split, 0.0) * total, 0, []
        for group in remaining:
            if held < wanted and held + sizes[group] <= max(wanted * OVERSHOOT, 1):
                result[group] = split
                held += sizes[group]
            else:
                passed.append(group)
        remaining = passed
    return result


@dataclass(frozen=True)
class Links:
    """Which queries share what: query number `query[i]` touches the thing numbered `thing[i]`. Arrays of equal length.

    Things are families of answers, normalised query texts and, where a share is held out, groups.
    """

    query: NDArray[np.int64]
    thing: NDArray[np.int64]

    def only(self, wanted: NDArray[np.bool_]) -> "Links":
        """The links of the queries marked in `wanted`."""
        keep = wanted[self.query]
        return Links(self.query[keep], self.thing[keep])


def joined(first: Links, second: Links) -> Links:
    """Both, with the things of `second` numbered after those of `first`."""
    shift = int(first.thing.max(initial=-1)) + 1
    return Links(np.concatenate((first.query, second.query)), np.concatenate((first.thing, second.thing + shift)))


def components(count: int, links: Links) -> NDArray[np.int64]:
    """Label `count` queries: equal labels share something, directly or through other queries."""
    things = int(links.thing.max(initial=-1)) + 1
    return linked(count + things, links.query, links.thing + count)[:count]


def crossing(splits: Sequence[SplitName], links: Links) -> NDArray[np.bool_]:
    """True for each query that shares something with a query of a later split; it must be left out."""
    rank = np.array([SPLITS.index(split) for split in splits], np.int64)
    latest = np.full(int(links.thing.max(initial=-1)) + 1, -1, np.int64)
    np.maximum.at(latest, links.thing, rank[links.query])
    result = np.zeros(len(splits), np.bool_)
    result[links.query[latest[links.thing] > rank[links.query]]] = True
    return result


def hold_out_queries(
    names: Sequence[str], wanted: NDArray[np.bool_], links: Links, *, shares: Mapping[SplitName, float], seed: int
) -> NDArray[np.int64]:
    """Index into SPLITS of each query marked in `wanted` (0 elsewhere); queries that share something stay together."""
    labels = components(len(names), links.only(wanted))
    group_name: dict[int, str] = {}
    rows = np.flatnonzero(wanted).tolist()
    for row in rows:  # a group is called by its first name, so that the order of queries does not matter
        label = int(labels[row])
        group_name[label] = min(names[row], group_name.get(label, names[row]))
    group_of = {row: group_name[int(labels[row])] for row in rows}
    assigned = hold_out(Counter(group_of.values()), shares, seed=seed)
    result = np.zeros(len(names), np.int64)
    for row, group in group_of.items():
        result[row] = SPLITS.index(assigned[group])
    return result
