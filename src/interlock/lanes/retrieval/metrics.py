"""Retrieval quality of each query, computed by trec_eval (through pytrec_eval).

    recall@k   share of the query's relevant documents among its first k results (with one of them: hit or not)
    ndcg@k     DCG@k over that of the ideal order, gain = relevance, discount = log2(rank + 1)
    mrr@k      1 / rank of the first relevant result among the first k, else 0

With several relevant documents recall@k can stay under 1 even for a perfect ranking (k smaller than their number): that
is trec_eval's definition and it is not normalised away. The ranking is over all documents, never over a sample of them.
Does not compute means or intervals; see `scores.py` and `interlock.gates`.

Shapes: B queries, K ranks.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from interlock.errors import DataError

RECALL_AT = (1, 5, 10)
"""Ranks at which recall is taken."""

CUTOFF = 10
"""Rank at which nDCG and MRR are cut."""

NAMES = (*(f"r_at_{k}" for k in RECALL_AT), f"ndcg_at_{CUTOFF}", f"mrr_at_{CUTOFF}")
"""Metrics of each query, in this order."""


def per_query(ranked_BK: NDArray[np.int64], relevant: Sequence[Mapping[int, int]]) -> dict[str, NDArray[np.float64]]:
    """Metrics by name, each [B] in [0, 1], in the order of the queries.

    `ranked_BK` holds document rows, best first, K >= 10 or all documents; negative entries are empty places behind the
    last result. `relevant[i]` maps the relevant rows of query i to their relevance (> 0). Raises DataError for a query
    without a relevant document, for a relevance that is not positive and for a row that is ranked twice.
    """
    _check(ranked_BK, relevant)
    import pytrec_eval

    qrels = {str(i): {str(row): int(value) for row, value in judged.items()} for i, judged in enumerate(relevant)}
    # pytrec_eval sorts by score and breaks ties by document name, so each rank gets a score of its own
    run = {
        str(i): {str(row): float(-rank) for rank, row in enumerate(ranked_K[:CUTOFF]) if row >= 0}
        for i, ranked_K in enumerate(ranked_BK.tolist())
    }
    recalls = f"recall.{','.join(map(str, RECALL_AT))}"
    found = pytrec_eval.RelevanceEvaluator(qrels, {recalls, f"ndcg_cut.{CUTOFF}", "recip_rank"}).evaluate(run)
    sources = (*(f"recall_{k}" for k in RECALL_AT), f"ndcg_cut_{CUTOFF}", "recip_rank")
    return {
        name: np.array([found.get(str(i), {}).get(source, 0.0) for i in range(len(relevant))])
        for name, source in zip(NAMES, sources, strict=True)
    }


def _check(ranked_BK: NDArray[np.int64], relevant: Sequence[Mapping[int, int]]) -> None:
    if not len(relevant) or len(relevant) != len(ranked_BK):
        raise DataError(
            "there must be one ranking for each judged query, and at least one",
            value=f"{len(ranked_BK)} rankings, {len(relevant)} queries",
        )
    for query, judged in enumerate(relevant):
        if not judged or min(judged.values()) <= 0:
            raise DataError(
                "a query needs at least one relevant document, with relevance above 0",
                key=f"query {query}",
                value=dict(judged),
                hint="remove the query from the split or judge a document for it",
            )
    ordered_BK = np.sort(ranked_BK, axis=1)
    repeated_B = ((ordered_BK[:, 1:] == ordered_BK[:, :-1]) & (ordered_BK[:, 1:] >= 0)).any(axis=1)
    if repeated_B.any():
        raise DataError("a document is ranked twice", key=f"query {int(np.flatnonzero(repeated_B)[0])}")
