"""Finds exact and near copies of texts in time linear in their number.

Near copies are found by MinHash (Broder 1997) over word triples with banded locality-sensitive hashing (Leskovec,
Rajaraman, Ullman, *Mining of Massive Datasets*, ch. 3): 128 minima in 25 bands of 5 (3 are left for the estimate
alone), so a pair of similarity 0.8 meets in a band with probability over 0.9999. A pair that meets counts as a copy
when its estimated Jaccard similarity, whose standard error is at most 0.045, reaches the threshold. Everything is
deterministic. Memory: 512 bytes per text plus one batch. Does not see paraphrases or translations.
"""

import hashlib
import re
import unicodedata
import zlib
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

NUM_MINIMA = 128
BANDS, ROWS_PER_BAND = 25, 5
MAX_COMPARED = 128
"""Members of one band bucket that are compared pairwise; a bucket beyond this size is taken as one family whole,
which keeps the work linear and errs towards calling texts copies."""
_BATCH = 2_048
_WORD = re.compile(r"\w+")

Signatures = NDArray[np.uint32]
"""MinHash signatures, (n, NUM_MINIMA)."""


def words(text: str) -> list[str]:
    """Words without case, punctuation, spacing and compatibility forms (NFKC)."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return _WORD.findall(text.casefold())


def normalised(text: str) -> str:
    """The words joined by single spaces: equal for texts that differ in case, punctuation or spacing only.

    A text without any word (`"!?"`) stands for itself, so that such texts are not all equal.
    """
    return " ".join(words(text)) or text.strip()


def signatures(texts: Sequence[str]) -> Signatures:
    """MinHash signatures of the word triples of each text (texts of one or two words count as one shingle)."""
    parts = [_batch_signatures(batch) for batch in _batches(texts)]
    return np.concatenate(parts) if parts else np.empty((0, NUM_MINIMA), np.uint32)


def families(found: Signatures, similarity: float) -> NDArray[np.int64]:
    """Label each text with its family of near copies, (n,): equal labels are connected by pairs >= `similarity`."""
    pairs = [_band_pairs(found, band, similarity) for band in range(BANDS)]
    first, second = np.concatenate([pair[0] for pair in pairs]), np.concatenate([pair[1] for pair in pairs])
    return linked(len(found), first, second)


def linked(count: int, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    """Label the connected components of `count` items joined by the pairs (first[i], second[i])."""
    graph = coo_array((np.ones(len(first), np.int8), (first, second)), shape=(count, count))
    labels: NDArray[np.int64] = connected_components(graph, directed=False)[1].astype(np.int64)
    return labels


def _batches(texts: Sequence[str]) -> Iterable[Sequence[str]]:
    return (texts[start : start + _BATCH] for start in range(0, len(texts), _BATCH))


def _constants(name: str) -> NDArray[np.uint64]:
    # from SHA-256 and not from a random generator, whose stream may change between numpy versions
    blocks = (hashlib.sha256(f"{name}/{number}".encode()).digest()[:8] for number in range(NUM_MINIMA))
    return np.frombuffer(b"".join(blocks), "<u8").astype(np.uint64)


_MULTIPLIERS = _constants("minhash multiplier") | np.uint64(1)
_OFFSETS = _constants("minhash offset")


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    # finaliser of splitmix64 (Steele, Lea, Flood 2014)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _batch_signatures(texts: Sequence[str]) -> Signatures:
    hashed = [_shingles(text) for text in texts]
    starts = np.cumsum([0] + [len(part) for part in hashed[:-1]])
    everything = np.concatenate(hashed)
    result = np.empty((len(texts), NUM_MINIMA), np.uint32)
    for column, (multiplier, offset) in enumerate(zip(_MULTIPLIERS, _OFFSETS, strict=True)):
        # multiply-shift hashing (Dietzfelbinger et al. 1997): the upper half is the hash
        values = ((everything * multiplier + offset) >> np.uint64(32)).astype(np.uint32)
        result[:, column] = np.minimum.reduceat(values, starts)
    return result


def _shingles(text: str) -> NDArray[np.uint64]:
    tokens = words(text) or [text.strip()]
    hashes = _mixed(np.array([zlib.crc32(token.encode("utf-8", "replace")) + 1 for token in tokens], np.uint64))
    if len(hashes) < 3:
        return _mixed(hashes.sum(keepdims=True, dtype=np.uint64))
    return _mixed(hashes[:-2] + np.uint64(3) * hashes[1:-1] + np.uint64(5) * hashes[2:])


def _band_pairs(found: Signatures, band: int, similarity: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of near copies that share the band's minima; buckets are compared by lag in sorted order."""
    keys = _band_keys(found, band)
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    begins = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]]) if len(keys) else np.empty(0, np.int64)
    sizes = np.diff(np.r_[begins, len(keys)])
    oversized = np.repeat(sizes > MAX_COMPARED, sizes)
    leaders = np.repeat(begins, sizes)[oversized]
    firsts, seconds = [order[leaders]], [order[np.flatnonzero(oversized)]]
    for lag in range(1, min(int(sizes.max(initial=0)), MAX_COMPARED)):
        place = np.flatnonzero((keys[lag:] == keys[:-lag]) & ~oversized[lag:])
        first, second = order[place], order[place + lag]
        alike = _estimate_reaches(found, first, second, similarity=similarity)
        firsts.append(first[alike])
        seconds.append(second[alike])
    return np.concatenate(firsts).astype(np.int64), np.concatenate(seconds).astype(np.int64)


def _band_keys(found: Signatures, band: int) -> NDArray[np.uint64]:
    keys = np.zeros(len(found), np.uint64)
    for column in range(band * ROWS_PER_BAND, (band + 1) * ROWS_PER_BAND):
        keys = _mixed(keys * np.uint64(31) + found[:, column].astype(np.uint64) + np.uint64(1))
    return keys


def _estimate_reaches(
    found: Signatures, first: NDArray[np.int64], second: NDArray[np.int64], *, similarity: float
) -> NDArray[np.bool_]:
    wanted = similarity * NUM_MINIMA
    blocks = range(0, len(first), _BATCH * 8)
    parts = [
        (found[first[start : start + _BATCH * 8]] == found[second[start : start + _BATCH * 8]]).sum(axis=1) >= wanted
        for start in blocks
    ]
    return np.concatenate(parts) if parts else np.empty(0, np.bool_)
