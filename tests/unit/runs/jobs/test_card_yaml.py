"""Cards as YAML: what plain scalars mean, and refusals that name the line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.errors import ConfigError
from interlock.runs.jobs.card_yaml import dotted, read_card_text


def read(text):
    return read_card_text(text.encode(), "card.yaml")


def refusal(data):
    with pytest.raises(ConfigError) as caught:
        read_card_text(data if isinstance(data, bytes) else data.encode(), "card.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [1, 2", "line 1"),
        ("a: 1\nb: {c: 2\nd: 3\n", "is not YAML"),
        ("id: x\n  role: y\n", "line 2"),
        ("a: 1\na: 2\n", "stands twice, first on line 1"),
        ("a: &x [1]\nb: *x\n", "anchor"),
        ("a: &x [*x]\n", "anchor"),
        ("a: !!python/object/apply:os.system ['x']\n", "has the tag"),
        ("a: !secret 1\n", "has the tag !secret"),
        ("a: .nan\n", "not a finite number"),
        ("a: -.inf\n", "not a finite number"),
        ("- a\n- b\n", "must be a mapping"),
        ("", "must be a mapping"),
        ("a: 1\n---\nb: 2\n", "is not YAML"),
        ("[a, b]: 1\n", "no plain word"),
        ("a:\n  <<: {b: 1}\n", "no plain word"),
        (b"\xff\xfe\x00", "not UTF-8"),
        ("a: " + "[" * 50 + "]" * 50, "nested too deeply"),
        (b"x" * ((1 << 20) + 1), "larger than 1024 KiB"),
    ],
)
def test_refusals(text, says):
    assert says in refusal(text)


def test_every_fault_of_the_form_is_told_at_once():
    said = refusal("a: .nan\nb: !x 1\na: 2\n")
    assert said.count("set in:") == 3


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4), ("1E5", 1e5), ("5", 5), ("-3", -3), ("0.50", 0.5), (".5", 0.5), ("4.", 4.0),
        ("on", "on"), ("off", "off"), ("yes", "yes"), ("No", "No"), ("1:30", "1:30"), ("2026-01-02", "2026-01-02"),
        ("true", True), ("False", False), ("null", None), ("~", None), ("", None), ("'1e-4'", "1e-4"),
        ("0x10", "0x10"), ("1_000", "1_000"), ("010", 10), ("cpu", "cpu"),
    ],
)  # fmt: skip
def test_plain_scalars_mean_what_they_look_like(text, value):
    found = read(f"a: {text}\n").values["a"]
    assert found == value
    assert type(found) is type(value)


def test_lines_are_known_for_every_value_and_its_surroundings():
    card = read("id: x\nacceptance:\n  - check: a\n  - check: b\nbudget: {compute_hours_max: 1}\n")
    assert card.where(("acceptance", 1, "check")) == "card.yaml, line 4"
    assert card.where(("budget", "tokens")) == "card.yaml, line 5"
    assert card.where(("nowhere",)) == "card.yaml, line 1"
    assert dotted(("acceptance", 1, "check")) == "acceptance.2.check"


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data):
    try:
        found = read_card_text(data, "c")
    except ConfigError:
        return
    assert isinstance(found.values, dict)
