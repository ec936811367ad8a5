"""Documents as sequences of vectors: encoded once, cut into pieces for training, padded into batches.

A passage without any word that the encoder knows has no direction: its vector is zero. It is read like any other, but
predicting it is not asked in training, and counts as a miss in evaluation.

Shapes: N passages of a document, B pieces of a batch, T predictions of the longest piece, D vector width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from interlock.errors import DataError
from interlock.lanes.passages.documents import Document
from interlock.lanes.retrieval.reference import LsaReference

Vectors = NDArray[np.float32]


class Part(NamedTuple):
    """What the loss gets; a tuple, so that Lightning moves it to the device."""

    vectors_BTD: Tensor
    """Passages read, zeros behind the end of a piece."""
    targets_BTD: Tensor
    """The passage after each of them."""
    known_BT: Tensor
    """1.0 where a target exists and has a direction."""


def encoded(documents: Sequence[Document], encoder: LsaReference) -> list[Vectors]:
    """One [N, D] array of unit rows (or zeros) for each document."""
    vectors = encoder.encode([passage for document in documents for passage in document.passages])
    ends = np.cumsum([len(document.passages) for document in documents])
    return np.split(vectors, ends[:-1])


@dataclass(frozen=True)
class Pieces:
    """Pieces of documents as training examples; `resume.ResumableData` asks for them by number."""

    pieces: list[Vectors]
    """Each 2 to `window` + 1 consecutive passages; the last passage of a piece is the first of the next."""

    @classmethod
    def of(cls, documents: Sequence[Vectors], *, window: int) -> "Pieces":
        """Cut documents into pieces of at most `window` predictions. Raises DataError for fewer than 2 pieces."""
        pieces = [
            document[start : start + window + 1]
            for document in documents
            for start in range(0, len(document) - 1, window)
        ]
        if len(pieces) < 2:
            raise DataError(
                "too few documents of two or more passages",
                value=len(pieces),
                hint="add documents, or lower lane.trainer.window",
            )
        return cls(pieces)

    def __len__(self) -> int:
        return len(self.pieces)

    def __getitems__(self, indices: Sequence[int]) -> Part:
        """One padded batch."""
        chosen = [self.pieces[index] for index in indices]
        longest = max(len(piece) for piece in chosen) - 1
        vectors_BTD = np.zeros((len(chosen), longest, chosen[0].shape[1]), dtype=np.float32)
        targets_BTD = np.zeros_like(vectors_BTD)
        for row, piece in enumerate(chosen):
            vectors_BTD[row, : len(piece) - 1], targets_BTD[row, : len(piece) - 1] = piece[:-1], piece[1:]
        known_BT = (targets_BTD != 0).any(-1).astype(np.float32)
        return Part(torch.from_numpy(vectors_BTD), torch.from_numpy(targets_BTD), torch.from_numpy(known_BT))
