"""Words of a text: what the hashed features, BM25 and the reference encoder all count.

A token is an identifier-like run (`read_csv`, `DataLoader`, `np.float32` gives `np` and `float32`). It is split at
underscores, at changes of case and between letters and digits, lower-cased, freed of stop words and lightly stemmed.
Only the standard library is used, so that a consumer of an exported model gets the same words without installing
anything. Does not cover languages written without spaces: a run of such letters is one word, and only the character
n-grams of the hashed features look inside it.
"""

import re
import unicodedata
from functools import lru_cache

_STOP_WORDS = (
    "a an the of to in is are be for and or on by as at it its this that with from if not then was were will can has "
    "have which into"
)

STOP_WORDS = frozenset(_STOP_WORDS.split())
"""Words that carry no subject. Applied after lower-casing, before stemming."""

SUFFIXES = ("ingly", "edly", "ations", "ation", "ing", "ied", "ies", "ers", "ed", "es", "er", "ly", "s", "e")
"""Endings tried in this order; the first that leaves a stem of at least three letters is cut."""

WORD_MAX = 64
"""Characters of one word that are looked at; longer runs (base64, hashes) are cut there."""

_TOKEN = re.compile(r"[^\W\d]\w*|\d+")
_PART = re.compile(r"[^\W\d_]+|\d+")
_CASE_CHANGE = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def tokens(text: str) -> list[str]:
    """Identifier-like runs in order, case kept. Text beyond ASCII is brought to Unicode form NFKC first."""
    return _TOKEN.findall(text if text.isascii() else unicodedata.normalize("NFKC", text))


def parts_of(token: str) -> list[str]:
    """Lower-case parts of one token: `readCSV_2` gives `read`, `csv`, `2`."""
    return [part.lower()[:WORD_MAX] for part in _PART.findall(_CASE_CHANGE.sub(" ", token))]


def stem(word: str) -> str:
    """Cut one common English ending: `encoding`, `encoded` and `encodes` give `encod`; short words stay whole."""
    for suffix in SUFFIXES:
        if len(word) >= len(suffix) + 3 and word.endswith(suffix):
            return word[: -len(suffix)]
    return word


@lru_cache(maxsize=100_000)
def stems_of(token: str) -> tuple[str, ...]:
    """Stems of the parts of one token, stop words left out. Remembered, because texts repeat their words."""
    return tuple(stem(part) for part in parts_of(token) if part not in STOP_WORDS)


def split_words(text: str) -> list[str]:
    """Stems of a whole text in order; empty when there is no word in it."""
    return [word for token in tokens(text) for word in stems_of(token)]
