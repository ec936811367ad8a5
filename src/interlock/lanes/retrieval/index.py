"""Exact inner-product search: the only place that imports FAISS, and an in-memory twin for tests and small sets.

Both give the same answer: the k rows with the largest inner product, computed in float64 and rounded to float32, the
lower row first where two are equal. FAISS alone does not promise that: its float32 sums change with batch size and
thread count, and it may drop either of two equal rows at rank k. So FAISS proposes a few more candidates than asked
for, they are scored again, and the list is widened until no row outside it can belong to the answer.

Does not cover approximate search, nor vectors that do not fit into memory.

Shapes: N indexed vectors, B queries, D dimensions, K results, C candidates.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from interlock.errors import DataError

MARGIN = 32
"""Candidates that FAISS is asked for beyond k at first."""

GATHERED_MAX = 1 << 24
"""Vector components gathered at a time when candidates are scored again: 128 MiB as float64."""

ROUNDING = 1e-5
"""Bound on the error of a float32 inner product, relative to the product of the norms; covers D up to about 10,000."""

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]


class VectorIndex(Protocol):
    """What retrieval needs of an index."""

    def search(self, queries_BD: Vectors, k: int) -> tuple[Vectors, Rows]:
        """Scores and rows [B, min(k, N)] of each query, best first, the lower row first among equals."""
        ...


class ExactIndex:
    """Exhaustive search through FAISS. Results do not depend on threads or on how queries are batched."""

    def __init__(self, vectors_ND: Vectors, *, threads: int) -> None:
        self._vectors_ND, self._threads = vectors_ND, threads
        self._norm_max = float(np.sqrt(np.einsum("nd,nd->n", vectors_ND, vectors_ND).max()))

    @classmethod
    def build(cls, vectors_ND: Vectors, *, threads: int = 1) -> "ExactIndex":
        """Index finite float32 vectors, which are kept by reference. Raises DataError."""
        return cls(_checked(vectors_ND, "vectors"), threads=threads)

    def search(self, queries_BD: Vectors, k: int, *, batch: int = 1024) -> tuple[Vectors, Rows]:
        """See `VectorIndex.search`; `batch` queries are handled at a time. Raises DataError for a wrong query or k."""
        _check_queries(queries_BD, self._vectors_ND, k)
        k = min(k, len(self._vectors_ND))
        scores_BK, rows_BK = np.empty((len(queries_BD), k), np.float32), np.empty((len(queries_BD), k), np.int64)
        with _faiss_threads(self._threads) as faiss:
            for start in range(0, len(queries_BD), batch):
                part = slice(start, start + batch)
                scores_BK[part], rows_BK[part] = self._search_batch(faiss, queries_BD[part], k)
        return scores_BK, rows_BK

    def _search_batch(self, faiss: Any, queries_BD: Vectors, k: int) -> tuple[Vectors, Rows]:
        scores_BK, rows_BK = np.empty((len(queries_BD), k), np.float32), np.empty((len(queries_BD), k), np.int64)
        slack_B = 2 * ROUNDING * self._norm_max * np.linalg.norm(queries_BD.astype(np.float64), axis=1)
        open_B, width = np.arange(len(queries_BD)), min(k + MARGIN, len(self._vectors_ND))
        while len(open_B):
            near_BC, rows_BC = faiss.knn(queries_BD[open_B], self._vectors_ND, width, metric=faiss.METRIC_INNER_PRODUCT)
            scores_BK[open_B], rows_BK[open_B] = self._rescore(queries_BD[open_B], rows_BC, k)
            if width == len(self._vectors_ND):
                break
            # a row left out scores at most near[-1] + slack, so it cannot enter when the k-th is above that
            unsure = scores_BK[open_B, k - 1] <= near_BC[:, -1] + slack_B[open_B]
            open_B, width = open_B[unsure], min(4 * width, len(self._vectors_ND))
        return scores_BK, rows_BK

    def _rescore(self, queries_BD: Vectors, rows_BC: Rows, k: int) -> tuple[Vectors, Rows]:
        scores_BC = np.empty(rows_BC.shape, np.float32)
        step = max(1, GATHERED_MAX // (rows_BC.shape[1] * queries_BD.shape[1]))
        for start in range(0, len(queries_BD), step):
            part = slice(start, start + step)
            candidates_BCD = self._vectors_ND[rows_BC[part]].astype(np.float64)
            scores_BC[part] = np.einsum("bcd,bd->bc", candidates_BCD, queries_BD[part].astype(np.float64))
        order_BK = np.lexsort((rows_BC, -scores_BC), axis=1)[:, :k]
        return np.take_along_axis(scores_BC, order_BK, axis=1), np.take_along_axis(rows_BC, order_BK, axis=1)


class MemoryIndex:
    """The same answers by plain numpy: scores everything and sorts. For tests and small sets."""

    def __init__(self, vectors_ND: Vectors) -> None:
        """Index finite float32 vectors. Raises DataError."""
        self._vectors_ND = _checked(vectors_ND, "vectors")

    def search(self, queries_BD: Vectors, k: int) -> tuple[Vectors, Rows]:
        """See `VectorIndex.search`. Raises DataError for a wrong query or k."""
        _check_queries(queries_BD, self._vectors_ND, k)
        scores_BN = np.einsum("bd,nd->bn", queries_BD.astype(np.float64), self._vectors_ND.astype(np.float64))
        rows_BK = top_rows(scores_BN.astype(np.float32), k)
        return np.take_along_axis(scores_BN.astype(np.float32), rows_BK, axis=1), rows_BK


def top_rows(scores_BN: Vectors, k: int) -> Rows:
    """[B, min(k, N)] columns of the largest scores, best first, the lower column first among equals."""
    return np.argsort(-scores_BN, axis=1, kind="stable")[:, :k]


@contextmanager
def _faiss_threads(threads: int) -> Iterator[Any]:
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(threads)
    try:
        yield faiss
    finally:
        faiss.omp_set_num_threads(before)


def _checked(vectors: Vectors, what: str) -> Vectors:
    if vectors.ndim != 2 or 0 in vectors.shape or vectors.dtype != np.float32:
        raise DataError(
            f"{what} must be a non-empty float32 matrix",
            value=f"{vectors.dtype} {vectors.shape}",
            hint="one row per vector; convert with astype(numpy.float32)",
        )
    if not np.isfinite(vectors).all():
        row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        raise DataError(
            f"{what} hold NaN or infinity", key=f"row {row}", hint="inspect the model or file they come from"
        )
    return np.ascontiguousarray(vectors)


def _check_queries(queries_BD: Vectors, vectors_ND: Vectors, k: int) -> None:
    if k < 1:
        raise DataError("k must be at least 1", value=k)
    if len(queries_BD):
        _checked(queries_BD, "queries")
    if queries_BD.ndim != 2 or queries_BD.shape[1] != vectors_ND.shape[1]:
        raise DataError(
            "queries and indexed vectors differ in dimension",
            value=f"{queries_BD.shape} against {vectors_ND.shape}",
            hint="encode both with the same model",
        )
