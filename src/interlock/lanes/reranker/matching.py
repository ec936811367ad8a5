"""What the interaction network sees of a list, computed from the hashed features of its texts.

    features     per candidate: how its words, identifiers, word pairs and n-grams match the query's, how much of the
                 query is covered, how long it is
    similarity   per pair of candidates: cosine of their weighted features

Weights are the tower's as it was fitted before training (counts, idf, pivot): its learned gains and table know its
training queries by heart and would mislead whoever learns on those queries after it.

Sparse and for many lists here; `model.InteractionNetwork.padded` computes the same densely for one, inside the
exported graph. Shapes: Q lists, C places, F features, M documents, K buckets, N features of all texts.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from interlock.lanes.query_tower.lexical import lexical_rows
from interlock.lanes.reranker.lists import Lists
from interlock.lanes.retrieval.ragged import RaggedFeatures
from interlock.lanes.retrieval.text import KINDS

FEATURES = (*KINDS, "coverage", "log_length")
"""Names of the F features."""

WORD = KINDS.index("word")

BLOCK = 500
"""Lists whose features are computed at a time."""

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class Matches:
    """What the network sees of many lists."""

    features: Matrix
    """[Q, C, F]; 0 in empty places."""
    similarity: Matrix
    """[Q, C, C], 0 on the diagonal and in empty places: 10 kB for each list of 50."""
    filled: NDArray[np.bool_]
    """[Q, C] where there is a candidate."""


def match(queries: RaggedFeatures, documents: RaggedFeatures, lists: Lists, *, idf_K: Matrix, pivot: float) -> Matches:
    """Match query i with the candidates of list i; `lists.rows` number the texts of `documents`, all are weighed."""
    words = _Words.of(queries, documents, idf_K, pivot)
    rows = np.where(lists.filled, lists.rows, 0)
    features = np.concatenate([
        words.features(np.arange(start, min(start + BLOCK, len(lists))), rows) for start in range(0, len(lists), BLOCK)
    ])  # fmt: skip
    features *= lists.filled[..., None]
    return Matches(features, _similarity(words.unit_MK, rows, lists.filled), lists.filled)


@dataclass(frozen=True)
class _Words:
    """Sparse rows of all texts."""

    queries_QK: sparse.csr_matrix
    """Length 1."""
    covered_QK: sparse.csr_matrix
    """Words alone, adding up to 1."""
    by_kind: list[sparse.csr_matrix]
    """[M, K] one matrix for each kind of feature, divided by the root of squared norm plus squared pivot."""
    holds_MK: sparse.csr_matrix
    """1 where a document holds a word."""
    unit_MK: sparse.csr_matrix
    """Documents with length 1."""
    lengths_M: Matrix

    @classmethod
    def of(cls, queries: RaggedFeatures, documents: RaggedFeatures, idf_K: Matrix, pivot: float) -> "_Words":
        documents_MK = lexical_rows(documents, idf_K, pivot=pivot)
        by_kind = [_only(documents_MK, documents.kinds == kind) for kind in range(len(KINDS))]
        holds_MK = by_kind[WORD].copy()
        holds_MK.data = np.ones_like(holds_MK.data)
        covered_QK = lexical_rows(queries, idf_K, pivot=0.0)
        covered_QK.data = np.where(queries.kinds == WORD, queries.weights * idf_K[queries.ids], np.float32(0.0))
        sums_Q = np.asarray(covered_QK.sum(axis=1)).ravel()
        covered_QK.data /= np.repeat(np.maximum(sums_Q, np.float32(1e-6)), queries.lengths)
        return cls(
            queries_QK=lexical_rows(queries, idf_K, pivot=0.0), covered_QK=covered_QK, by_kind=by_kind,
            holds_MK=holds_MK, unit_MK=lexical_rows(documents, idf_K, pivot=0.0),
            lengths_M=np.log(documents.lengths).astype(np.float32),
        )  # fmt: skip

    def features(self, chosen: NDArray[np.int64], rows: NDArray[np.int64]) -> Matrix:
        """[chosen, C, F]."""
        asked, found = np.repeat(chosen, rows.shape[1]), rows[chosen].ravel()
        pairs = [(self.queries_QK, documents_MK) for documents_MK in self.by_kind]
        columns = [_products(q_QK, asked, d_MK, found) for q_QK, d_MK in (*pairs, (self.covered_QK, self.holds_MK))]
        columns.append(self.lengths_M[found])
        return np.stack(columns, axis=-1).reshape(len(chosen), rows.shape[1], len(FEATURES)).astype(np.float32)


def _only(matrix: sparse.csr_matrix, kept: NDArray[np.bool_]) -> sparse.csr_matrix:
    """The same with all other entries 0 and taken out."""
    chosen = sparse.csr_matrix((matrix.data * kept, matrix.indices.copy(), matrix.indptr.copy()), shape=matrix.shape)
    chosen.eliminate_zeros()
    return chosen


def _products(
    left: sparse.csr_matrix, left_rows: NDArray[np.int64], right: sparse.csr_matrix, right_rows: NDArray[np.int64]
) -> Matrix:
    """Inner product of each left row with the right row beside it."""
    products: Matrix = np.asarray(left[left_rows].multiply(right[right_rows]).sum(axis=1)).ravel()
    return products


def _similarity(unit_MK: sparse.csr_matrix, rows: NDArray[np.int64], filled: NDArray[np.bool_]) -> Matrix:
    similarity = np.zeros((*rows.shape, rows.shape[1]), dtype=np.float32)
    for query, (row_C, filled_C) in enumerate(zip(rows, filled, strict=True)):
        own_CK = unit_MK[row_C]
        similarity[query] = (own_CK @ own_CK.T).toarray() * (filled_C[:, None] & filled_C)
    places = np.arange(rows.shape[1])
    similarity[:, places, places] = 0.0
    return similarity
