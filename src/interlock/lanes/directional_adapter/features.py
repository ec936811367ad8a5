"""Passages as bags of hashed features: words, pairs of words, and what stands at the beginning and the end.

Unlike the features for retrieval these keep the small words and every ending: order shows in "this", "however" and
"the", not in subjects. Buckets follow from CRC-32: equal in every process and on every machine. Standard library and
numpy only, because the consumer of an exported model runs this same module.

Shapes: see `interlock.lanes.retrieval.ragged`.
"""

import math
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice, pairwise
from typing import Any

import numpy as np

from interlock.errors import DataError
from interlock.lanes.retrieval.ragged import RaggedFeatures, offsets_of

RECIPE = 1
"""Version of everything that decides which features a passage has; raised when any of it changes."""

EMPTY_BUCKET = 0
"""Bucket of a passage without any word; nothing else is hashed into it, and it weighs nothing."""

_TOKEN = re.compile(r"[^\W_]+(?:['’][^\W_]+)?|[^\w\s]|_+")  # noqa: RUF001 (both apostrophes join a word)


@dataclass(frozen=True, kw_only=True)
class PassageFeatures:
    """How passages become features. Equal parameters give equal features anywhere."""

    buckets: int
    """Size of the table, at least 2; bucket 0 is kept for passages without a word."""
    bigrams: bool
    """Count pairs of neighbouring words."""
    edge_words: int
    """Words at the beginning counted by their place, and half as many at the end."""
    max_features: int
    """Distinct features kept of one passage, in the order in which they are counted."""

    def parameters(self) -> dict[str, Any]:
        """JSON form: everything that `from_parameters` needs to count alike elsewhere."""
        return {"recipe": RECIPE, **asdict(self)}

    @classmethod
    def from_parameters(cls, parameters: dict[str, Any]) -> "PassageFeatures":
        """The inverse. Raises DataError for another recipe version and for unknown parameters."""
        values = dict(parameters)
        if (recipe := values.pop("recipe", None)) != RECIPE:
            raise DataError(
                "features of another recipe version", value=recipe, hint=f"this code counts recipe {RECIPE}"
            )
        try:
            return cls(**values)
        except TypeError as error:
            raise DataError("unknown feature parameters", value=parameters, hint=str(error)) from error

    def encode(self, passages: Sequence[str]) -> RaggedFeatures:
        """Count the features of each passage; a count c weighs 1 + log c. None depends on the other passages."""
        counted = [self._count(passage) for passage in passages]
        lengths = np.fromiter(map(len, counted), np.int64, len(counted))
        total = int(lengths.sum())
        ids = np.fromiter((bucket for bag in counted for bucket in bag), np.int32, total)
        weights = np.fromiter((1.0 + math.log(count) for bag in counted for count in bag.values()), np.float32, total)
        return RaggedFeatures(ids, weights, np.zeros(total, np.uint8), offsets_of(lengths))

    def _count(self, passage: str) -> dict[int, int]:
        names = islice(Counter(self._names(words_of(passage))).items(), self.max_features)
        counts: dict[int, int] = {}
        for name, count in names:
            bucket = 1 + zlib.crc32(name.encode("utf-8", "replace")) % (self.buckets - 1)
            counts[bucket] = counts.get(bucket, 0) + count
        return dict(sorted(counts.items())) or {EMPTY_BUCKET: 1}

    def _names(self, words: list[str]) -> Iterator[str]:
        if not words:
            return
        yield f"length {int(2 * math.log2(len(words)))}"
        for place, word in enumerate(words[: self.edge_words]):
            yield f"from start {place} {word}"
        if self.edge_words and len(words) > 1:
            yield f"start {words[0]} {words[1]}"
        for place, word in enumerate(reversed(words[-(self.edge_words // 2) :] if self.edge_words > 1 else [])):
            yield f"from end {place} {word}"
        yield from (f"word {word}" for word in words)
        if self.bigrams:
            yield from (f"pair {first} {second}" for first, second in pairwise(words))


def words_of(passage: str) -> list[str]:
    """Lower-case words and punctuation marks in order. Text beyond ASCII is brought to Unicode form NFKC first."""
    return _TOKEN.findall((passage if passage.isascii() else unicodedata.normalize("NFKC", passage)).casefold())
