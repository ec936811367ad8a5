"""Texts in the form an encoder reads them, held for all texts at once and taken a batch at a time.

Roles: QUERY = 0 and DOCUMENT = 1; most encoders read the two a little differently.
Shapes: B texts of a batch, N features of all of them together, V width of given vectors.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from interlock.lanes.retrieval.ragged import RaggedFeatures

QUERY, DOCUMENT = 0, 1
ROLES = ("query", "document")
"""Names of the roles, by number."""

Batch = dict[str, torch.Tensor]
Rows = Sequence[int] | NDArray[np.int64]


class Inputs(Protocol):
    """Texts of one role, ready to be encoded."""

    def __len__(self) -> int:
        """Number of texts."""
        ...

    def take(self, rows: Rows) -> Batch:
        """Tensors of the chosen texts in that order, for the encoder these inputs were made for."""
        ...


class Front(Protocol):
    """The part of an encoder that works on texts instead of tensors."""

    def inputs(self, source: "Sequence[str] | NDArray[np.float32]", role: int) -> Inputs:
        """Make texts (or rows of given vectors) ready."""
        ...

    def trained_part(self, inputs: Inputs) -> Inputs:
        """What the training scores need of them: the same texts, with less to move in every step."""
        ...


@dataclass(frozen=True)
class RaggedInputs:
    """Weighted features of texts.

    Batches hold `ids` [N] int64, `weights` [N] float32, `kinds` [N] uint8, `rows` [N] int64 (text of each) and
    `offsets` [B] int64.
    """

    features: RaggedFeatures

    def __len__(self) -> int:
        return len(self.features)

    def take(self, rows: Rows) -> Batch:
        """See the class."""
        chosen = self.features.rows(rows)
        return {
            "ids": torch.from_numpy(chosen.ids.astype(np.int64)),
            "weights": torch.from_numpy(chosen.weights),
            "kinds": torch.from_numpy(chosen.kinds),
            "rows": torch.from_numpy(np.repeat(np.arange(len(chosen)), chosen.lengths)),
            "offsets": torch.from_numpy(chosen.offsets[:-1].copy()),
        }


@dataclass(frozen=True)
class MatrixInputs:
    """Given vectors: `vectors` [B, V] float32."""

    vectors: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.vectors)

    def take(self, rows: Rows) -> Batch:
        """See the class."""
        return {"vectors": torch.from_numpy(np.ascontiguousarray(self.vectors[np.asarray(rows)], dtype=np.float32))}
