"""Lists in the form a network reads them, a batch at a time: matched features, or tokens.

Shapes: Q lists, B lists of a batch, C places, N filled places of the batch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from interlock.lanes.reranker.lists import ANSWER, EMPTY, Lists
from interlock.lanes.reranker.matching import Matches
from interlock.lanes.reranker.model import Batch

Places = NDArray[np.int64]


class Inputs(Protocol):
    """Lists of one split, ready to be scored."""

    def __len__(self) -> int:
        """Q."""
        ...

    def take(self, queries: Places, places_BC: Places | None = None) -> Batch:
        """Tensors of the chosen lists, `filled` [B, C] among them; of each the chosen places, or all of them."""
        ...


@dataclass(frozen=True)
class MatchedInputs:
    """For the interaction network: `features` [B, C, F], `similarity` [B, C, C], `filled` [B, C]."""

    matches: Matches

    def __len__(self) -> int:
        return len(self.matches.filled)

    def take(self, queries: Places, places_BC: Places | None = None) -> Batch:
        """See `Inputs`."""
        features, similarity = self.matches.features[queries], self.matches.similarity[queries]
        filled = self.matches.filled[queries]
        if places_BC is not None:
            list_B1 = np.arange(len(queries))[:, None]
            features, filled = features[list_B1, places_BC], filled[list_B1, places_BC]
            similarity = similarity[list_B1[..., None], places_BC[:, :, None], places_BC[:, None, :]]
        return {
            "features": torch.from_numpy(features),
            "similarity": torch.from_numpy(similarity),
            "filled": torch.from_numpy(filled),
        }


@dataclass(frozen=True)
class TokenInputs:
    """For a cross-encoder: `token.*` [N, T] of the filled places, and `filled` [B, C]."""

    queries: Sequence[str]
    documents: Sequence[str]
    """Texts that `lists.rows` number."""
    lists: Lists
    tokenize: Any

    def __len__(self) -> int:
        return len(self.lists)

    def take(self, queries: Places, places_BC: Places | None = None) -> Batch:
        """See `Inputs`."""
        rows_BC = self.lists.rows[queries]
        if places_BC is not None:
            rows_BC = np.take_along_axis(rows_BC, places_BC, axis=1)
        filled_BC = rows_BC != EMPTY
        asked = [self.queries[query] for query in np.repeat(queries, filled_BC.sum(axis=1)).tolist()]
        found = [self.documents[row] for row in rows_BC[filled_BC].tolist()]
        return {**self.tokenize(asked, found), "filled": torch.from_numpy(filled_BC)}


def numbered(lists: Lists, documents: Callable[[Places], list[str]]) -> tuple[Lists, list[str]]:
    """The lists with rows that number the texts that come with them; `documents(rows)` reads those from the corpus."""
    rows = np.unique(lists.rows[lists.filled])
    local = np.where(lists.filled, np.searchsorted(rows, lists.rows), EMPTY)
    renamed = Lists(rows=local, grades=lists.grades, scores=lists.scores, ranks=lists.ranks)
    return renamed, documents(rows)


@dataclass(frozen=True, kw_only=True)
class GradedLists:
    """Lists to learn from: the inputs, `grades` [B, C] and `weight` [B]."""

    inputs: Inputs
    lists: Lists
    weight: NDArray[np.float32]
    """[Q] how much each list counts, > 0."""
    draws: int | None
    """Places of a list in a batch, its answers among them; None takes all."""
    seed: int

    def __len__(self) -> int:
        return len(self.lists)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """One batch. Which places are drawn follows from the seed and the lists of the batch."""
        queries = np.asarray(indices, dtype=np.int64)
        grades_BC = self.lists.grades[queries]
        places_BC = None
        if self.draws is not None and self.draws < grades_BC.shape[1]:
            places_BC = self._drawn(queries, grades_BC)
            grades_BC = np.take_along_axis(grades_BC, places_BC, axis=1)
        batch = self.inputs.take(queries, places_BC)
        graded = {
            "grades": torch.from_numpy(grades_BC.astype(np.int64)),
            "weight": torch.from_numpy(self.weight[queries]),
        }
        return {**batch, **graded}

    def _drawn(self, queries: Places, grades_BC: NDArray[np.int8]) -> Places:
        """Answers first, then other filled places in random order, empty ones last; back in the list's own order."""
        random = np.random.default_rng([self.seed, *queries.tolist()])
        filled_BC = self.lists.filled[queries]
        preference = random.random(grades_BC.shape) + 2.0 * ~filled_BC - 1.0 * ((grades_BC == ANSWER) & filled_BC)
        places_BC: Places = np.sort(np.argsort(preference, axis=1, kind="stable")[:, : self.draws], axis=1)
        return places_BC
