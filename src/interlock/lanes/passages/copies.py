"""Takes out near copies of passages, so that no split shows what another one asks. Deterministic.

In documentation texts are copied from place to place: every copy but the first is left out. In stories a phrase may
recur as the author wished; only what an earlier split (train before validation before test) shares with a later one is
left out of the earlier. Passages of fewer than 8 words recur by nature and are never called copies.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from interlock.lanes.passages.documents import Text
from interlock.lanes.retrieval.datasets.config import SPLITS, SplitName
from interlock.lanes.retrieval.datasets.duplicates import families, signatures
from interlock.lanes.retrieval.datasets.splits import Links, components, hold_out

COPY_MIN_WORDS = 8
"""Shorter passages are not compared."""


class Places:
    """Every passage of `texts` that is long enough to be compared, with its family of near copies."""

    def __init__(self, texts: Sequence[Text], similarity: float) -> None:
        where = [
            (row, place, passage)
            for row, text in enumerate(texts)
            for place, passage in enumerate(text.passages)
            if passage is not None and len(passage.split()) >= COPY_MIN_WORDS
        ]
        self.text: NDArray[np.int64] = np.array([row for row, _, _ in where], np.int64)
        """Row of the text of each passage."""
        self.place: NDArray[np.int64] = np.array([place for _, place, _ in where], np.int64)
        """Its place there."""
        self.family = families(signatures([passage for _, _, passage in where]), similarity)
        """Equal for near copies."""


def without_copies(texts: Sequence[Text], similarity: float) -> tuple[list[Text], int]:
    """Every near copy but the first left out; and how many were."""
    places = Places(texts, similarity)
    gone = np.ones(len(places.family), np.bool_)
    gone[np.unique(places.family, return_index=True)[1]] = False
    return _without(texts, places, gone)


def without_crossing(texts: Sequence[Text], similarity: float) -> tuple[list[Text], int]:
    """What a text shares with a text of a later split left out; and how many passages that were."""
    places = Places(texts, similarity)
    split = np.array([SPLITS.index(_split(text)) for text in texts], np.int64)[places.text]
    latest = np.full(int(places.family.max(initial=-1)) + 1, -1, np.int64)
    np.maximum.at(latest, places.family, split)
    return _without(texts, places, latest[places.family] > split)


def split_groups(
    texts: Sequence[Text], shares: dict[SplitName, float], *, similarity: float, seed: int
) -> list[SplitName]:
    """A split for each text, by whole groups; groups whose passages resemble each other at `similarity` stay together.

    Sizes are counted in texts.
    """
    names = sorted({text.group for text in texts})
    number = {name: row for row, name in enumerate(names)}
    group = np.array([number[text.group] for text in texts], np.int64)
    places = Places(texts, similarity)
    labels = components(len(names), Links(group[places.text], places.family))
    called = {int(label): name for name, label in sorted(zip(names, labels, strict=True), reverse=True)}
    family_of = [called[int(labels[row])] for row in group]  # named by its first group: independent of numbering
    assigned = hold_out(Counter(family_of), shares, seed=seed)
    return [assigned[name] for name in family_of]


def _without(texts: Sequence[Text], places: Places, gone: NDArray[np.bool_]) -> tuple[list[Text], int]:
    holes: dict[int, list[int]] = {}
    for row, place in zip(places.text[gone].tolist(), places.place[gone].tolist(), strict=True):
        holes.setdefault(row, []).append(place)
    return [text.without(holes.get(row, ())) for row, text in enumerate(texts)], int(gone.sum())


def _split(text: Text) -> SplitName:
    assert text.split is not None, "the source brings its split"
    return text.split
