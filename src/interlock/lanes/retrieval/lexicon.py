"""Memo behind the hashed features: what is known of a token and of a stem, as arrays that a whole batch can index.

Each token (spelling with case) is split and hashed once; after that counting a text costs one dictionary look-up per
token and a few numpy operations per batch. Does not decide anything about features beyond their 64-bit hashes.

Shapes: K tokens or stems asked for, N results of all of them together.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interlock.lanes.retrieval.ragged import ragged_positions
from interlock.lanes.retrieval.words import parts_of, stems_of

GRAM_WORD_MIN = 5
"""Stems with fewer letters have no character n-grams: they would do little more than repeat the word."""

Hashes = NDArray[np.uint64]


class Lexicon:
    """Numbers tokens as they are met. Not for several threads at once; equal results in whatever order they are met."""

    def __init__(self, char_ngrams: tuple[int, int] | None) -> None:
        """`char_ngrams`: shortest and longest n-gram taken from `<stem>`, or None."""
        self._char_ngrams = char_ngrams
        self.clear()

    def clear(self) -> None:
        """Forget everything; frees memory and changes no result."""
        self._tokens = _Numbering(self._add_token)
        self._stems = _Numbering(self._add_stem)
        self._token_stems, self._stem_grams = _Lists(np.int64), _Lists(np.uint64)
        self._token_hash, self._stem_hash = _Column(np.uint64), _Column(np.uint64)

    def __len__(self) -> int:
        return len(self._tokens)

    def number(self, tokens: Sequence[str]) -> list[int]:
        """[K] number of each token, new ones added."""
        return list(map(self._tokens.__getitem__, tokens))

    def identifier_hash(self, token_K: NDArray[np.int64]) -> Hashes:
        """[K] hash of the whole token where it is a compound (`read_csv`), else 0."""
        return self._token_hash.view()[token_K]

    def stems(self, token_K: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """[N] stems of all tokens, and [K] how many each has (0 for stop words)."""
        return self._token_stems.gather(token_K)

    def word_hash(self, stem_K: NDArray[np.int64]) -> Hashes:
        """[K] hash of each stem as a word."""
        return self._stem_hash.view()[stem_K]

    def gram_hashes(self, stem_K: NDArray[np.int64]) -> tuple[Hashes, NDArray[np.int64]]:
        """[N] hashes of the character n-grams of all stems, and [K] how many each has."""
        return self._stem_grams.gather(stem_K)

    def _add_token(self, token: str) -> None:
        compound = len(parts_of(token)) > 1
        self._token_hash.append([hash_of("identifier", token.lower().strip("_")) if compound else 0])
        self._token_stems.append([self._stems[stem] for stem in stems_of(token)])

    def _add_stem(self, stem: str) -> None:
        self._stem_hash.append([hash_of("word", stem)])
        self._stem_grams.append([hash_of("gram", gram) for gram in char_ngrams(stem, self._char_ngrams)])


def char_ngrams(stem: str, bounds: tuple[int, int] | None) -> list[str]:
    """N-grams of `<stem>` with the given shortest and longest length; none for stems under five letters."""
    if bounds is None or len(stem) < GRAM_WORD_MIN:
        return []
    framed = f"<{stem}>"
    return [framed[i : i + n] for n in range(bounds[0], bounds[1] + 1) for i in range(len(framed) - n + 1)]


def hash_of(kind: str, text: str) -> int:
    """64 bits of BLAKE2b over kind and text, never 0."""
    data = f"{kind}:{text}".encode("utf-8", "replace")  # lone surrogates of broken input become "?"
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little") | 1 << 63


def pair_hash(first_K: Hashes, second_K: Hashes) -> Hashes:
    """[K] hash of each ordered pair: multiply and xor-shift rounds, so that (a, b) and (b, a) differ."""
    mixed = (first_K * np.uint64(0x9E3779B97F4A7C15)) ^ second_K
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    return mixed ^ (mixed >> np.uint64(32))


class _Numbering(dict[str, int]):
    """Numbers keys in the order they are first asked for, telling `added` of each new one."""

    def __init__(self, added: Any) -> None:
        super().__init__()
        self._added = added

    def __missing__(self, key: str) -> int:
        self._added(key)
        self[key] = number = len(self)
        return number


class _Column:
    """An array that grows by doubling, so that one new word does not copy a large table."""

    def __init__(self, dtype: Any) -> None:
        self._data, self.size = np.empty(1024, dtype=dtype), 0

    def append(self, values: Sequence[int]) -> None:
        end = self.size + len(values)
        if end > len(self._data):
            grown = np.empty(2 * end, dtype=self._data.dtype)
            grown[: self.size] = self._data[: self.size]
            self._data = grown
        self._data[self.size : end] = values
        self.size = end

    def view(self) -> NDArray[Any]:
        return self._data[: self.size]


class _Lists:
    """A list of numbers per entry, gathered for many entries at once."""

    def __init__(self, dtype: Any) -> None:
        self._values, self._starts, self._counts = _Column(dtype), _Column(np.int64), _Column(np.int64)

    def append(self, values: Sequence[int]) -> None:
        self._starts.append([self._values.size])
        self._counts.append([len(values)])
        self._values.append(values)

    def gather(self, entry_K: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        counts_K = self._counts.view()[entry_K]
        return self._values.view()[ragged_positions(self._starts.view()[entry_K], counts_K)], counts_K
