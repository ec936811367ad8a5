"""Training and validation pairs, and mined hard negatives.

A pair is a query with one document that answers it. Other answers of the same query, wherever they turn up in a batch,
are masked out of the loss: a second answer is not a wrong one.

Shapes: B pairs of a batch, H mined negatives of each, C = B + B * H candidate documents.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from interlock.errors import DataError
from interlock.lanes.query_tower.inputs import Batch, Inputs
from interlock.lanes.retrieval.ragged import ragged_positions

Rows = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Pairs of one split, by row number; documents are numbered within `documents`."""

    queries: Inputs
    """Every query of the split."""
    documents: Inputs
    """Every document that answers one of them, each once."""
    query_row: Rows
    """[P] query of each pair."""
    document_row: Rows
    """[P] document of each pair."""
    negatives: Rows | None = None
    """[queries, pool] rows of mined negatives, or None."""
    draws: int = 0
    """H, negatives drawn from the pool for each pair and step."""
    seed: int = 0
    """Seed of the draws."""

    def __len__(self) -> int:
        return len(self.query_row)

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Any]:
        """One batch: queries, candidate documents (the pairs' own first), and which of them answer another's query.

        Queries and documents are lists of one input each; `in_micro_batches` gives more. Which negatives are drawn
        follows from the seed and the pairs of the batch, so it does not matter which worker process builds it, nor
        whether the run was resumed.
        """
        return self.in_micro_batches(indices, len(indices))

    def in_micro_batches(self, indices: Sequence[int], size: int) -> dict[str, Any]:
        """The same batch with its inputs in lists: `size` queries, and as many documents as those have, in each."""
        chosen = np.asarray(indices, dtype=np.int64)
        query_B = self.query_row[chosen]
        candidates_C = self.document_row[chosen]
        if self.negatives is not None and self.draws:
            random = np.random.default_rng([self.seed, *chosen.tolist()])
            drawn_BH = random.integers(0, self.negatives.shape[1], size=(len(chosen), self.draws))
            mined = np.take_along_axis(self.negatives[query_B], drawn_BH, axis=1)
            candidates_C = np.concatenate([candidates_C, mined.ravel()])
        answers_BC = self._answers_among(query_B, candidates_C)
        answers_BC[np.arange(len(chosen)), np.arange(len(chosen))] = False
        return {
            "queries": _in_parts(self.queries, query_B, size=size),
            "documents": _in_parts(self.documents, candidates_C, size=size * len(candidates_C) // len(query_B)),
            "masked": torch.from_numpy(answers_BC),
        }

    def _answers_among(self, query_B: Rows, candidates_C: Rows) -> NDArray[np.bool_]:
        """[B, C] the same as `is_answer`, by looking up the few answers instead of asking for every cell."""
        by_query, by_document = np.argsort(self.query_row, kind="stable"), np.argsort(candidates_C, kind="stable")
        pair, asked = _occurrences(self.query_row[by_query], query_B)
        place, found = _occurrences(candidates_C[by_document], self.document_row[by_query[pair]])
        answers_BC = np.zeros((len(query_B), len(candidates_C)), dtype=bool)
        answers_BC[asked[found], by_document[place]] = True
        return answers_BC

    def is_answer(self, query_row: Rows, document_row: Rows) -> NDArray[np.bool_]:
        """Whether each document answers each query; the arguments broadcast."""
        keys = np.sort(self.query_row * len(self.documents) + self.document_row)
        asked = query_row * len(self.documents) + document_row
        place = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
        found: NDArray[np.bool_] = keys[place] == asked
        return found


def _in_parts(inputs: Inputs, rows: Rows, *, size: int) -> list[Batch]:
    return [inputs.take(rows[start : start + size]) for start in range(0, len(rows), size)]


def _occurrences(ordered: Rows, asked: Rows) -> tuple[Rows, Rows]:
    """Every place in `ordered` (ascending) that holds an asked number, and the index of that number in `asked`."""
    starts = np.searchsorted(ordered, asked, side="left")
    counts = np.searchsorted(ordered, asked, side="right") - starts
    return ragged_positions(starts, counts), np.repeat(np.arange(len(asked)), counts)


def nearest_rivals(pairs: Pairs, search: Callable[[int], Rows], *, count: int) -> Rows:
    """[Q, R] nearest documents of each query that do not answer it, best first.

    R is `count`, or what is left beside the answers where there are fewer documents. `search(k)` gives the k nearest
    rows of `pairs.documents` for every query, best first.
    """
    most_answers = int(np.bincount(pairs.query_row).max())
    count = min(count, len(pairs.documents) - most_answers)
    if count <= 0:
        return np.empty((len(pairs.queries), 0), dtype=np.int64)
    near_QK = search(count + most_answers)
    answers_QK = pairs.is_answer(np.arange(len(near_QK))[:, None], near_QK)
    # a stable sort by "is an answer" moves answers to the end and leaves the rest in order of nearness
    order_QK = np.argsort(answers_QK, axis=1, kind="stable")
    return np.take_along_axis(near_QK, order_QK, axis=1)[:, :count]


def mined_negatives(rivals_QR: Rows, *, pool: int, skip: int) -> Rows:
    """[Q, pool] of the rivals, after the `skip` nearest. Raises DataError when there are fewer."""
    if pool + skip > rivals_QR.shape[1]:
        raise DataError(
            "too few training documents to mine negatives from",
            key="lane.trainer.hard_negative_pool", value=pool,
            hint=f"{rivals_QR.shape[1]} beside the answers, {pool + skip} needed; "
            "lower the pool or set hard_negatives to 0",
        )  # fmt: skip
    return rivals_QR[:, skip : skip + pool]
