"""Divides queries over train, validation and test so that nothing of one split is seen in another.

Groups (modules, articles) go to a split whole, chosen by a hash of seed and name: the choice depends neither on the
order of the groups nor on the machine. Where a source brings its own splits, a query whose text or answer also occurs
in a later split (train < validation < test) is left out; the test set of a source is never changed.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interlock.lanes.retrieval.datasets.config import SPLITS, SplitName
from interlock.lanes.retrieval.datasets.duplicates import linked

OVERSHOOT = 1.5
"""A group that would fill a held-out split beyond this multiple of its share stays in train."""


def hold_out(
    sizes: Mapping[str, int], shares: Mapping[SplitName, float], *, seed: int
) -> dict[str, SplitName]:
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
