"""What of a docstring is a passage, what only looks like one, and that no formatting tells the order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.lanes.passages.prose import Hole, paragraphs

SUMMARY = "Return the norm of a vector."
BODY = "The norm is never negative, whatever the vector holds."


def read(text, *, min_words=3, max_words=150):
    return list(paragraphs(text, min_words=min_words, max_words=max_words))


def reason(block):
    (found,) = read(block)
    assert isinstance(found, Hole), found
    return found.reason


def prose(text):
    return [block for block in read(text) if not isinstance(block, Hole)]


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (">>> norm([3, 4])\n5.0", "list, code or markup"),
        ("- A point of a list that goes on for a while.", "list, code or markup"),
        ("2. Another point of a list that goes on.", "list, code or markup"),
        (":param x: The vector whose norm is to be returned.", "list, code or markup"),
        (".. versionadded:: 1.2\n   The norm of matrices too.", "list, code or markup"),
        ("| One | Table | With | Words |", "list, code or markup"),
        ("lower case begins no sentence at all.", "does not begin or end as a sentence does"),
        ("The norm is computed as follows:", "does not begin or end as a sentence does"),
        ("Trailing off into nothing at all...", "does not begin or end as a sentence does"),
        ("Norm(x, y, ord=None) -> float", "few plain words"),
        ("N = sqrt(x_1**2 + x_2**2) >= 0 <= 1", "few plain words"),
        ("This function is deprecated and will go away.", "deprecated"),
        ("Too short.", "too short"),
        ("Word " * 151, "too long"),
        ("The character \ud800 is none at all.", "not valid Unicode"),
    ],
)
def test_what_is_no_passage_leaves_a_hole_with_its_reason(block, expected):
    assert reason(block) == expected


def test_a_passage_stands_on_one_line_without_markup_and_without_its_full_stop():
    text = "Return the *norm* of ``x``,\nsee :func:`~numpy.linalg.norm` and [1]_ or `the page <https://x.y>`_."
    assert prose(text) == ["Return the norm of x, see numpy.linalg.norm and or the page"]


@pytest.mark.parametrize("text", [SUMMARY, SUMMARY.removesuffix(".")])
def test_a_missing_full_stop_does_not_tell_a_summary(text):
    assert prose(text) == ["Return the norm of a vector"]


@pytest.mark.parametrize(
    "heading", ["Parameters\n----------", "Returns\n=======", "See Also\n--------", "Example\n~~~~~~~"]
)
def test_headings_of_lists_take_everything_under_them_along(heading):
    text = f"{SUMMARY}\n\n{heading}\nThe vector is what it is, and so on.\n\nIt goes on with more of the same thing."
    assert prose(text) == ["Return the norm of a vector"]


def test_prose_under_another_heading_is_read_but_does_not_follow_what_stands_before_it():
    blocks = read(f"{SUMMARY}\n\nNotes\n-----\n{BODY}")
    assert [block if isinstance(block, str) else None for block in blocks] == [
        "Return the norm of a vector", None, BODY.removesuffix("."),
    ]  # fmt: skip


def test_a_google_section_ends_with_its_indentation():
    text = f"{SUMMARY}\n\nArgs:\n    x: The vector that is looked at.\n\n    And more about it in prose.\n\n{BODY}"
    assert prose(text) == ["Return the norm of a vector", BODY.removesuffix(".")]


def test_literal_blocks_and_directives_are_left_out_with_what_is_indented_under_them():
    text = (
        f"{SUMMARY}\n\n.. note::\n\n    This is inside of the note and is left out.\n\n{BODY}\n\n"
        "It is used like this::\n\n    Norm of the vector is five\n\nThe end is a passage again."
    )
    assert prose(text) == ["Return the norm of a vector", BODY.removesuffix("."), "The end is a passage again"]


def test_two_paragraphs_follow_each_other_only_where_nothing_stood_between_them():
    blocks = read(f"{SUMMARY}\n\n>>> norm([3, 4])\n\n{BODY}")
    assert [isinstance(block, Hole) for block in blocks] == [False, True, False]


@given(st.text(alphabet="ab A.\n -=:>*`_|()[]\t", max_size=300))
def test_any_text_is_read_and_what_comes_out_is_clean(text):
    for block in read(text, min_words=1):
        if isinstance(block, str):
            assert block == " ".join(block.split())
            assert block[0].isupper()
            assert not block.endswith(".")
            assert "::" not in block[-2:]
