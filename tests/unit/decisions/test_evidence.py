"""Text whose numbers come from evidence and from nowhere else, and pointers that lead to it."""

import hashlib
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from interlock.contracts.decision import Evidence, Statement
from interlock.decisions.evidence import (
    evidence_faults,
    evidence_id,
    pointer,
    render,
    resolve,
    segments,
    statement_faults,
)
from interlock.decisions.wording import markdown, numerals_faults
from interlock.errors import DecisionError, ProvenanceError

FACTS = (
    Evidence(id="gate.r_at_5.observed", value=0.64234567, pointer="p"),
    Evidence(id="gate.r_at_5.n", value=1204, pointer="p"),
    Evidence(id="train.overfitting", value=True, pointer="p"),
    Evidence(id="gate.r_at_5.reason", value="r_at_5 0.642 {gate.r_at_5.n}", pointer="p"),
    Evidence(id="note", value="a | b\n<script> \u202e[x](http://x.org) `c` *d*", pointer="p"),
)
IDS = [item.id for item in FACTS]


def test_numbers_are_filled_in():
    text = "recall {gate.r_at_5.observed} on {gate.r_at_5.n}, overfitting: {train.overfitting}"
    assert render(text, FACTS) == "recall 0.6423 on 1204, overfitting: yes"


def test_evidence_is_filled_in_once_and_never_read_as_a_template():
    assert render("{gate.r_at_5.reason}", FACTS) == "r_at_5 0.642 {gate.r_at_5.n}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("R@5 is high", "numerals of its own"),
        ("recall 0.9, or 1,802", "'0.9 1,802'"),
        ("about ½ of them", "'½'"),
        ("٣ runs", "'٣'"),
        ("Ⅷ runs", "'Ⅷ'"),
        ("run ②", "'②'"),
        ("recall is a 五", "'五'"),
        ("two of them", "'two'"),
        ("Twenty-One runs", "number words"),
        ("a tenfold gain", "number words"),
        ("dozens fail", "'dozens'"),
        ("\uff54\uff57\uff4f", "number words"),
        ("twò", "number words"),
        ("zero errors", "number words"),
        ("onehundred", "number words"),
        ("tw\u200bo runs", r"U\+200B"),
        ("first\nsecond", r"U\+000A"),
        ("\u202eesrever", r"U\+202E"),
        ("a\x00b", r"U\+0000"),
        ("t\u0461o", r"U\+0461"),
        ("\U0001f51f yes", r"U\+1F51F"),
        ("\ud800", r"U\+D800"),
        ("{gate.r_at_10.observed}", "without cited evidence"),
        ("{}", "brace"),
        ("{gate.r_at_5.n", "brace"),
        ("n}", "brace"),
        ("{ gate.r_at_5.n }", "brace"),
        ("{{gate.r_at_5.n}}", "brace"),
        ("-{gate.r_at_5.n}", "neighbour"),
        ("{gate.r_at_5.n}k items", "neighbour"),
        ("{gate.r_at_5.observed}%", "neighbour"),
        ("{gate.r_at_5.n}.{gate.r_at_5.n}", "neighbour"),
        ("{gate.r_at_5.n}{gate.r_at_5.n}", "neighbour"),
    ],
)
def test_what_resolves_to_nothing_is_refused(text, words):
    with pytest.raises(DecisionError, match=words):
        render(text, FACTS)


@pytest.mark.parametrize(
    "text",
    [
        "one of them is often a tenth, half or twice the first",
        "naïve — “quoted” (n={gate.r_at_5.n}), at {gate.r_at_5.n}: {gate.r_at_5.n}/{gate.r_at_5.n}.".replace(
            "}/{", "} / {"
        ),
        "attend to the tension of the weight",
        "Bjørn says so…",
    ],
)
def test_plain_english_is_taken(text):
    assert render(text, FACTS)


words = st.sampled_from(
    ["recall", "two", "often", "9", "½", "٣", "dozen", ",", "-", "%", "\n", "\u200b", "x", ".", "e"]
)
pieces = st.lists(words | st.sampled_from([f"{{{name}}}" for name in IDS]) | st.text(max_size=6), max_size=12)


@settings(max_examples=400)
@given(pieces, st.sampled_from(["", " "]))
def test_every_numeral_of_a_rendered_text_stands_inside_one_value(parts, between):
    text = between.join(parts)
    try:
        found = list(segments(text, FACTS))
    except DecisionError:
        return
    assert render(text, FACTS).replace("\\u000a", "\n").replace("\\u202e", "\u202e") == "".join(p for p, _ in found)
    own = [part for part, evidence in found if evidence is None]
    assert not [fault for part in own for fault in numerals_faults(part, key="t")]
    for before, (value, evidence), after in zip(found, found[1:], found[2:], strict=False):
        if evidence is not None and re.fullmatch(r"[-+0-9.e]+", value):  # a number never grows into its neighbours
            assert not re.search(r"[\w.,+^-]$", before[0])
            assert not re.match(r"[\w%^]", after[0])


@settings(max_examples=400)
@given(st.text(alphabet="[]()<>&;#*_`|~$\\!-+=.:/ \nhtpwab129@\u202e\u200b", max_size=40))
def test_escaped_text_is_text_in_markdown(text):
    for before in ("- ", "| "):
        tokens = MarkdownIt("commonmark").enable("table").parse(f"{before}{markdown(text)}")
        inline = [token for token in tokens if token.type == "inline"]
        kinds = {child.type for token in inline for child in token.children or ()} | {token.type for token in tokens}
        assert kinds <= {
            "bullet_list_open", "list_item_open", "paragraph_open", "inline", "paragraph_close", "list_item_close",
            "bullet_list_close", "text", "text_special",
        }  # fmt: skip


def test_hostile_values_lose_their_markup():
    assert render("see {note}", FACTS) == "see a | b\\u000a<script> \\u202e[x](http://x.org) `c` *d*"
    shown = render("see {note}", FACTS, markup="markdown")
    html = MarkdownIt("commonmark").render(shown)
    assert not re.search(r"<(a|script|code|em)\b", html)
    assert "[x](http://x.org)" in html


def test_a_placeholder_needs_its_citation():
    said = Statement(text="n is {gate.r_at_5.n}", evidence=("train.overfitting",))
    assert [fault.value for fault in statement_faults(said, FACTS, key="reasons.0")] == ["{gate.r_at_5.n}"]


FILES = {
    "a/b.json": json.dumps({"x/y": {"~": [1.5, True, "t"]}, "": {"0": 2}}).encode(),
    "train/loss.csv": b"epoch,loss,word\n1,0.5,a\n2,1e-3,nan\n",
}


def at(file, *path, data=None):
    return pointer(file, *path, sha256=hashlib.sha256(data or FILES[file]).hexdigest())


@pytest.mark.parametrize(
    ("pointed", "value"),
    [
        (at("a/b.json", "x/y", "~", 0), 1.5),
        (at("a/b.json", "x/y", "~", 1), True),
        (at("a/b.json", "", "0"), 2),
        (at("train/loss.csv", 0, "epoch"), 1),
        (at("train/loss.csv", 1, "loss"), 0.001),
        (at("train/loss.csv", 1, "word"), "nan"),
    ],
)
def test_a_pointer_leads_to_its_value(pointed, value):
    found = resolve(pointed, FILES.__getitem__)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("pointed", "words"),
    [
        ("a/b.json#/x", "not a pointer"),
        (at("a/b.json", "x/y")[:-1], "not a pointer"),
        (at("a/b.json", "x/y", data=b"other"), "another digest"),
        (at("a/b.json", "x"), "points to nothing"),
        (at("a/b.json", "x/y", "~", 3), "points to nothing"),
        (at("a/b.json", "x/y", "~", "-1"), "points to nothing"),
        (at("a/b.json", "x/y", "~", "00"), "points to nothing"),
        (at("a/b.json", "x/y", "~", 0, "deeper"), "points to nothing"),
    ],
)
def test_a_pointer_that_leads_nowhere_is_refused(pointed, words):
    with pytest.raises(ProvenanceError, match=words):
        resolve(pointed, FILES.__getitem__)


def test_a_file_that_is_no_json_is_named():
    with pytest.raises(ProvenanceError, match="cannot be read"):
        resolve(at("c.json", "x", data=b"{"), {"c.json": b"{"}.__getitem__)


def test_facts_that_are_not_what_they_point_to_are_told():
    where = at("a/b.json", "x/y", "~", 1)
    items = [
        Evidence(id=name, value=value, pointer=where) for name, value in (("good", True), ("one", 1), ("no", False))
    ]
    lost = Evidence(id="lost", value=1, pointer=at("a/b.json", "x"))
    faults = list(evidence_faults([*items, lost], FILES.__getitem__))
    assert [fault.key for fault in faults] == ["one", "no", "lost"]


@given(st.lists(st.text(st.characters(), max_size=8), min_size=1, max_size=4))
def test_any_name_becomes_an_id(parts):
    name = evidence_id(*parts)
    assert re.fullmatch(r"[^\s{}<>]*", name)
    assert name.isascii()
