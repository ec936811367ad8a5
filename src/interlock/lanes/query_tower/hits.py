"""Example queries for the report: hits and misses, spread evenly over the queries, not chosen by how they look.

Shapes: Q queries, K ranks.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from interlock.lanes.retrieval.datasets.prepared import PreparedDataset
from interlock.lanes.retrieval.metrics import CUTOFF

NUM_EXAMPLES = 5
"""Hits and misses shown of each."""

Ranking = NDArray[np.int64]


class Asked(Protocol):
    """The queries of a split, item i of each belonging to query i."""

    @property
    def ids(self) -> Sequence[str]:
        """Their names."""
        ...

    @property
    def texts(self) -> Sequence[str]:
        """What is asked."""
        ...

    @property
    def relevant(self) -> Sequence[Mapping[int, int]]:
        """Relevance by corpus row."""
        ...


def examples_of(data: PreparedDataset, asked: Asked, ranked_QK: Ranking) -> dict[str, list[dict[str, Any]]]:
    """`hits` and `misses` at rank 10, at most five of each."""
    rows: dict[str, list[int]] = {"hits": [], "misses": []}
    for query, (judged, ranked) in enumerate(zip(asked.relevant, ranked_QK[:, :CUTOFF].tolist(), strict=True)):
        rows["hits" if judged.keys() & set(ranked) else "misses"].append(query)
    return {
        kind: [
            _example(data, asked, query, ranked_QK[query])
            for query in found[:: max(1, len(found) // NUM_EXAMPLES)][:NUM_EXAMPLES]
        ]
        for kind, found in rows.items()
    }


def _example(data: PreparedDataset, asked: Asked, query: int, ranked_K: Ranking) -> dict[str, Any]:
    answers = sorted(asked.relevant[query])
    ranks = [int(np.flatnonzero(ranked_K == row)[0]) + 1 for row in answers if (ranked_K == row).any()]
    shown = [*ranked_K[:3].tolist(), answers[0]]
    texts = [text[:300] for text in data.documents(shown)]
    ids = [data.doc_ids[row] for row in shown]
    return {
        "query_id": asked.ids[query],
        "query": asked.texts[query],
        "rank": min(ranks, default=None),
        "answer": {"doc_id": ids[-1], "text": texts[-1]},
        "first": [{"doc_id": doc_id, "text": text} for doc_id, text in zip(ids[:-1], texts[:-1], strict=True)],
    }
