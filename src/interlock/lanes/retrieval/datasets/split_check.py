"""Looks in finished tables for anything that two splits share: the evidence behind the check `splits_correct`.

Reads back what was written and repeats the search for copies, so that a fault in a source's own splitting shows.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from interlock.lanes.retrieval.datasets.card import SplitCheck
from interlock.lanes.retrieval.datasets.config import SPLITS
from interlock.lanes.retrieval.datasets.duplicates import families, normalised, signatures
from interlock.lanes.retrieval.datasets.prepared import PreparedTables


def check_splits(data: PreparedTables, *, similarity: float | None) -> SplitCheck:
    """Compare the splits. `similarity` is the threshold for near copies; None (vectors) skips texts.

    Memory: the texts of queries and of answers, and 512 bytes per answer.
    """
    queries = [data.queries(split) for split in SPLITS]
    answers = [np.unique(data.positives(split).doc_row) for split in SPLITS]
    ids = Counter(name for part in queries for name in part.ids)
    return SplitCheck(
        repeated_query_ids=sum(count > 1 for count in ids.values()),
        shared_query_texts=_shared([set(map(normalised, part.texts)) for part in queries]) if similarity else 0,
        shared_documents=_shared([set(rows.tolist()) for rows in answers]),
        shared_near_duplicates=_shared_families(data, answers, similarity) if similarity else 0,
        empty_splits=tuple(split for split, part in zip(SPLITS, queries, strict=True) if not len(part)),
    )


def _shared(parts: Sequence[set[str]] | Sequence[set[int]]) -> int:
    counts = Counter[str | int]()
    for part in parts:
        counts.update(part)
    return sum(count > 1 for count in counts.values())


def _shared_families(data: PreparedTables, answers: Sequence[NDArray[np.int64]], similarity: float) -> int:
    rows = np.unique(np.concatenate(answers))
    labels = families(signatures(data.stream_documents(rows)), similarity)
    return _shared([set(labels[np.searchsorted(rows, part)].tolist()) for part in answers])
