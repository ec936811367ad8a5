"""The lexical part before it is sketched: sparse rows whose inner products are its exact similarities.

What is fitted before training works on these rows: columns of their own, gains, hard negatives. Training texts only.

Shapes: N texts, Q queries, M documents, K buckets, R rows asked for.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from interlock.lanes.retrieval.ragged import RaggedFeatures

CELLS = 2**23
"""Similarities held at a time: 32 MiB."""

Rows = NDArray[np.int64]


def lexical_rows(weighed: RaggedFeatures, idf_K: NDArray[np.float32], *, pivot: float) -> sparse.csr_matrix:
    """[N, K] float32 rows divided by the root of squared norm plus squared pivot; queries have pivot 0."""
    values = weighed.weights * idf_K[weighed.ids]
    norms_N = norms_of(weighed, idf_K)
    values /= np.repeat(np.sqrt(np.square(norms_N) + np.float32(pivot**2) + np.float32(1e-12)), weighed.lengths)
    return sparse.csr_matrix((values, weighed.ids, weighed.offsets), shape=(len(weighed), len(idf_K)))


def norms_of(weighed: RaggedFeatures, idf_K: NDArray[np.float32]) -> NDArray[np.float32]:
    """[N] L2 norms of the weighted features times idf."""
    squares = np.square(weighed.weights * idf_K[weighed.ids])
    norms: NDArray[np.float32] = np.sqrt(np.add.reduceat(squares, weighed.offsets[:-1]))
    return norms


def nearest_rows(queries_QK: sparse.csr_matrix, documents_MK: sparse.csr_matrix, count: int) -> Rows:
    """[Q, min(count, M)] documents with the largest inner products, best first, the lower row first among equals.

    Which of several equal documents at the last rank is found is left to torch, whose selection is several times as
    fast as numpy's.
    """
    num_queries, num_documents = queries_QK.shape[0], documents_MK.shape[0]
    count = min(count, num_documents)
    found_QR = np.empty((num_queries, count), dtype=np.int64)
    if not count:
        return found_QR
    block = max(1, CELLS // num_documents)
    by_bucket_KM = documents_MK.T.tocsr()
    for start in range(0, num_queries, block):
        scores = (queries_QK[start : start + block] @ by_bucket_KM).toarray()
        best = np.sort(torch.from_numpy(scores).topk(count, dim=1, sorted=False).indices.numpy(), axis=1)
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
        found_QR[start : start + block] = np.take_along_axis(best, order, axis=1)
    return found_QR


def heaviest_buckets(documents_MK: sparse.csr_matrix, count: int) -> Rows:
    """The `count` buckets with the largest sum of squares, heaviest first: a collision costs in proportion to it."""
    mass_K = np.asarray(documents_MK.multiply(documents_MK).sum(axis=0)).ravel()
    heavy: Rows = np.argsort(-mass_K, kind="stable")[:count]
    return heavy
