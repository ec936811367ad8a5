import numpy as np
import pytest

from interlock.errors import DataError
from interlock.lanes.retrieval.baselines import NOT_RETRIEVED, Bm25, chance_recall

DOCUMENTS = [
    "Read a CSV file into a table.",
    "Sort the rows of a table.",
    "",
    "Plot a line chart.",
    "Sort the rows of a table.",
]


def test_a_corpus_without_words_is_refused() -> None:
    with pytest.raises(DataError, match="no document holds a word"):
        Bm25(["", "...", "the"], words="stems")


def test_ranking_ties_and_unretrieved_documents() -> None:
    rows_BK = Bm25(DOCUMENTS, words="stems").search(["sorting rows", "csv tables", "chart", "", "unheard"], 4)
    none = NOT_RETRIEVED
    assert rows_BK.tolist() == [
        [1, 4, none, none],
        [0, 1, 4, none],
        [3, none, none, none],
        [none] * 4,
        [none] * 4,
    ]


def test_ties_beyond_the_cut_keep_the_lower_row() -> None:
    assert Bm25(["csv file"] * 50 + ["csv csv csv file"], words="stems").search(["csv"], 3).tolist() == [[50, 0, 1]]


def test_k_is_cut_at_the_corpus() -> None:
    assert Bm25(DOCUMENTS, words="stems").search(["table"], 99).shape == (1, 5)


def test_scores_are_those_of_the_formula() -> None:
    """Lucene's BM25: idf = ln(1 + (N - df + 0.5) / (df + 0.5)), tf / (tf + k1 (1 - b + b |d| / mean |d|))."""
    documents = ["csv csv file", "csv table", "line chart plot axis"]
    model = Bm25(documents, words="stems", k1=1.2, b=0.75)
    idf = np.log(1 + (3 - 2 + 0.5) / (2 + 0.5))
    expected = [idf * tf / (tf + 1.2 * (0.25 + 0.75 * length / 3)) for tf, length in ((2, 3), (1, 2), (0, 4))]
    scores = model._model.get_scores([model._words["csv"]])
    np.testing.assert_allclose(scores, expected, rtol=1e-6)


def test_order_of_documents_does_not_change_who_is_found() -> None:
    backwards = Bm25(DOCUMENTS[::-1], words="stems").search(["csv chart"], 2)
    assert sorted(4 - backwards[0]) == sorted(Bm25(DOCUMENTS, words="stems").search(["csv chart"], 2)[0])


def test_chance_is_the_mean_over_all_rankings() -> None:
    from itertools import permutations

    found = [len({0, 1} & set(order[:2])) / 2 for order in permutations(range(5))]
    assert chance_recall(2, 5) == pytest.approx(sum(found) / len(found))
    assert chance_recall(10, 4) == 1.0


@pytest.mark.parametrize(("k", "n"), [(0, 5), (5, 0)])
def test_impossible_chance_is_refused(k: int, n: int) -> None:
    with pytest.raises(DataError):
        chance_recall(k, n)


def test_standard_words_are_those_of_the_package() -> None:
    import bm25s

    from interlock.lanes.retrieval.baselines import _standard_words

    texts = ["Read the CSV-file, row by row!", "a b cc", "naïve_parser(x1) is not an API", ""]
    assert [_standard_words(text) for text in texts] == bm25s.tokenize(texts, return_ids=False, show_progress=False)


def test_standard_words_are_not_stemmed() -> None:
    ranked = {words: Bm25(DOCUMENTS, words=words).search(["sorting"], 1).tolist() for words in ("standard", "stems")}
    assert ranked["stems"] != [[-1]]
    assert ranked["standard"] == [[-1]]


def test_scores_of_chosen_documents_order_them_as_the_search_does() -> None:
    bm25, rows = Bm25(DOCUMENTS, words="stems"), np.array([3, 1, 0])
    scores = bm25.scores("csv tables", rows)
    assert scores[0] == 0
    assert rows[np.argsort(-scores)][:2].tolist() == [row for row in bm25.search(["csv tables"], 5)[0] if row in rows]
    assert bm25.scores("unheard", rows).tolist() == [0.0, 0.0, 0.0]
