import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.errors import DataError
from interlock.lanes.retrieval.index import ExactIndex, MemoryIndex, VectorIndex, Vectors, top_rows

BUILDERS = [ExactIndex.build, MemoryIndex]


def random_unit(n: int, d: int, seed: int) -> Vectors:
    vectors = np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.empty((0, 3), np.float32), "non-empty float32"),
        (np.ones(3, np.float32), "non-empty float32"),
        (np.ones((2, 3)), "non-empty float32"),
        (np.array([[1, 2], [3, np.nan]], np.float32), r"row 1: .*NaN"),
    ],
)
def test_bad_vectors_are_refused(build: type[MemoryIndex], vectors: Vectors, message: str) -> None:
    with pytest.raises(DataError, match=message):
        build(vectors)


@pytest.mark.parametrize("build", BUILDERS)
def test_bad_queries_are_refused(build: type[MemoryIndex]) -> None:
    index = build(np.ones((4, 3), np.float32))
    with pytest.raises(DataError, match="differ in dimension"):
        index.search(np.ones((1, 2), np.float32), 1)
    with pytest.raises(DataError, match="k must be"):
        index.search(np.ones((1, 3), np.float32), 0)
    with pytest.raises(DataError, match="queries hold NaN"):
        index.search(np.full((1, 3), np.inf, np.float32), 1)


@pytest.mark.parametrize("build", BUILDERS)
def test_small_example_with_ties(build: type[MemoryIndex]) -> None:
    index: VectorIndex = build(np.array([[0, 1], [1, 0], [0, 1], [1, 0], [2, 0]], np.float32))
    scores_BK, rows_BK = index.search(np.array([[1, 0], [0, 3]], np.float32), 4)
    assert rows_BK.tolist() == [[4, 1, 3, 0], [0, 2, 1, 3]]
    assert scores_BK.tolist() == [[2, 1, 1, 0], [3, 3, 0, 0]]


@pytest.mark.parametrize("build", BUILDERS)
def test_k_beyond_the_corpus_and_no_queries(build: type[MemoryIndex]) -> None:
    index: VectorIndex = build(np.eye(3, dtype=np.float32))
    assert index.search(np.eye(3, dtype=np.float32), 9)[1].shape == (3, 3)
    assert index.search(np.empty((0, 3), np.float32), 2)[1].shape == (0, 2)


def test_many_equal_rows_at_the_cut_give_the_lowest() -> None:
    vectors = np.repeat(random_unit(3, 16, 0), 500, axis=0)
    _, rows_BK = ExactIndex.build(vectors).search(random_unit(40, 16, 1), 5)
    assert {tuple(row) for row in rows_BK.tolist()} <= {tuple(range(s, s + 5)) for s in (0, 500, 1000)}


def test_rows_that_float32_sums_cannot_tell_apart_are_ranked_exactly() -> None:
    noise = np.random.default_rng(2).standard_normal((600, 256)) * 1e-8
    vectors = (random_unit(1, 256, 0) + noise).astype(np.float32)
    queries = random_unit(30, 256, 1)
    scores, rows = ExactIndex.build(vectors).search(queries, 5)
    expected_scores, expected_rows = MemoryIndex(vectors).search(queries, 5)
    assert np.array_equal(rows, expected_rows)
    assert np.array_equal(scores, expected_scores)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 300), st.integers(1, 24), st.integers(1, 40), st.integers(0, 10**6))
def test_faiss_and_memory_agree_to_the_bit(n: int, d: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.integers(-2, 3, (n, d)).astype(np.float32) / np.float32(3)  # few distinct values: many ties
    queries = rng.standard_normal((17, d)).astype(np.float32)
    scores, rows = ExactIndex.build(vectors).search(queries, k, batch=5)
    expected_scores, expected_rows = MemoryIndex(vectors).search(queries, k)
    assert np.array_equal(rows, expected_rows)
    assert np.array_equal(scores, expected_scores)


def test_batches_and_threads_change_nothing() -> None:
    vectors, queries = random_unit(2000, 48, 0), random_unit(90, 48, 1)
    whole = ExactIndex.build(vectors).search(queries, 10)
    parts = ExactIndex.build(vectors, threads=2).search(queries, 10, batch=7)
    assert all(np.array_equal(a, b) for a, b in zip(whole, parts, strict=True))


def test_thread_count_is_put_back() -> None:
    import faiss

    before = faiss.omp_get_max_threads()
    ExactIndex.build(np.eye(3, dtype=np.float32), threads=before + 1).search(np.eye(3, dtype=np.float32), 1)
    assert faiss.omp_get_max_threads() == before


def test_top_rows() -> None:
    assert top_rows(np.array([[1, 3, 3, 2]], np.float32), 3).tolist() == [[1, 2, 3]]
