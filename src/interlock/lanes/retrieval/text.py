"""Hashed text features: a text becomes a bag of bucket ids with counts, and no vocabulary has to be kept.

    features = HashedFeatures(buckets=2**16)
    ragged = features.encode(["Read a CSV file.", "Write one."])
    ids_BT, weights_BT = pad(Weighting(count_max=2.0).apply(ragged))       # what an exported model takes

Counted are stemmed words, whole compound identifiers, pairs of neighbouring words, and character n-grams inside words.
Buckets follow from BLAKE2b: equal in every process, on every machine, under every PYTHONHASHSEED. Needs numpy only,
because the consumer of an exported model runs this same module. How much a feature counts for is decided in
`weighting.py` and by the model. Texts beyond ASCII follow Python's Unicode tables (case, NFKC), so a character added to
Unicode between two Python versions may be split differently.

Shapes: see `ragged.py`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interlock.errors import DataError
from interlock.lanes.retrieval.lexicon import Hashes, Lexicon, pair_hash
from interlock.lanes.retrieval.ragged import RaggedFeatures, concatenate, offsets_of
from interlock.lanes.retrieval.words import tokens

RECIPE = 1
"""Version of everything that decides which features a text has; raised when any of it changes."""

KINDS = ("word", "identifier", "bigram", "char_ngram")
"""What a feature can be; `RaggedFeatures.kinds` holds the index. Where two share a bucket, the earlier kind stays."""

EMPTY_BUCKET = 0
"""Bucket of a text without any feature; nothing else is hashed into it (padding has the same id, with weight 0)."""

CHUNK = 1024
"""Texts counted together; bounds the memory of intermediate arrays."""

MEMO_MAX = 300_000
"""Tokens remembered before the memo is emptied; bounds memory on corpora of any size."""


@dataclass(frozen=True, kw_only=True)
class HashedFeatures:
    """How texts become features. Equal parameters give equal features anywhere."""

    buckets: int = 2**16
    """Size of the table, 2 to 2^31; bucket 0 is kept for empty texts."""
    identifiers: bool = False
    """Count compound identifiers (`read_csv`, `DataLoader`) also as a whole."""
    bigrams: bool = True
    """Count pairs of neighbouring words."""
    char_ngrams: tuple[int, int] | None = (4, 4)
    """Shortest and longest character n-gram inside `<stem>`; None counts none."""
    max_features: int = 4096
    """Distinct features kept of one text: words first, then the other kinds in order, each as they occur."""
    _lexicon: Lexicon = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        low, high = self.char_ngrams or (1, 1)
        if not (2 <= self.buckets <= 2**31 and self.max_features >= 1 and 1 <= low <= high):
            raise DataError(
                "impossible feature parameters",
                value=self.parameters(),
                hint="buckets 2..2^31, max_features >= 1, char_ngrams [low, high] with 1 <= low <= high",
            )
        object.__setattr__(self, "_lexicon", Lexicon(self.char_ngrams))

    def parameters(self) -> dict[str, Any]:
        """JSON form: everything that `from_parameters` needs to count alike elsewhere."""
        return {
            "recipe": RECIPE,
            "buckets": self.buckets,
            "identifiers": self.identifiers,
            "bigrams": self.bigrams,
            "char_ngrams": list(self.char_ngrams) if self.char_ngrams else None,
            "max_features": self.max_features,
        }

    @classmethod
    def from_parameters(cls, parameters: dict[str, Any]) -> "HashedFeatures":
        """The inverse. Raises DataError for another recipe version and for unknown or impossible parameters."""
        values = dict(parameters)
        recipe, grams = values.pop("recipe", None), values.pop("char_ngrams", None)
        if recipe != RECIPE:
            raise DataError(
                "features of another recipe version", value=recipe, hint=f"this code counts recipe {RECIPE}"
            )
        try:
            return cls(**values, char_ngrams=tuple(grams) if grams else None)
        except (TypeError, ValueError) as error:
            raise DataError("unknown feature parameters", value=parameters, hint=str(error)) from error

    def encode(self, texts: Iterable[str]) -> RaggedFeatures:
        """Count the features of each text; a text without any gets bucket 0 with weight 1.

        Texts are taken lazily, 1,024 at a time, and the features of one never depend on the others. Not for several
        threads at once on one object, because it remembers the words it has seen.
        """
        remaining = iter(texts)
        chunks = [self._encode_chunk(list(islice(remaining, CHUNK)))]
        while chunk := list(islice(remaining, CHUNK)):
            chunks.append(self._encode_chunk(chunk))
        return concatenate(chunks)

    def _encode_chunk(self, texts: list[str]) -> RaggedFeatures:
        if len(self._lexicon) > MEMO_MAX:
            self._lexicon.clear()
        numbered = [self._lexicon.number(tokens(text)) for text in texts]
        lengths = np.fromiter(map(len, numbered), dtype=np.int64, count=len(texts))
        token = np.fromiter(chain.from_iterable(numbered), dtype=np.int64, count=int(lengths.sum()))
        found = self._occurrences(token, np.repeat(np.arange(len(texts)), lengths))
        return self._count(found, len(texts))

    def _occurrences(self, token: NDArray[np.int64], row: NDArray[np.int64]) -> list[tuple[Hashes, NDArray[np.int64]]]:
        """Hash and text of every occurrence, by kind; within a kind in the order of the texts and of their words."""
        lexicon, none = self._lexicon, (np.empty(0, np.uint64), np.empty(0, np.int64))
        stem, per_token = lexicon.stems(token)
        stem_row = np.repeat(row, per_token)
        word = lexicon.word_hash(stem)
        identifier = lexicon.identifier_hash(token)
        neighbours = stem_row[1:] == stem_row[:-1]
        grams, per_stem = lexicon.gram_hashes(stem)
        return [
            (word, stem_row),
            (identifier[identifier > 0], row[identifier > 0]) if self.identifiers else none,
            (pair_hash(word[:-1], word[1:])[neighbours], stem_row[1:][neighbours]) if self.bigrams else none,
            (grams, np.repeat(stem_row, per_stem)),
        ]

    def _count(self, found: list[tuple[Hashes, NDArray[np.int64]]], num_texts: int) -> RaggedFeatures:
        """Count equal buckets of each text, cut to `max_features`, and give empty texts their bucket."""
        hashes, rows = (np.concatenate(columns) for columns in zip(*found, strict=True))
        kinds = np.repeat(np.arange(len(KINDS), dtype=np.uint8), [len(values) for values, _ in found])
        bucket = 1 + (hashes % np.uint64(self.buckets - 1)).astype(np.int64)
        key, first, count = _grouped(rows * self.buckets + bucket)
        row, kept = key // self.buckets, slice(None)
        if len(key) and np.bincount(row).max() > self.max_features:
            kept = _earliest(row, first, self.max_features)
        return _with_empty_texts(
            row[kept], (key % self.buckets)[kept], count[kept], kinds[first[kept]], num_texts=num_texts
        )


def _grouped(key: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Distinct keys ascending, the position where each occurs first, and how often it occurs."""
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=-1))
    return ordered[starts], order[starts], np.diff(starts, append=len(key))


def _earliest(row: NDArray[np.int64], first: NDArray[np.int64], limit: int) -> Any:
    """Mask of the `limit` features of each row that occur first; `row` is ascending."""
    order = np.lexsort((first, row))
    start_of_row = offsets_of(np.bincount(row))[row[order]]
    kept = np.empty(len(row), dtype=bool)
    kept[order] = np.arange(len(row)) - start_of_row < limit
    return kept


def _with_empty_texts(
    row: NDArray[np.int64],
    bucket: NDArray[np.int64],
    count: NDArray[np.int64],
    kind: NDArray[np.uint8],
    *,
    num_texts: int,
) -> RaggedFeatures:
    lengths = np.bincount(row, minlength=num_texts)
    empty = np.flatnonzero(lengths == 0)
    if len(empty):
        at = np.searchsorted(row, empty)
        bucket, count, kind = np.insert(bucket, at, EMPTY_BUCKET), np.insert(count, at, 1), np.insert(kind, at, 0)
        lengths[empty] = 1
    return RaggedFeatures(bucket.astype(np.int32), count.astype(np.float32), kind, offsets_of(lengths))
