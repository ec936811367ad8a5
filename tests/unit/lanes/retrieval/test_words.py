import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.lanes.retrieval.words import WORD_MAX, parts_of, split_words, stem, tokens


@pytest.mark.parametrize(
    ("token", "parts"),
    [
        ("read_csv", ["read", "csv"]),
        ("DataLoader", ["data", "loader"]),
        ("parseHTTPResponse", ["parse", "http", "response"]),
        ("float32", ["float", "32"]),
        ("__init__", ["init"]),
        ("ünïcode_wörd", ["ünïcode", "wörd"]),
    ],
)
def test_identifiers_are_split(token: str, parts: list[str]) -> None:
    assert parts_of(token) == parts


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("encoding", "encod"),
        ("encoded", "encod"),
        ("encodes", "encod"),
        ("queries", "quer"),
        ("is", "is"),
        ("bed", "bed"),
    ],
)
def test_endings_are_cut_but_short_words_stay(word: str, expected: str) -> None:
    assert stem(word) == expected


def test_words_of_a_sentence() -> None:
    assert split_words("Return the np.float32 values of a DataFrame, not NaN.") == (
        ["return", "np", "float", "32", "valu", "data", "fram", "na", "n"]
    )


def test_text_without_words_gives_none() -> None:
    assert split_words("") == split_words("... --- !") == split_words("the of and") == []


def test_compatibility_forms_meet() -> None:
    assert tokens("ﬁle") == tokens("file")


def test_endless_runs_are_cut() -> None:
    assert len(parts_of("x" * 10_000)[0]) == WORD_MAX


@given(st.text())
def test_any_text_gives_lower_case_words(text: str) -> None:
    assert all(word and word == word.lower() for word in split_words(text) if word.isascii())
