"""Pairs of consecutive passages out of prepared documents: what is asked, trained on and measured.

Every pair is one item. It is asked both ways, but the two answers of an antisymmetric model are one and the same
statement, so counting them twice would only pretend to know more: n is the number of pairs. The classes forward and
backward are balanced by construction, and both ways of a pair stand in the same split.

Shapes: P pairs, B passages.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from interlock.lanes.passages.documents import Document
from interlock.provenance.canonical import sha256_json


@dataclass(frozen=True)
class Pairs:
    """[P] pairs in the order in which they were written."""

    ids: list[str]
    """`document#place` of each pair's first passage."""
    first: list[str]
    """The passage that comes first."""
    second: list[str]
    """The passage that follows."""

    def __len__(self) -> int:
        return len(self.ids)

    def limited(self, limit: int | None, *, seed: int) -> "Pairs":
        """At most `limit` of them, chosen by the seed."""
        if limit is None or len(self) <= limit:
            return self
        rows = np.sort(np.random.default_rng(seed).permutation(len(self))[:limit]).tolist()
        return Pairs(*([column[row] for row in rows] for column in (self.ids, self.first, self.second)))

    def head(self, count: int) -> "Pairs":
        """The first `count` of them."""
        return Pairs(self.ids[:count], self.first[:count], self.second[:count])

    def reversed(self) -> "Pairs":
        """Every pair turned round, under its own id."""
        return Pairs(self.ids, self.second, self.first)

    @property
    def sha256(self) -> str:
        """Digest of what is asked: two measurements may be compared only where it is equal."""
        rows = zip(self.ids, self.first, self.second, strict=True)
        return sha256_json([[name, _digest(first), _digest(second)] for name, first, second in sorted(rows)])


def pairs_of(documents: Sequence[Document]) -> Pairs:
    """Every two consecutive passages of each document."""
    pairs = Pairs([], [], [])
    for document in documents:
        for place, (first, second) in enumerate(pairwise(document.passages)):
            pairs.ids.append(f"{document.identifier}#{document.first + place}")
            pairs.first.append(first)
            pairs.second.append(second)
    return pairs


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
