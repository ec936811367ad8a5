import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from interlock.lanes.query_tower import lexical
from interlock.lanes.query_tower.lexical import heaviest_buckets, lexical_rows, nearest_rows
from interlock.lanes.retrieval.index import MemoryIndex
from interlock.lanes.retrieval.ragged import RaggedFeatures

BLOCK = RaggedFeatures(
    np.array([1, 3, 2], np.int32), np.array([3, 2, 1], np.float32), np.zeros(3, np.uint8), np.array([0, 2, 3])
)
IDF = np.array([9, 1, 4, 2], dtype=np.float32)


def test_queries_have_length_1_and_documents_less():
    assert lexical_rows(BLOCK, IDF, pivot=0.0).toarray() == pytest.approx(np.array([[0, 0.6, 0, 0.8], [0, 0, 1, 0]]))
    assert lexical_rows(BLOCK, IDF, pivot=12.0).toarray()[0] == pytest.approx(np.array([0, 3, 0, 4]) / 13)


@given(st.integers(1, 30), st.integers(0, 40), st.integers(1, 200), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=40)
def test_the_nearest_are_those_of_the_exact_index(num_documents, count, cells, seed):
    random = np.random.default_rng(seed)
    documents = random.normal(size=(num_documents, 5)).astype(np.float32)
    queries = random.normal(size=(7, 5)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lexical, "CELLS", cells)
        found = nearest_rows(sparse.csr_matrix(queries), sparse.csr_matrix(documents), count)
    assert found.shape == (7, min(count, num_documents))
    if count:
        assert found.tolist() == MemoryIndex(documents).search(queries, count)[1].tolist()


def test_the_lower_row_comes_first_among_equals():
    documents = sparse.csr_matrix(np.array([[1, 0], [0, 1], [1, 0], [0, 1]], dtype=np.float32))
    assert nearest_rows(documents[:2], documents, 4).tolist() == [[0, 2, 1, 3], [1, 3, 0, 2]]


def test_the_heaviest_come_first_and_the_lower_among_equals():
    rows = sparse.csr_matrix(np.array([[1, 0, 3, 1], [0, 2, 1, 0]], dtype=np.float32))
    assert heaviest_buckets(rows, 3).tolist() == [2, 1, 0]
