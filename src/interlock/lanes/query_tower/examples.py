"""What training sees of a prepared dataset: the texts (or vectors) of one split, and its pairs.

Only documents that answer a query of the split are read, so the size of the corpus does not matter here. Documents are
numbered within the split, in the order of the corpus.

Shapes: P pairs, Q queries, M documents of the split.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from interlock.lanes.query_tower.config import TowerTrainer
from interlock.lanes.query_tower.encoders import FittedTower, Source
from interlock.lanes.query_tower.inputs import DOCUMENT, QUERY, Front
from interlock.lanes.query_tower.pairs import Pairs, mined_negatives
from interlock.lanes.retrieval.datasets.config import SplitName
from interlock.lanes.retrieval.datasets.prepared import PreparedDataset
from interlock.lanes.training.seeds import derived_seed

Rows = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class SplitTexts:
    """One split as it was prepared."""

    queries: Source
    """[Q] texts or vectors of its queries."""
    documents: Source
    """[M] texts or vectors of the documents that answer them."""
    query_row: Rows
    """[P] query of each pair."""
    document_row: Rows
    """[P] document of each pair, within `documents`."""


def read_split(data: PreparedDataset, split: SplitName) -> SplitTexts:
    """Read one split of the prepared dataset."""
    positives = data.positives(split)
    corpus_row, document_row = np.unique(positives.doc_row, return_inverse=True)
    queries: Source
    documents: Source
    if data.has_vectors:
        queries, documents = data.query_vectors(split), np.asarray(data.document_vectors()[corpus_row])
    else:
        queries, documents = data.queries(split).texts, data.documents(corpus_row)
    return SplitTexts(
        queries=queries, documents=documents, query_row=positives.query_row, document_row=document_row.astype(np.int64)
    )


def limited(texts: SplitTexts, limit: int | None, *, seed: int) -> SplitTexts:
    """At most `limit` pairs, chosen by the seed, with the queries and documents that they need."""
    if limit is None or len(texts.query_row) <= limit:
        return texts
    order = np.random.default_rng(derived_seed(seed, "limit")).permutation(len(texts.query_row))
    chosen = np.sort(order[:limit])
    queries, query_row = np.unique(texts.query_row[chosen], return_inverse=True)
    documents, document_row = np.unique(texts.document_row[chosen], return_inverse=True)
    return SplitTexts(
        queries=_taken(texts.queries, queries),
        documents=_taken(texts.documents, documents),
        query_row=query_row.astype(np.int64),
        document_row=document_row.astype(np.int64),
    )


def _taken(source: Source, rows: Rows) -> Source:
    return source[rows] if isinstance(source, np.ndarray) else [source[row] for row in rows.tolist()]


def pairs_of(texts: SplitTexts, tower: FittedTower) -> Pairs:
    """The pairs of a split in the form the tower reads."""
    return Pairs(
        queries=tower.front.inputs(texts.queries, QUERY),
        documents=tower.front.inputs(texts.documents, DOCUMENT),
        query_row=texts.query_row,
        document_row=texts.document_row,
    )


def pairs_to_train_on(pairs: Pairs, front: Front) -> Pairs:
    """The same pairs, with only what the training scores read."""
    return replace(pairs, queries=front.trained_part(pairs.queries), documents=front.trained_part(pairs.documents))


def with_negatives(pairs: Pairs, rivals_QR: Rows, config: TowerTrainer, *, seed: int) -> Pairs:
    """The same pairs with hard negatives from the rivals of each query. Raises DataError when there are too few."""
    if not config.hard_negatives:
        return pairs
    negatives = mined_negatives(rivals_QR, pool=config.hard_negative_pool, skip=config.hard_negative_skip)
    return replace(pairs, negatives=negatives, draws=config.hard_negatives, seed=derived_seed(seed, "negatives"))
