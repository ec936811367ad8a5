"""Echo-Loop: does a decoded vector come back to the reference vector of the same text?

A concept's text is encoded by the tower, decoded into the space of a frozen reference encoder, and compared there by
cosine. A mean cosine alone can be had cheaply (by predicting the mean), so chance level and lift stand beside it.
Does not encode or decode anything.

Shapes: N held-out texts, D dimensions of the reference.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interlock.errors import DataError

BLOCK = 1024
"""Texts compared with all others at a time; bounds memory to BLOCK * N float64 numbers."""

Matrix = NDArray[np.float32]
Scores = NDArray[np.float64]


@dataclass(frozen=True)
class EchoScores:
    """Scores of each held-out text, all [N]."""

    cosine: Scores
    """Cosine of the decoded vector with the reference of the same text, -1 to 1; 0 where either vector is zero."""
    chance: Scores
    """Cosine of the decoded vector with the reference of another text, drawn without fixed points."""
    hit: Scores
    """1 where the own reference is strictly nearer than that of every other text (echo retrieval R@1), else 0."""
    num_zero: int
    """Texts whose decoded or reference vector is zero; they score 0 and never hit."""

    @property
    def lift(self) -> float:
        """(score - chance) / (1 - chance) of the means: 0 is chance, 1 is perfect."""
        return lift(float(self.cosine.mean()), float(self.chance.mean()))


def lift(score: float, chance: float) -> float:
    """(score - chance) / (1 - chance). Raises DataError for a chance of 1 or more: nothing could be told apart."""
    if not chance < 1.0 - 1e-9:
        raise DataError(
            "every pair of texts looks alike, so no lift is defined",
            key="echo chance",
            value=chance,
            hint="the reference encoder is degenerate; fit it on more varied text",
        )
    return (score - chance) / (1.0 - chance)


def echo_scores(decoded_ND: Matrix, reference_ND: Matrix, *, seed: int) -> EchoScores:
    """Compare row i with row i, with a random other row, and with all rows.

    Raises DataError for other than two equal shapes with N >= 2, and for vectors that are not finite.
    """
    if decoded_ND.shape != reference_ND.shape or decoded_ND.ndim != 2 or len(decoded_ND) < 2:
        raise DataError(
            "needs two matrices of one shape with at least two rows", value=f"{decoded_ND.shape}, {reference_ND.shape}"
        )
    if not (np.isfinite(decoded_ND).all() and np.isfinite(reference_ND).all()):
        raise DataError(
            "vectors hold NaN or infinity", hint="inspect the training log: the loss should have halted the run"
        )
    decoded, reference = _unit(decoded_ND), _unit(reference_ND)
    zero = (decoded == 0).all(axis=1) | (reference == 0).all(axis=1)
    cosine = np.einsum("nd,nd->n", decoded, reference)
    partner = derangement(len(decoded), seed)
    return EchoScores(
        cosine=cosine,
        chance=np.einsum("nd,nd->n", decoded, reference[partner]),
        hit=_hits(decoded, reference, cosine) * ~zero,
        num_zero=int(zero.sum()),
    )


def derangement(n: int, seed: int) -> NDArray[np.int64]:
    """A permutation of 0..n-1 that maps nothing to itself (one cycle through a shuffled order); n >= 2."""
    order = np.random.default_rng(seed).permutation(n)
    partner = np.empty(n, dtype=np.int64)
    partner[order] = np.roll(order, 1)
    return partner


def _hits(decoded: Scores, reference: Scores, own: Scores) -> Scores:
    hits = np.empty(len(own))
    for start in range(0, len(own), BLOCK):
        part = np.arange(start, min(start + BLOCK, len(own)))
        others = decoded[part] @ reference.T
        others[np.arange(len(part)), part] = -np.inf
        hits[part] = own[part] > others.max(axis=1) + 1e-9  # equal references must not win by rounding
    return hits


def _unit(vectors_ND: Matrix) -> Scores:
    vectors = vectors_ND.astype(np.float64)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Scores = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    return unit
