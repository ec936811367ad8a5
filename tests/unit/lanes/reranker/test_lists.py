import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.errors import DataError
from interlock.lanes.reranker.evaluate import rejected_of
from interlock.lanes.reranker.lists import ANSWER, EMPTY, HARD, SOFT, Lists, read_lists, write_lists


def lists_of(rows, grades, *, ranks=None, scores=None):
    """Lists of any lengths, from nested lists."""
    width = max(map(len, rows))

    def filled(values, empty, dtype):
        return np.array([[*row, *[empty] * (width - len(row))] for row in values], dtype=dtype)

    zeros = [[0] * len(row) for row in rows]
    return Lists(
        rows=filled(rows, EMPTY, np.int64), grades=filled(grades, 0, np.int8),
        scores=filled(scores or zeros, 0, np.float32), ranks=filled(ranks or zeros, 0, np.int32),
    )  # fmt: skip


def test_reading_gives_back_what_was_written(tmp_path):
    lists = lists_of(
        [[3, 5, 9], [1, 2]], [[0, 2, 1], [2, 0]], ranks=[[1, 0, 2], [2, 1]], scores=[[0.5, 0.25, 0.1], [1, 2]]
    )
    write_lists(tmp_path / "lists.parquet", lists)
    again = read_lists(tmp_path / "lists.parquet")
    for name in ("rows", "grades", "scores", "ranks"):
        np.testing.assert_array_equal(getattr(again, name), getattr(lists, name))


def test_another_table_is_refused(tmp_path):
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table({"query": [1]}), tmp_path / "lists.parquet")
    with pytest.raises(DataError, match=r"columns are \['query'\]"):
        read_lists(tmp_path / "lists.parquet")
    with pytest.raises(DataError, match="cannot read the candidate lists"):
        read_lists(tmp_path / "nothing.parquet")


def test_equal_scores_are_ordered_by_row_and_empty_places_come_last():
    lists = lists_of([[3, 5, 9], [1, 2]], [[0, 2, 1], [2, 0]])
    scores = np.array([[1.0, 2.0, 1.0], [-5.0, -1.0, 7.0]], dtype=np.float32)
    assert lists.ordered(scores).tolist() == [[5, 3, 9], [2, 1, EMPTY]]


def test_an_answer_counts_as_retrieved_up_to_the_length_of_its_list():
    lists = lists_of([[1, 2], [1, 2], [1, 2]], [[2, 0]] * 3, ranks=[[2, 1], [3, 1], [0, 1]])
    assert lists.is_retrieved().tolist() == [True, False, False]


# --- rejection of hard negatives, worked out by hand ------------------------------------------------------------------


def rejection(grades, scores):
    lists = lists_of([list(range(len(row))) for row in grades], grades)
    width = lists.rows.shape[1]
    padded = np.array([[*row, *[9.0] * (width - len(row))] for row in scores], dtype=np.float32)
    return {name: (counted.tolist(), of.tolist()) for name, (counted, of) in rejected_of(lists, padded).items()}


def test_each_hard_negative_counts_by_the_share_of_soft_ones_above_it():
    found = rejection([[ANSWER, SOFT, SOFT, HARD, HARD]], [[5, 4, 2, 3, 1]])
    assert found["hard_negative_rejection"] == ([1.5], [2.0])  # 3 is below one of two, 1 below both
    assert found["hard_negative_rejection_strict"] == ([1.0], [2.0])
    assert found["hard_negative_rejection_below_answer"] == ([2.0], [2.0])


def test_a_tie_is_no_rejection():
    found = rejection([[ANSWER, SOFT, HARD]], [[1, 1, 1]])
    assert [counted for counted, _ in found.values()] == [[0.0]] * 3


def test_a_list_without_soft_negatives_has_no_say():
    found = rejection([[ANSWER, HARD, HARD], [ANSWER, SOFT, HARD]], [[3, 2, 1], [1, 3, 2]])
    assert found["hard_negative_rejection"] == ([0.0, 1.0], [0.0, 1.0])
    assert found["hard_negative_rejection_below_answer"] == ([2.0, 0.0], [2.0, 1.0])


@given(st.lists(st.tuples(st.sampled_from([SOFT, HARD]), st.integers(-3, 3)), min_size=1, max_size=8))
def test_strict_never_counts_more_and_the_share_is_that_of_all_pairs(candidates):
    grades, scores = [list(column) for column in zip(*candidates, strict=True)]
    found = rejection([grades], [scores])
    (loose,), (of,) = found["hard_negative_rejection"]
    soft = [score for grade, score in candidates if grade == SOFT]
    hard = [score for grade, score in candidates if grade == HARD]
    if soft and hard:
        pairs = [h < s for h in hard for s in soft]
        assert loose / of == pytest.approx(sum(pairs) / len(pairs))
    assert found["hard_negative_rejection_strict"][0][0] <= loose + 1e-9
