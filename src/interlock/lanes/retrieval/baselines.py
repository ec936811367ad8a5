"""Baselines that stand beside every retrieval result: BM25 and chance.

BM25 (Lucene's variant, through the package bm25s) comes with two ways to find words, because the choice moves its
R@5 more than most training does:

    standard   as bm25s ships: lower-cased runs of two or more word characters, English stop words left out
    stems      the words of the hashed tower: identifiers split, stop words left out, lightly stemmed

The first is what people mean by BM25; the second shows how much of a tower's result its words alone would give. Chance
is computed, not drawn.

Shapes: N documents, B queries, K results.
"""

import logging
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from interlock.errors import DataError
from interlock.lanes.retrieval.words import split_words

_STANDARD = re.compile(r"\b\w\w+\b")
"""The pattern of `bm25s.tokenize`; a test compares the two."""

NOT_RETRIEVED = -1
"""Fills a ranking behind the last document that shares a word with the query."""


Words = Literal["standard", "stems"]


class Bm25:
    """BM25 over a corpus held in memory."""

    def __init__(self, documents: Iterable[str], *, words: Words, k1: float = 1.5, b: float = 0.75) -> None:
        """Index the documents in order. Raises DataError when no document holds a word."""
        import bm25s
        from bm25s.tokenization import Tokenized

        logging.getLogger("bm25s").setLevel(logging.WARNING)  # it sets itself to DEBUG when imported

        self._split: Callable[[str], Sequence[str]] = split_words if words == "stems" else _standard_words
        self._words: dict[str, int] = {}
        ids = [[self._words.setdefault(word, len(self._words)) for word in self._split(text)] for text in documents]
        if not self._words:
            raise DataError("no document holds a word", hint="BM25 needs text; for vector data leave the baseline out")
        self._num_documents = len(ids)
        # auto_compile would use numba where it happens to be installed: one code path on every machine instead
        self._model = bm25s.BM25(k1=k1, b=b, method="lucene", auto_compile=False)
        self._model.index(Tokenized(ids=ids, vocab=self._words), create_empty_token=False, show_progress=False)

    def search(self, queries: Sequence[str], k: int) -> NDArray[np.int64]:
        """[B, min(k, N)] rows, best first, the lower row first among equals.

        Documents without any word of the query are not retrieved: NOT_RETRIEVED stands in their place.
        """
        k = min(k, self._num_documents)
        rows_BK = np.full((len(queries), k), NOT_RETRIEVED, dtype=np.int64)
        for query, row_K in zip(queries, rows_BK, strict=True):
            known = [self._words[word] for word in self._split(query) if word in self._words]
            if known:
                best = _best(self._model.get_scores(known), k)
                row_K[: len(best)] = best
        return rows_BK

    def scores(self, query: str, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """[len(rows)] scores of these documents for one query; 0 where they share no word with it."""
        known = [self._words[word] for word in self._split(query) if word in self._words]
        if not known:
            return np.zeros(len(rows), dtype=np.float32)
        scores: NDArray[np.float32] = self._model.get_scores(known)[rows]
        return scores


def _standard_words(text: str) -> list[str]:
    from bm25s.stopwords import STOPWORDS_EN

    return [word for word in _STANDARD.findall(text.lower()) if word not in STOPWORDS_EN]


def chance_recall(k: int, num_documents: int) -> float:
    """Expected R@k of a random ranking, min(1, k / N): each relevant document is among the first k that often.

    It holds for any number of relevant documents, because R@k is the share of them that is found.
    """
    if k < 1 or num_documents < 1:
        raise DataError("k and the number of documents must be at least 1", value=(k, num_documents))
    return min(1.0, k / num_documents)


def _best(scores_N: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    matching = np.flatnonzero(scores_N > 0)
    if len(matching) > k:  # keep everything that ties with rank k, so that the sort below decides among equals
        threshold = np.partition(scores_N[matching], len(matching) - k)[len(matching) - k]
        matching = matching[scores_N[matching] >= threshold]
    return matching[np.argsort(-scores_N[matching], kind="stable")[:k]]
