"""The frozen reference encoder of Echo-Loop: mean-centred latent semantic analysis (LSA).

TF-IDF (Salton; sublinear counts, smooth idf, unit rows) and a truncated SVD (Halko et al. 2011), both fitted on
training texts only, then the mean of the training vectors is taken off and rows are scaled to length 1. Centring
matters: without it every pair of texts looks alike and the score would be high by chance. The tower never trains the
reference, and its digest pins it.

    reference = LsaReference.fit(train_texts, dimensions=128, seed=0)
    reference.save(folder);  LsaReference.load(folder).encode(texts)

The SVD multiplies dense matrices, so fitting runs on one thread whatever the machine offers: equal bits are promised on
one machine class, and between machines the digest tells. Does not cover other encoders.

Shapes: N texts, D dimensions, V words.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interlock.errors import DataError
from interlock.lanes.retrieval.words import split_words
from interlock.provenance.canonical import canonical_json, sha256_json
from interlock.provenance.files import write_atomic

WEIGHTS_FILE = "reference.safetensors"
VOCABULARY_FILE = "reference.json"

FORMAT = "lsa-1"
"""Raised when the meaning of the two files changes."""

WORDS_MAX = 50_000
"""Most frequent words kept."""

Matrix = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class LsaReference:
    """A fitted reference encoder."""

    words: tuple[str, ...]
    """[V] vocabulary, sorted."""
    idf: Matrix
    """[V] inverse document frequencies."""
    components: Matrix
    """[D, V] right singular vectors."""
    mean: Matrix
    """[D] mean of the training vectors."""

    @property
    def dimensions(self) -> int:
        """D."""
        return len(self.mean)

    @classmethod
    def fit(cls, train_texts: Sequence[str], *, dimensions: int, seed: int) -> "LsaReference":
        """Fit on training texts, on words that at least two of them hold.

        Raises DataError when there are not more texts and words than dimensions.
        """
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer
        from threadpoolctl import threadpool_limits

        documents = [split_words(text) for text in train_texts]
        words = _vocabulary(documents)
        if min(len(words), len(documents)) <= dimensions:
            raise DataError(
                "too little training text for the reference encoder",
                value=f"{len(documents)} texts, {len(words)} words in two or more of them",
                hint=f"needs more than {dimensions} of both; lower the reference's dimensions or add text",
            )
        counter = TfidfVectorizer(analyzer=list, vocabulary=words, sublinear_tf=True, dtype=np.float64)
        counted_NV = counter.fit_transform(documents)
        with threadpool_limits(1):
            svd = TruncatedSVD(dimensions, n_iter=7, random_state=seed).fit(counted_NV)
        # C order matters: safetensors writes the memory of a numpy array as it lies, whatever its strides
        components_DV = np.ascontiguousarray(_sign_fixed(svd.components_), dtype=np.float32)
        vectors_ND = _unit(counted_NV @ components_DV.T.astype(np.float64))
        return cls(
            tuple(words), counter.idf_.astype(np.float32), components_DV, vectors_ND.mean(axis=0).astype(np.float32)
        )

    def encode(self, texts: Sequence[str]) -> Matrix:
        """[N, D] float32 rows of length 1.

        A text without any known word has no meaning here and gets a row of zeros; `echo.py` counts it as a miss.
        """
        counted_NV = self._counter.transform([split_words(text) for text in texts])
        projected_ND = _unit(counted_NV @ self.components.T.astype(np.float64))
        centred_ND = _unit(projected_ND - self.mean)
        centred_ND[np.diff(counted_NV.indptr) == 0] = 0.0
        return centred_ND.astype(np.float32)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over format, vocabulary and the bytes of every matrix."""
        parts = {name: hashlib.sha256(value.tobytes()).hexdigest() for name, value in self._tensors().items()}
        return sha256_json({"format": FORMAT, "words": self.words, **parts})

    def save(self, folder: Path) -> None:
        """Write the two files; no pickle."""
        from safetensors.numpy import save

        write_atomic(folder / WEIGHTS_FILE, save(self._tensors()))
        write_atomic(
            folder / VOCABULARY_FILE,
            canonical_json({"format": FORMAT, "words": self.words, "digest": self.digest}) + "\n",
        )

    @classmethod
    def load(cls, folder: Path) -> "LsaReference":
        """Read them back. Raises DataError when they are missing, malformed or do not match their digest."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            text = json.loads((folder / VOCABULARY_FILE).read_text(encoding="utf-8"))
            reference = cls(tuple(text["words"]), **load_file(folder / WEIGHTS_FILE))
            intact = text["format"] == FORMAT and text["digest"] == reference.digest
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise DataError(
                "cannot read the reference encoder", path=folder, hint=f"prepare again: dvc repro ({error})"
            ) from error
        if not intact:
            hint = "prepare again: dvc repro"
            raise DataError("reference encoder differs from its digest", path=folder, value=text["digest"], hint=hint)
        return reference

    def _tensors(self) -> dict[str, Matrix]:
        return {"idf": self.idf, "components": self.components, "mean": self.mean}

    @cached_property
    def _counter(self) -> Any:
        from sklearn.feature_extraction.text import TfidfVectorizer

        counter = TfidfVectorizer(analyzer=list, vocabulary=list(self.words), sublinear_tf=True, dtype=np.float64)
        counter.idf_ = self.idf.astype(np.float64)
        return counter


def _vocabulary(documents: Sequence[Sequence[str]]) -> list[str]:
    frequency = Counter(word for words in documents for word in set(words))
    common = sorted(
        (word for word, count in frequency.items() if count >= 2), key=lambda word: (-frequency[word], word)
    )
    return sorted(common[:WORDS_MAX])


def _sign_fixed(components_DV: NDArray[np.float64]) -> NDArray[np.float64]:
    """A singular vector's sign is arbitrary: make the largest entry of each row positive.

    The first of those within 1e-6 of the largest decides, so that rounding cannot choose between two of equal size.
    """
    size_DV = np.abs(components_DV)
    decisive_D = (size_DV >= (1.0 - 1e-6) * size_DV.max(axis=1, keepdims=True)).argmax(axis=1)
    fixed_DV: NDArray[np.float64] = components_DV * np.sign(
        np.take_along_axis(components_DV, decisive_D[:, None], axis=1)
    )
    return fixed_DV


def _unit(vectors_ND: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows of length 1; rows of zeros stay."""
    unit_ND: NDArray[np.float64] = vectors_ND / np.maximum(np.linalg.norm(vectors_ND, axis=1, keepdims=True), 1e-12)
    return unit_ND
