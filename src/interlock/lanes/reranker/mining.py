"""Makes the candidate lists: the answers of each query among what the first stage finds nearest to it.

    training     as the tower finds them *before* it is trained: it has learned these queries' answers by heart, so
                 afterwards it finds them too easily and its lists would look unlike any that are reranked later
    validation,  as the trained tower finds them; it has seen none of these queries
    test

No document that answers a query of a later split is a candidate in an earlier one, so nothing is known of test answers
before they are measured. Negatives are the first stage's nearest, in its order, nothing skipped but answers and likely
answers: none is easier than its own results. Related negatives are soft, all others hard.

Shapes: Q queries, N documents that may be candidates, K results, C places of a list.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from interlock.lanes.query_tower.encoders import FittedTower
from interlock.lanes.query_tower.fitting import lexically_nearest
from interlock.lanes.query_tower.hashed import HashedNetwork
from interlock.lanes.query_tower.inputs import DOCUMENT, QUERY
from interlock.lanes.query_tower.pairs import Pairs
from interlock.lanes.query_tower.search import chunk_rows, search_pieces
from interlock.lanes.reranker.config import Candidates
from interlock.lanes.reranker.lists import ANSWER, EMPTY, HARD, SOFT, Lists
from interlock.lanes.retrieval.datasets.config import SPLITS, SplitName
from interlock.lanes.retrieval.datasets.duplicates import normalised, signatures
from interlock.lanes.retrieval.datasets.prepared import PreparedDataset

Rows = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Mined:
    """The lists of one split, and what was left out of them."""

    lists: Lists
    retrieved: Lists
    """The first stage's own first `size` results, nothing added and nothing left out."""
    false_negatives: Rows
    """[Q] candidates left out because they are likely answers."""


class Miner:
    """Mines with one tower over one dataset."""

    def __init__(
        self, data: PreparedDataset, tower: FittedTower, config: Candidates, *, groups: list[str],
        device: torch.device, threads: int,
    ) -> None:  # fmt: skip
        """`groups` names the group of every document. The network must be on `device`."""
        self._data, self._tower, self._config = data, tower, config
        self._groups = np.unique(groups, return_inverse=True)[1]
        self._device, self._threads = device, threads

    def mine(self, split: SplitName) -> Mined:
        """Make the lists of a split."""
        answers, allowed = _answers(self._data, split), _allowed(self._data, split)
        depth = min(len(allowed), 2 * self._config.size + max(map(len, answers)))
        found_QK, scores_QK = self._search(split, allowed, depth)
        own_scores = self._scores_of(split, answers)
        copies = self._copies(answers, found_QK)
        lists, retrieved = _Builder(self._config.size), _Builder(self._config.size)
        left_out = np.zeros(len(answers), dtype=np.int64)
        for query, (found_K, scores_K) in enumerate(zip(found_QK, scores_QK, strict=True)):
            grades_K = self._grades(answers[query], found_K)
            is_copy_K = copies[query] & (grades_K != ANSWER)
            ranks_K = np.arange(1, len(found_K) + 1)
            retrieved.add(found_K, grades_K, scores_K, ranks_K)
            own = answers[query][: self._config.size - 1]
            rank_of = dict(zip(found_K.tolist(), ranks_K.tolist(), strict=True))
            own_ranks = np.array([rank_of.get(row, 0) for row in own.tolist()])
            kept = np.flatnonzero((grades_K != ANSWER) & ~is_copy_K)[: self._config.size - len(own)]
            left_out[query] = int(is_copy_K[: kept[-1] if len(kept) else None].sum())
            lists.add(
                np.concatenate([own, found_K[kept]]), np.concatenate([np.full(len(own), ANSWER), grades_K[kept]]),
                np.concatenate([own_scores[query][: len(own)], scores_K[kept]]),
                np.concatenate([own_ranks, ranks_K[kept]]),
            )  # fmt: skip
        return Mined(lists=lists.lists(), retrieved=retrieved.lists(), false_negatives=left_out)

    def _grades(self, answers: Rows, found_K: Rows) -> NDArray[np.int64]:
        related = np.isin(self._groups[found_K], self._groups[answers])
        return np.where(np.isin(found_K, answers), ANSWER, np.where(related, SOFT, HARD))

    def _search(self, split: SplitName, allowed: Rows, depth: int) -> tuple[Rows, NDArray[np.float32]]:
        """[Q, K] rows and scores, best first."""
        encoder, texts = self._tower.network.encoder, self._data.queries(split).texts
        if split == "train" and isinstance(encoder, HashedNetwork):
            front, none = self._tower.front, np.empty(0, dtype=np.int64)
            pairs = Pairs(
                queries=front.inputs(texts, QUERY), documents=front.inputs(self._data.documents(allowed), DOCUMENT),
                query_row=none, document_row=none,
            )  # fmt: skip
            found_QK = lexically_nearest(encoder, pairs, depth)
            falling = np.linspace(1.0, 0.0, found_QK.shape[1], dtype=np.float32)
            return allowed[found_QK], np.tile(falling, (len(texts), 1))  # nobody reads scores of training lists
        queries_QD = self._tower.encode(texts, QUERY, device=self._device)
        scores_QK, found_QK = search_pieces(self._encoded(allowed), queries_QD, depth, threads=self._threads)
        return allowed[found_QK], scores_QK

    def _encoded(self, rows: Rows) -> Iterator[NDArray[np.float32]]:
        size = chunk_rows(self._tower.network.echo_head.in_features)
        for start in range(0, len(rows), size):
            texts = self._data.documents(rows[start : start + size])
            yield self._tower.encode(texts, DOCUMENT, device=self._device)

    def _scores_of(self, split: SplitName, answers: list[Rows]) -> list[NDArray[np.float32]]:
        """The first stage's score of every answer, retrieved or not."""
        if split == "train":
            return [np.zeros(len(rows), dtype=np.float32) for rows in answers]
        queries_QD = self._tower.encode(self._data.queries(split).texts, QUERY, device=self._device)
        rows = np.unique(np.concatenate(answers))
        documents_ND = np.concatenate(list(self._encoded(rows)))
        return [
            (documents_ND[np.searchsorted(rows, own)].astype(np.float64) @ query_D.astype(np.float64)).astype(
                np.float32
            )
            for own, query_D in zip(answers, queries_QD, strict=True)
        ]

    def _copies(self, answers: list[Rows], found_QK: Rows) -> NDArray[np.bool_]:
        """[Q, K] candidates whose text is nearly that of an answer."""
        rows = np.unique(np.concatenate([found_QK.ravel(), *answers]))
        texts = self._data.documents(rows)
        marks, same = signatures(texts), np.unique([normalised(text) for text in texts], return_inverse=True)[1]
        copies_QK = np.zeros(found_QK.shape, dtype=np.bool_)
        for query, (own, found_K) in enumerate(zip(answers, found_QK, strict=True)):
            mine, theirs = np.searchsorted(rows, own), np.searchsorted(rows, found_K)
            alike = (marks[theirs][:, None] == marks[mine][None]).mean(axis=2) >= self._config.false_negative_similarity
            copies_QK[query] = (alike | (same[theirs][:, None] == same[mine][None])).any(axis=1)
        return copies_QK


class _Builder:
    """Collects lists of at most `size` candidates."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._columns: dict[str, list[NDArray[np.generic]]] = {"rows": [], "grades": [], "scores": [], "ranks": []}

    def add(self, rows: Rows, grades: Rows, scores: NDArray[np.float32], ranks: Rows) -> None:
        """Append one list, ordered by row."""
        order = np.argsort(rows[: self._size], kind="stable")
        for name, values in (("rows", rows), ("grades", grades), ("scores", scores), ("ranks", ranks)):
            self._columns[name].append(values[: self._size][order])

    def lists(self) -> Lists:
        """What was collected."""
        width = max(map(len, self._columns["rows"]))
        types = {"rows": np.int64, "grades": np.int8, "scores": np.float32, "ranks": np.int32}
        filled = {}
        for name, parts in self._columns.items():
            filled[name] = np.full((len(parts), width), EMPTY if name == "rows" else 0, dtype=types[name])
            for row, values in zip(filled[name], parts, strict=True):
                row[: len(values)] = values
        return Lists(**filled)


def _answers(data: PreparedDataset, split: SplitName) -> list[Rows]:
    """Answers of each query, the most relevant first."""
    positives = data.positives(split)
    order = np.lexsort((positives.doc_row, -positives.relevance.astype(np.int64), positives.query_row))
    counts = np.bincount(positives.query_row, minlength=len(data.queries(split)))
    return np.split(positives.doc_row[order], np.cumsum(counts)[:-1])


def _allowed(data: PreparedDataset, split: SplitName) -> Rows:
    """Documents that may be candidates: all but those that answer a query of a later split."""
    later = SPLITS[SPLITS.index(split) + 1 :]
    kept = np.ones(data.num_documents, dtype=np.bool_)
    for other in later:
        kept[data.positives(other).doc_row] = False
    kept[data.positives(split).doc_row] = True
    return np.flatnonzero(kept)
