"""Near copies: found for sure when they are near, whatever the order, in bounded work."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.lanes.retrieval.datasets.duplicates import (
    MAX_COMPARED,
    NUM_MINIMA,
    families,
    normalised,
    signatures,
    words,
)

BASE = [f"word{n}" for n in range(60)]


def text(own: str, changed: int) -> str:
    """60 words of which `changed` in a row are replaced."""
    return " ".join([f"{own}{n}" for n in range(changed)] + BASE[changed:])


def same(labels: np.ndarray, one: int, other: int) -> bool:
    return bool(labels[one] == labels[other])


@given(st.text(), st.sampled_from([str.upper, str.title, lambda value: f" {value}\n", lambda value: value + "."]))
def test_normalising_forgets_case_and_spacing_and_is_idempotent(value: str, change: object) -> None:
    assert callable(change)
    value = "".join(letter for letter in value if letter.isascii())
    if words(value):
        assert normalised(change(value)) == normalised(value)
    assert normalised(normalised(value)) == normalised(value)


def test_normalised_exactly() -> None:
    assert normalised("The  Ångström (Å)\nis ﬁne.") == "the ångström å is fine"  # NFKC: the ligature is two letters
    assert normalised(" ?! ") == "?!"


@pytest.mark.parametrize(("changed", "expected"), [(0, True), (2, True), (5, True), (15, False), (60, False)])
def test_similarity_decides(changed: int, expected: bool) -> None:
    # 58 triples each; a run of c changed words at the start leaves 58 - c of them: c = 5 is 53/63 = 0.84
    labels = families(signatures([text("a", 0), text("b", changed)]), 0.8)
    assert same(labels, 0, 1) is expected


@given(st.permutations(range(9)))
def test_families_do_not_depend_on_order(order: list[int]) -> None:
    texts = [text(name, changed) for name in "abc" for changed in (0, 3)] + ["one", "two words", "?!"]
    found = families(signatures([texts[place] for place in order]), 0.8)
    whole = families(signatures(texts), 0.8)
    for one in range(9):
        for other in range(9):
            assert same(found, one, other) == same(whole, order[one], order[other])


def test_short_texts_and_texts_without_words_are_told_apart() -> None:
    labels = families(signatures(["one", "ONE!", "two", "one two", "one two", "?", "!", "?", "", ""]), 0.8)
    assert np.unique(labels, return_inverse=True)[1].tolist() == labels.tolist()
    groups = {tuple(np.flatnonzero(labels == label)) for label in labels}
    assert groups == {(0, 1), (2,), (3, 4), (5, 7), (6,), (8, 9)}


def test_signatures_do_not_depend_on_the_batch() -> None:
    texts = [text(f"n{n}", n % 50) for n in range(2500)]
    whole = signatures(texts)
    assert whole.shape == (2500, NUM_MINIMA)
    assert np.array_equal(whole[2100:2110], signatures(texts[2100:2110]))
    assert signatures([]).shape == (0, NUM_MINIMA)


def test_signatures_are_the_same_on_every_machine() -> None:
    assert signatures(["the quick brown fox jumps"])[0, :3].tolist() == [455975112, 893298159, 1131092958]


def test_a_crowd_of_copies_is_one_family() -> None:
    labels = families(signatures([text("a", 0)] * (MAX_COMPARED * 3) + [text("b", 60)]), 0.8)
    assert len(set(labels[:-1].tolist())) == 1
    assert labels[-1] != labels[0]


def test_a_bucket_too_large_to_compare_is_one_family() -> None:
    """Unlike texts that agree in one band: told apart while they can all be compared, one family beyond."""
    found = np.random.default_rng(0).integers(0, 2**32, (MAX_COMPARED + 1, NUM_MINIMA), np.uint32)
    found[:, :5] = 7
    assert len(set(families(found[1:], 0.8).tolist())) == MAX_COMPARED
    assert len(set(families(found, 0.8).tolist())) == 1


def test_nothing_has_no_family() -> None:
    assert families(signatures([]), 0.8).shape == (0,)
