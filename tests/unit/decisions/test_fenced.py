"""Nothing inside a fenced block can close it, hide in it, or make it long."""

import json

from hypothesis import given
from hypothesis import strategies as st

from interlock.decisions.fenced import CLOSING, OPENING, TEXT_CHARS_MAX, fenced, line

hostile = st.lists(
    st.sampled_from(
        [CLOSING, OPENING, "\n", "\r", "\u2028", "\u202e", "\x7f", "<", "/", "data", ">", '"', "}", "\\", "&lt;"]
    )
    | st.text(max_size=4)
).map("".join)


@given(st.lists(st.dictionaries(st.sampled_from(["source", "id", "text"]), hostile, min_size=1), max_size=4))
def test_only_the_last_line_closes_the_block(said):
    block = fenced(line(fields) for fields in said)
    if not said:
        assert block == ""
        return
    lines = block.splitlines()
    assert (lines[0], lines[-1]) == (OPENING, CLOSING)
    assert (block.count(OPENING), block.count(CLOSING), len(lines)) == (1, 1, len(said) + 2)
    inside = "".join(lines[1:-1])
    assert inside.isascii()
    assert inside.isprintable()
    assert not set("<>&") & set(inside)
    assert [json.loads(text) for text in lines[1:-1]] == said


@given(st.text(min_size=TEXT_CHARS_MAX + 1, max_size=TEXT_CHARS_MAX + 40))
def test_a_long_text_is_cut_and_says_so(text):
    assert json.loads(line({"text": text})) == {"text": text[:TEXT_CHARS_MAX], "cut": True}
    assert json.loads(line({"text": text[:TEXT_CHARS_MAX]})) == {"text": text[:TEXT_CHARS_MAX]}
