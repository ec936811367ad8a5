import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.errors import DataError
from interlock.lanes.retrieval.metrics import CUTOFF, NAMES, RECALL_AT, per_query


@pytest.mark.parametrize(
    ("ranked", "relevant", "message"),
    [
        ([[0, 1]], [{}], "at least one relevant"),
        ([[0, 1]], [{0: 0}], "relevance above 0"),
        ([[0, 1]], [{0: 1}, {1: 1}], "one ranking for each"),
        ([[3, 3]], [{0: 1}], "ranked twice"),
        (np.empty((0, 2), np.int64), [], "at least one"),
    ],
)
def test_unusable_input_is_refused(ranked: object, relevant: list[dict[int, int]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        per_query(np.asarray(ranked, dtype=np.int64), relevant)


def test_small_example() -> None:
    ranked = np.array([[7, 3, 9, -1, -1], [1, 2, 4, 5, 6]])
    found = per_query(ranked, [{3: 1}, {6: 1, 1: 1, 99: 1}])
    assert tuple(found) == NAMES
    assert found["r_at_1"].tolist() == pytest.approx([0.0, 1 / 3])
    assert found["r_at_5"].tolist() == pytest.approx([1.0, 2 / 3])
    assert found["mrr_at_10"].tolist() == [0.5, 1.0]
    discount = 1 / np.log2(np.arange(2, 7))
    assert found["ndcg_at_10"].tolist() == pytest.approx(
        [discount[1], (discount[0] + discount[4]) / discount[:3].sum()]
    )


def test_relevant_document_behind_the_cut_does_not_count() -> None:
    found = per_query(np.arange(20)[None, :], [{10: 1}])
    assert all(values.tolist() == [0.0] for values in found.values())


def test_nothing_retrieved_scores_zero() -> None:
    found = per_query(np.full((2, 10), -1), [{0: 1}, {1: 1}])
    assert all(values.tolist() == [0.0, 0.0] for values in found.values())


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4))
def test_agrees_with_torchmetrics(seed: int, num_relevant: int) -> None:
    import torch
    from torchmetrics.retrieval import RetrievalMRR, RetrievalNormalizedDCG, RetrievalRecall

    rng = np.random.default_rng(seed)
    num_queries, num_documents = 6, 25
    ranked = np.stack([rng.permutation(num_documents) for _ in range(num_queries)])
    relevant = [
        {int(row): int(rng.integers(1, 4)) for row in rng.choice(num_documents, num_relevant, replace=False)}
        for _ in range(num_queries)
    ]
    found = per_query(ranked, relevant)
    scores = torch.arange(num_documents, 0, -1, dtype=torch.float32)
    for query in range(num_queries):
        grades = torch.tensor([relevant[query].get(int(row), 0) for row in ranked[query]])
        of_query = torch.zeros(num_documents, dtype=torch.int64)
        for k in RECALL_AT:
            reference = RetrievalRecall(top_k=k)(scores, grades > 0, indexes=of_query)
            assert found[f"r_at_{k}"][query] == pytest.approx(float(reference), abs=1e-6)
        reference = RetrievalNormalizedDCG(top_k=CUTOFF)(scores, grades, indexes=of_query)
        assert found["ndcg_at_10"][query] == pytest.approx(float(reference), abs=1e-6)
        reference = RetrievalMRR(top_k=CUTOFF)(scores, grades > 0, indexes=of_query)
        assert found["mrr_at_10"][query] == pytest.approx(float(reference), abs=1e-6)
