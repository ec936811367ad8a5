"""Exact search over a corpus that is encoded and searched piece by piece, so that memory does not grow with it.

Shapes: B queries, K results, D vector width.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from interlock.lanes.retrieval.index import ExactIndex

CHUNK_BYTES = 512 * 2**20
"""Vectors held at a time."""


def chunk_rows(dimensions: int) -> int:
    """Documents of one piece."""
    return max(1, CHUNK_BYTES // (4 * dimensions))


def search_pieces(
    pieces: Iterable[NDArray[np.float32]], queries_BD: NDArray[np.float32], k: int, *, threads: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Scores and rows [B, min(k, N)] over all pieces in order, best first, the lower row first among equals."""
    scores_BK = np.empty((len(queries_BD), 0), dtype=np.float32)
    rows_BK = np.empty((len(queries_BD), 0), dtype=np.int64)
    start = 0
    for piece in pieces:
        scores, rows = ExactIndex.build(piece, threads=threads).search(queries_BD, k)
        scores_BK = np.concatenate([scores_BK, scores], axis=1)
        rows_BK = np.concatenate([rows_BK, rows + start], axis=1)
        order_BK = np.lexsort((rows_BK, -scores_BK), axis=1)[:, :k]
        scores_BK = np.take_along_axis(scores_BK, order_BK, axis=1)
        rows_BK = np.take_along_axis(rows_BK, order_BK, axis=1)
        start += len(piece)
    return scores_BK, rows_BK
