"""Bags of features of many texts in one CSR block, and the padded form that an exported model takes.

Shapes: N features of all texts together, B texts, T features of the longest text.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PADDING = 0
"""Bucket id behind the end of a text in the padded form; its weight is 0."""


@dataclass(frozen=True)
class RaggedFeatures:
    """The features of text i are `ids[offsets[i]:offsets[i + 1]]`, ascending; every text has at least one."""

    ids: NDArray[np.int32]
    """[N] bucket ids, in [0, buckets)."""
    weights: NDArray[np.float32]
    """[N] counts >= 1 as they come from `HashedFeatures`; after `Weighting.apply` any positive number."""
    kinds: NDArray[np.uint8]
    """[N] what the feature is, an index into `text.KINDS`."""
    offsets: NDArray[np.int64]
    """[B + 1] where each text starts, with the end behind the last."""

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """[B] number of features of each text."""
        return np.diff(self.offsets)

    def of_kind(self, kind: int) -> "RaggedFeatures":
        """The same texts with the features of one kind alone; here a text may end up with none."""
        kept = self.kinds == kind
        counted = np.concatenate([[0], np.cumsum(kept)])
        return RaggedFeatures(self.ids[kept], self.weights[kept], self.kinds[kept], counted[self.offsets])

    def rows(self, index: Sequence[int] | NDArray[np.int64]) -> "RaggedFeatures":
        """The chosen texts in the order given, repetitions allowed. Raises IndexError for a text that is not there."""
        chosen = np.asarray(index, dtype=np.int64)
        lengths = self.lengths[chosen]
        source = ragged_positions(self.offsets[:-1][chosen], lengths)
        return RaggedFeatures(self.ids[source], self.weights[source], self.kinds[source], offsets_of(lengths))


def offsets_of(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """[B + 1] running sum of [B] lengths, starting at 0."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def ragged_positions(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Positions `starts[i] .. starts[i] + lengths[i] - 1` of all i, one behind the other."""
    offsets = offsets_of(lengths)
    return np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)


def concatenate(blocks: Sequence[RaggedFeatures]) -> RaggedFeatures:
    """One block holding the texts of all blocks in order; at least one block."""
    if len(blocks) == 1:
        return blocks[0]
    return RaggedFeatures(
        np.concatenate([block.ids for block in blocks]),
        np.concatenate([block.weights for block in blocks]),
        np.concatenate([block.kinds for block in blocks]),
        offsets_of(np.concatenate([block.lengths for block in blocks])),
    )


def pad(ragged: RaggedFeatures) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Rectangular form: `ids_BT` (int64, PADDING behind the end) and `weights_BT` (float32, 0 behind the end)."""
    filled_BT = _filled(ragged)
    ids_BT, weights_BT = np.full(filled_BT.shape, PADDING, dtype=np.int64), np.zeros(filled_BT.shape, dtype=np.float32)
    ids_BT[filled_BT], weights_BT[filled_BT] = ragged.ids, ragged.weights
    return ids_BT, weights_BT


def pad_kinds(ragged: RaggedFeatures) -> NDArray[np.int64]:
    """`kinds_BT` int64 beside what `pad` gives; 0 behind the end, where the weight is 0."""
    filled_BT = _filled(ragged)
    kinds_BT = np.zeros(filled_BT.shape, dtype=np.int64)
    kinds_BT[filled_BT] = ragged.kinds
    return kinds_BT


def _filled(ragged: RaggedFeatures) -> NDArray[np.bool_]:
    """[B, T] where the rectangular form holds a feature."""
    lengths = ragged.lengths
    filled_BT: NDArray[np.bool_] = np.arange(int(lengths.max(initial=1))) < lengths[:, None]
    return filled_BT
