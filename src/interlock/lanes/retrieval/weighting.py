"""How much a counted feature weighs before a model sees it: by kind, with counts capped or saturated.

Queries are short, so their counts are only capped; documents use the saturation of BM25 (Robertson and Zaragoza 2009,
eq. 3.15), which also evens out their lengths:

    weight = kind_weight * count * (k1 + 1) / (count + k1 * (1 - b + b * length / mean_length))

Does not hold idf or anything else that is learned; that belongs to a model. numpy only, used by exported models too.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interlock.errors import DataError
from interlock.lanes.retrieval.ragged import RaggedFeatures
from interlock.lanes.retrieval.text import KINDS


@dataclass(frozen=True, kw_only=True)
class Weighting:
    """Turns counts into weights. The defaults leave counts as they are."""

    word: float = 1.0
    """Factor of stemmed words, > 0."""
    identifier: float = 1.0
    """Factor of whole compound identifiers, > 0."""
    bigram: float = 1.0
    """Factor of word pairs, > 0."""
    char_ngram: float = 1.0
    """Factor of character n-grams, > 0."""
    count_max: float | None = None
    """Counts above this count as this; None does not cap."""
    k1: float | None = None
    """Where counts saturate, > 0; None does not saturate."""
    b: float = 0.0
    """Share of the length correction, 0 to 1; only with `k1`."""
    mean_length: float = 1.0
    """Mean of `lengths_of` over the training documents, > 0; only with `k1`."""

    def __post_init__(self) -> None:
        positive = (*self._factors(), self.mean_length, *(x for x in (self.count_max, self.k1) if x is not None))
        if not all(np.isfinite(positive)) or min(positive) <= 0 or not 0.0 <= self.b <= 1.0:
            raise DataError("impossible weighting", value=asdict(self), hint="positive finite numbers, b in 0..1")

    def parameters(self) -> dict[str, Any]:
        """JSON form; `Weighting(**parameters)` is the inverse."""
        return asdict(self)

    def apply(self, ragged: RaggedFeatures) -> RaggedFeatures:
        """The same features with final weights (float32, > 0) in place of counts."""
        weights = ragged.weights if self.count_max is None else np.minimum(ragged.weights, np.float32(self.count_max))
        if self.k1 is not None:
            share = 1.0 - self.b + self.b * lengths_of(ragged) / self.mean_length
            damping = np.repeat((self.k1 * share).astype(np.float32), ragged.lengths)
            weights = weights * np.float32(self.k1 + 1.0) / (weights + damping)
        factors = np.asarray(self._factors(), dtype=np.float32)
        return RaggedFeatures(ragged.ids, weights * factors[ragged.kinds], ragged.kinds, ragged.offsets)

    def _factors(self) -> tuple[float, ...]:
        return tuple(float(getattr(self, kind)) for kind in KINDS)


def lengths_of(counted: RaggedFeatures) -> NDArray[np.float64]:
    """[B] length of each text: the sum of its counts, every kind of feature included."""
    return np.add.reduceat(counted.weights, counted.offsets[:-1], dtype=np.float64) if len(counted) else np.empty(0)
