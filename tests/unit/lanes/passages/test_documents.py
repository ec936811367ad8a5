"""Holes divide a text into documents; nothing that was apart comes together."""

from hypothesis import given
from hypothesis import strategies as st

from interlock.lanes.passages.documents import Document, Text

PASSAGES = st.lists(st.none() | st.sampled_from(["a", "b", "c"]), max_size=12)


def text(*passages):
    return Text(identifier="t", group="g", passages=passages)


def test_documents_are_runs_of_two_and_more_named_by_their_place():
    found = list(text("a", "b", None, "c", None, "d", "e", "f").documents())
    assert found == [
        Document(identifier="t", group="g", first=0, passages=("a", "b")),
        Document(identifier="t@5", group="g", first=5, passages=("d", "e", "f")),
    ]


def test_taking_a_passage_out_parts_its_neighbours():
    assert [document.passages for document in text("a", "b", "c", "d").without([1]).documents()] == [("c", "d")]


def test_an_opening_counts_places_and_not_passages():
    assert list(text("a", None, "b", "c").opening(3).documents()) == []


@given(PASSAGES)
def test_every_document_is_a_piece_of_its_text(passages):
    for document in text(*passages).documents():
        stop = document.first + len(document.passages)
        assert document.passages == tuple(passages[document.first : stop])
        assert len(document.passages) >= 2
        assert stop == len(passages) or passages[stop] is None
