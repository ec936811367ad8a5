"""What a hashed encoder takes from training texts before the loop: idf, pivot, own columns, table rows, query gains.

Validation and test texts never enter. Everything is a pure function of texts, configuration and seed, so a resumed run
computes it again instead of storing it.

Shapes: Q queries, M documents, K buckets, R rivals of a query, W rows of the table, S its width.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from interlock.lanes.query_tower.config import HashedEncoder, LexicalPart
from interlock.lanes.query_tower.gains import RIVALS, Contest, fit_gains
from interlock.lanes.query_tower.hashed import WORD, HashedNetwork, idf_of
from interlock.lanes.query_tower.inputs import DOCUMENT, QUERY, ROLES, Inputs, RaggedInputs
from interlock.lanes.query_tower.lexical import heaviest_buckets, lexical_rows, nearest_rows, norms_of
from interlock.lanes.query_tower.pairs import Pairs
from interlock.lanes.retrieval.ragged import RaggedFeatures
from interlock.lanes.retrieval.text import KINDS, HashedFeatures
from interlock.lanes.retrieval.weighting import Weighting, lengths_of
from interlock.lanes.training.seeds import derived_seed


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

    def trained_part(self, inputs: Inputs) -> RaggedInputs:
        """Words: the table has rows for nothing else."""
        return RaggedInputs(_features(inputs).of_kind(WORD))

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
    """Fit on training texts; `set_gains` does the rest, once there are pairs."""
    features = HashedFeatures(
        buckets=config.buckets, identifiers=config.identifiers, bigrams=config.bigrams,
        char_ngrams=config.char_ngrams, max_features=config.max_features,
    )  # fmt: skip
    counted = [features.encode(queries), features.encode(documents)]
    front = HashedFront(features, _weightings(config, float(lengths_of(counted[DOCUMENT]).mean())))
    weighed = [front.weighed(counted[role], role).features for role in (QUERY, DOCUMENT)]
    words = _word_buckets(weighed)
    network = HashedNetwork(config, table_rows=1 + len(words))
    network.row_K[torch.from_numpy(words)] = torch.arange(1, 1 + len(words))
    _fit_lexical(network, config.lexical, weighed[DOCUMENT])
    generator = torch.Generator().manual_seed(derived_seed(seed, "table"))
    with torch.no_grad():
        start = torch.randn(len(words), config.semantic.dimensions, generator=generator)
        network.table_WS[1:] = start / config.semantic.dimensions**0.5
    return network, front


def _fit_lexical(network: HashedNetwork, config: LexicalPart, documents: RaggedFeatures) -> None:
    frequency_K = np.bincount(documents.ids, minlength=len(network.idf_K))
    idf_K = idf_of(frequency_K, len(documents), config.idf_power)
    network.idf_K.copy_(torch.from_numpy(idf_K))
    network.pivot.fill_(config.pivot * float(np.median(norms_of(documents, idf_K))))
    rows_MK = lexical_rows(documents, idf_K, pivot=network.pivot.item())
    network.give_own_columns(torch.from_numpy(heaviest_buckets(rows_MK, config.own_columns)))


def lexically_nearest(network: HashedNetwork, pairs: Pairs, count: int) -> NDArray[np.int64]:
    """[Q, min(count, M)] documents of the pairs nearest to each query by the lexical part without gains, best first."""
    return nearest_rows(*_pair_rows(network, pairs), count)


def set_gains(
    network: HashedNetwork, config: LexicalPart, pairs: Pairs, rivals_QR: NDArray[np.int64], *, seed: int
) -> None:
    """Fit the gains of the queries' features and put them into the network."""
    if not config.gain_epochs:
        return
    queries_QK, documents_MK = _pair_rows(network, pairs)
    contest = Contest.of(
        queries_QK, documents_MK,
        query_row=pairs.query_row, document_row=pairs.document_row, rivals_QR=rivals_QR[:, :RIVALS],
    )  # fmt: skip
    blocks = [_features(pairs.queries), _features(pairs.documents)]
    asked_K = np.bincount(queries_QK.indices, minlength=len(network.idf_K)) > 0
    gain_K = fit_gains(
        contest, _kinds(blocks, len(asked_K)), asked_K,
        epochs=config.gain_epochs, lr=config.gain_lr, seed=derived_seed(seed, "gains"),
    )  # fmt: skip
    network.gain_K.copy_(torch.from_numpy(gain_K))


def _pair_rows(network: HashedNetwork, pairs: Pairs) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    idf_K = network.idf_K.cpu().numpy()
    queries_QK = lexical_rows(_features(pairs.queries), idf_K, pivot=0.0)
    return queries_QK, lexical_rows(_features(pairs.documents), idf_K, pivot=network.pivot.item())


def _features(inputs: Inputs) -> RaggedFeatures:
    assert isinstance(inputs, RaggedInputs), "made by HashedFront"
    return inputs.features


def _kinds(blocks: Sequence[RaggedFeatures], buckets: int) -> NDArray[np.int64]:
    """[K] kind of feature in each bucket; where several share one, the first kind of `KINDS`."""
    kinds_K = np.zeros(buckets, dtype=np.int64)
    for kind in reversed(range(len(KINDS))):
        for block in blocks:
            kinds_K[block.ids[block.kinds == kind]] = kind
    return kinds_K


def _weightings(config: HashedEncoder, mean_length: float) -> tuple[Weighting, Weighting]:
    factors = config.weights.model_dump()
    lexical = config.lexical
    query = Weighting(**factors, count_max=lexical.query_count_max)
    return query, Weighting(**factors, k1=lexical.k1, b=lexical.b, mean_length=mean_length)


def _word_buckets(weighed: Sequence[RaggedFeatures]) -> NDArray[np.int64]:
    """[W - 1] buckets that a word of a training text falls into; n-grams and pairs alone carry no meaning to learn."""
    return np.unique(np.concatenate([block.of_kind(WORD).ids for block in weighed])).astype(np.int64)
