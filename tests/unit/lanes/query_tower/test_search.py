import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.lanes.query_tower.search import search_pieces
from interlock.lanes.retrieval.index import MemoryIndex


@given(st.integers(1, 40), st.integers(1, 12), st.integers(1, 15), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=40)
def test_pieces_give_the_answer_of_the_whole(num_documents, piece, k, seed):
    random = np.random.default_rng(seed)
    documents = random.integers(-1, 2, size=(num_documents, 3)).astype(np.float32)  # few values: many ties
    queries = random.integers(-1, 2, size=(4, 3)).astype(np.float32)
    pieces = (documents[start : start + piece] for start in range(0, num_documents, piece))
    scores, rows = search_pieces(pieces, queries, k, threads=1)
    expected_scores, expected_rows = MemoryIndex(documents).search(queries, k)
    assert rows.tolist() == expected_rows.tolist()
    assert scores.tolist() == expected_scores.tolist()
