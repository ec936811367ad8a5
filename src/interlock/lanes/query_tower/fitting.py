"""What a hashed encoder takes from the training texts before any training: idf, mean length, pivot, the LSA start.

Validation and test texts never enter. Everything is a pure function of texts, configuration and seed, so a resumed run
computes it again instead of storing it.

Shapes: N rows (training documents, then queries), K buckets, U buckets that hold a training word, S table width.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from interlock.errors import DataError
from interlock.lanes.query_tower.config import HashedEncoder
from interlock.lanes.query_tower.hashed import HashedNetwork, idf_of
from interlock.lanes.query_tower.inputs import DOCUMENT, QUERY, ROLES, RaggedInputs
from interlock.lanes.retrieval.ragged import RaggedFeatures, concatenate
from interlock.lanes.retrieval.text import KINDS, HashedFeatures
from interlock.lanes.retrieval.weighting import Weighting, lengths_of
from interlock.lanes.training.resume import derived_seed

TABLE_SCALE = 3.0
"""Size of the table's start; with it the noise of the configuration is small beside the LSA part."""


class HashedFront:
    """Counts and weighs features; queries and documents have weightings of their own."""

    def __init__(self, features: HashedFeatures, weightings: tuple[Weighting, Weighting]) -> None:
        self.features, self.weightings = features, weightings

    def inputs(self, source: Sequence[str] | NDArray[np.float32], role: int) -> RaggedInputs:
        """Count and weigh the features of texts."""
        return self.weighed(self.features.encode([str(text) for text in source]), role)

    def weighed(self, counted: RaggedFeatures, role: int) -> RaggedInputs:
        """Weigh features that were counted already."""
        return RaggedInputs(self.weightings[role].apply(counted))

    def parameters(self) -> dict[str, Any]:
        """JSON form, for the metadata of the weights."""
        roles = {name: self.weightings[role].parameters() for role, name in enumerate(ROLES)}
        return {"features": self.features.parameters(), "weightings": roles}

    @classmethod
    def from_parameters(cls, parameters: dict[str, Any]) -> "HashedFront":
        """The inverse."""
        query, document = (Weighting(**parameters["weightings"][name]) for name in ROLES)
        return cls(HashedFeatures.from_parameters(parameters["features"]), (query, document))


def fit_hashed(
    config: HashedEncoder, documents: Sequence[str], queries: Sequence[str], *, seed: int
) -> tuple[HashedNetwork, HashedFront]:
    """Fit on training texts. Raises DataError when there are too few of them for the table's width."""
    features = HashedFeatures(
        buckets=config.buckets, identifiers=config.identifiers, bigrams=config.bigrams,
        char_ngrams=config.char_ngrams, max_features=config.max_features,
    )  # fmt: skip
    counted = [features.encode(queries), features.encode(documents)]
    front = HashedFront(features, _weightings(config, float(lengths_of(counted[DOCUMENT]).mean())))
    weighed = [front.weighed(counted[role], role).features for role in (QUERY, DOCUMENT)]
    network = HashedNetwork(config)
    frequency_K = np.bincount(weighed[DOCUMENT].ids, minlength=config.buckets)
    idf_K = idf_of(frequency_K, len(documents), config.lexical.idf_power)
    words_K = _word_buckets(weighed, config.buckets)
    network.idf_K.copy_(torch.from_numpy(idf_K))
    network.words_K.copy_(torch.from_numpy(words_K.astype(np.float32)))
    network.pivot.fill_(config.lexical.pivot * float(np.median(_norms(weighed[DOCUMENT], idf_K))))
    rows = concatenate([weighed[DOCUMENT], weighed[QUERY]])
    table = _table_start(rows, idf_K * words_K, np.flatnonzero(words_K), config=config, seed=seed)
    with torch.no_grad():
        network.table_KS.copy_(table)
    return network, front


def _weightings(config: HashedEncoder, mean_length: float) -> tuple[Weighting, Weighting]:
    factors = config.weights.model_dump()
    lexical = config.lexical
    query = Weighting(**factors, count_max=lexical.query_count_max)
    return query, Weighting(**factors, k1=lexical.k1, b=lexical.b, mean_length=mean_length)


def _word_buckets(weighed: Sequence[RaggedFeatures], buckets: int) -> NDArray[np.bool_]:
    """[K] buckets that a word of a training text falls into; n-grams and pairs alone carry no meaning to learn."""
    found = np.zeros(buckets, dtype=bool)
    for block in weighed:
        found[block.ids[block.kinds == KINDS.index("word")]] = True
    return found


def _norms(block: RaggedFeatures, idf_K: NDArray[np.float32]) -> NDArray[np.float32]:
    squares = np.square(block.weights * idf_K[block.ids])
    norms: NDArray[np.float32] = np.sqrt(np.add.reduceat(squares, block.offsets[:-1]))
    return norms


def _table_start(
    rows: RaggedFeatures, factors_K: NDArray[np.float32], used_U: NDArray[np.int64], *, config: HashedEncoder, seed: int
) -> torch.Tensor:
    """[K, S] LSA of the training texts by words (Deerwester et al. 1990) plus a little noise from the seed."""
    width = config.semantic.dimensions
    if min(len(rows), len(used_U)) <= width:
        raise DataError(
            "too little training text for the learned table",
            key="lane.model.encoder.semantic.dimensions", value=width,
            hint=f"there are {len(rows)} texts and {len(used_U)} words; use fewer dimensions or more data",
        )  # fmt: skip
    values, components_SU = _svd(rows, factors_K, used_U, width)
    scale_S = TABLE_SCALE / np.sqrt(np.maximum(values, 1e-6 * values[0]))
    generator = torch.Generator().manual_seed(derived_seed(seed, "table"))
    noise = torch.randn(len(used_U), width, generator=generator) * (config.semantic.noise / width**0.5)
    table = torch.zeros(config.buckets, width)
    table[torch.from_numpy(used_U)] = torch.from_numpy((components_SU.T * scale_S).astype(np.float32)) + noise
    return table


def _svd(
    rows: RaggedFeatures, factors_K: NDArray[np.float32], used_U: NDArray[np.int64], width: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Largest singular values [S] and right vectors [S, U] of the unit rows, on one thread for equal bits."""
    from scipy import sparse
    from sklearn.utils.extmath import randomized_svd
    from threadpoolctl import threadpool_limits

    values = (rows.weights * factors_K[rows.ids]).astype(np.float64)
    matrix = sparse.csr_matrix((values, rows.ids, rows.offsets), shape=(len(rows), len(factors_K)))
    norms = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    matrix = sparse.diags(1.0 / np.maximum(norms, 1e-6)) @ matrix
    with threadpool_limits(1):
        _, singular, right = randomized_svd(matrix[:, used_U], width, n_iter=1, random_state=0)
    return singular, right
