"""The hashed encoder: what words say exactly, and what a learned table says of their meaning, side by side.

    vector = unit([ sketch(gain * tf * idf) / sqrt(norm^2 + pivot^2), slack, sqrt(mix) * unit(sum of table rows) ])

The sketch is a signed random projection that keeps inner products (Charikar et al. 2002; Weinberger et al. 2009), so
the lexical part scores like a pivoted TF-IDF cosine (Singhal et al. 1996) without a vocabulary. The heaviest buckets
have a column each, so that the others collide with little. Queries multiply their weights by gains (`gains.py`).
`slack` brings documents to length 1 without undoing the pivot. The training loop trains the table alone, by its own
cosine: added to the lexical similarity in the loss, it would only learn what that leaves open among easy negatives.

Shapes: B texts, N features of all of them, T features of the longest (padded form), K buckets, C copies of the sketch,
L sketch width, W rows of the table (row 0 is no word and stays 0), S table width, D = L + 1 + S.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from interlock.lanes.query_tower.config import HashedEncoder
from interlock.lanes.query_tower.inputs import DOCUMENT, Batch
from interlock.lanes.retrieval.text import KINDS

WORD = KINDS.index("word")

SKETCH_SEED = 20_11
"""The sketch is one fixed function: equal for every run, so that seeds differ in what is learned alone."""


class HashedNetwork(nn.Module):
    """See the module. Everything that was fitted is a buffer, so that the saved weights are complete."""

    columns_KC: Tensor
    signs_KC: Tensor
    idf_K: Tensor
    gain_K: Tensor
    row_K: Tensor
    pivot: Tensor

    def __init__(self, config: HashedEncoder, *, table_rows: int) -> None:
        """An unfitted network with a table of W = `table_rows` >= 1: `fitting` sets buffers and the table's start."""
        super().__init__()
        lexical, semantic = config.lexical, config.semantic
        shape = (config.buckets, lexical.copies)
        generator = torch.Generator().manual_seed(SKETCH_SEED)
        self._width, self._mix, self._dropout = lexical.dimensions, semantic.mix, semantic.dropout
        columns = torch.randint(lexical.own_columns, lexical.dimensions, shape, generator=generator)
        self.register_buffer("columns_KC", columns)
        signs = torch.randint(0, 2, shape, generator=generator) * 2 - 1
        self.register_buffer("signs_KC", signs / math.sqrt(lexical.copies))
        self.register_buffer("idf_K", torch.ones(config.buckets))
        self.register_buffer("gain_K", torch.zeros(config.buckets))
        self.register_buffer("row_K", torch.zeros(config.buckets, dtype=torch.long))
        self.register_buffer("pivot", torch.zeros(()))
        self.table_WS = nn.Parameter(torch.zeros(table_rows, semantic.dimensions))

    def give_own_columns(self, buckets: Tensor) -> None:
        """Give each of these buckets ([at most own_columns], int64) a column that no other bucket touches."""
        self.columns_KC[buckets, 0] = torch.arange(len(buckets))
        self.signs_KC[buckets] = 0.0
        self.signs_KC[buckets, 0] = 1.0

    @property
    def dimensions(self) -> int:
        """D."""
        return self._width + 1 + int(self.table_WS.shape[1])

    def forward(self, batch: Batch, role: int) -> Tensor:
        """[B, D] vectors of length 1."""
        semantic_BS = self.semantic(batch, dropout=0.0)
        return self._joined(self.lexical(batch, role), semantic_BS)

    def lexical(self, batch: Batch, role: int) -> Tensor:
        """[B, L + 1] the part that compares words; no gradient flows through it."""
        with torch.no_grad():
            ids_N, rows_N, num_texts = batch["ids"], batch["rows"], len(batch["offsets"])
            weights_N = batch["weights"] * self.idf_K[ids_N]
            if role != DOCUMENT:
                weights_N = weights_N * torch.exp(self.gain_K[ids_N])
            places_NC = rows_N[:, None] * self._width + self.columns_KC[ids_N]
            sketch = weights_N.new_zeros(num_texts * self._width)
            sketch.index_add_(0, places_NC.flatten(), (weights_N[:, None] * self.signs_KC[ids_N]).flatten())
            squares_B1 = weights_N.new_zeros(num_texts).index_add_(0, rows_N, weights_N.square())[:, None]
            return self._scaled(sketch.view(num_texts, self._width), squares_B1, float(role == DOCUMENT))

    def semantic(self, batch: Batch, *, dropout: float) -> Tensor:
        """[B, S] the trained part, rows of length 1 (0 for a text without a known word).

        Words alone count: a pair or n-gram that shares a word's bucket is left out.
        """
        row_N = self.row_K[batch["ids"]]
        known = (batch["kinds"] == WORD) & (row_N > 0)
        weights_N = (batch["weights"] * self.idf_K[batch["ids"]])[known]
        if dropout:
            weights_N = weights_N * (torch.rand_like(weights_N) >= dropout)
        counts_B = torch.bincount(batch["rows"][known], minlength=len(batch["offsets"]))
        summed_BS = functional.embedding_bag(
            row_N[known], self.table_WS, counts_B.cumsum(0) - counts_B, mode="sum", per_sample_weights=weights_N
        )
        return functional.normalize(summed_BS, dim=1, eps=1e-6)

    def training_vectors(self, batch: Batch, role: int) -> Tensor:
        """[B, S] what the loss compares: the trained part, which reads both roles alike."""
        return self.semantic(batch, dropout=self._dropout if self.training else 0.0)

    def padded(self, ids_BT: Tensor, weights_BT: Tensor, kinds_BT: Tensor, *, role_B: Tensor) -> Tensor:
        """[B, D] the same from the padded form; what an exported graph computes. Padding has weight 0."""
        weights_BT = weights_BT * self.idf_K[ids_BT]
        words_B1T = (weights_BT * (kinds_BT == WORD).to(weights_BT.dtype))[:, None, :]
        semantic_BS = functional.normalize((words_B1T @ self.table_WS[self.row_K[ids_BT]])[:, 0], dim=1, eps=1e-6)
        is_document_B1 = (role_B == DOCUMENT).to(weights_BT.dtype)[:, None]
        gained_BT = weights_BT * torch.exp(self.gain_K[ids_BT] * (1.0 - is_document_B1))
        added_BTC = gained_BT[..., None] * self.signs_KC[ids_BT]
        sketch_BL = gained_BT.new_zeros(ids_BT.shape[0], self._width).scatter_add(
            1, self.columns_KC[ids_BT].flatten(1), added_BTC.flatten(1)
        )
        lexical_BL = self._scaled(sketch_BL, gained_BT.square().sum(1, keepdim=True), is_document_B1)
        return self._joined(lexical_BL, semantic_BS)

    def _scaled(self, sketch_BL: Tensor, squares_B1: Tensor, is_document: Tensor | float) -> Tensor:
        scaled_BL = sketch_BL / torch.sqrt(squares_B1 + is_document * self.pivot.square() + 1e-12)
        room_B1 = (1.0 - scaled_BL.square().sum(1, keepdim=True)).clamp(min=0.0)
        return torch.cat([scaled_BL, is_document * torch.sqrt(room_B1)], dim=1)

    def _joined(self, lexical_BL: Tensor, semantic_BS: Tensor) -> Tensor:
        return functional.normalize(torch.cat([lexical_BL, math.sqrt(self._mix) * semantic_BS], dim=1), dim=1)


def idf_of(document_frequency_K: NDArray[np.int64], num_documents: int, power: float) -> NDArray[np.float32]:
    """[K] `log((n + 1) / (df + 0.5)) ** power`, always above 0."""
    ratio = (num_documents + 1) / (document_frequency_K + 0.5)
    weights: NDArray[np.float32] = (np.log(ratio) ** power).astype(np.float32)
    return weights
