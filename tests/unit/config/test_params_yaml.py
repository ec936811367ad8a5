"""A plain word in params.yaml is what it is on the command line, and what DVC wrote comes back as it was."""

import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from interlock.config.compose import parse
from interlock.config.params_yaml import read_yaml

VALUES = ("1e-4", "1.e-3", ".5", "5.", "+1", "-0", "1_000", "1_0e-2", "true", "FALSE", "null", "0", "1e22", "-3.5E+2")
TEXTS = (
    "yes",
    "No",
    "on",
    "OFF",
    "y",
    "1:30",
    "12:30:45",
    "010",
    "0x1F",
    "0o17",
    "0b11",
    "2026-01-02",
    "1__0",
    "1e",
    ".",
)


@pytest.mark.parametrize("word", [*VALUES, *TEXTS])
def test_a_plain_word_means_the_same_as_in_an_override(word):
    there = parse(f"key='{word}'" if ":" in word else f"key={word}").value()
    there, here = getattr(there, "text", there), read_yaml(f"key: {word}\n")["key"]
    assert (type(here), here) == (type(there), there)


@pytest.mark.parametrize("word", TEXTS)
def test_what_is_a_number_or_a_boolean_to_yaml_1_1_alone_is_text(word):
    assert read_yaml(f"[{word}]") == [word]


def test_yaml_has_its_own_spellings_of_nothing_and_of_what_is_not_finite():
    assert read_yaml("{a: ~, b: null, c: , d: ''}") == {"a": None, "b": None, "c": None, "d": ""}
    assert read_yaml("[.inf, -.INF]") == [math.inf, -math.inf]
    assert math.isnan(read_yaml(".nan"))
    assert read_yaml("[inf, nan]") == ["inf", "nan"]


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=12))
def test_text_that_dvc_writes_comes_back_as_text(text):
    from dvc.utils.serialize import dumps_yaml

    assert read_yaml(dumps_yaml({"key": text})) == {"key": text}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", min_size=1), inner, max_size=3),
        max_leaves=6,
    )
)
def test_values_that_dvc_writes_come_back_as_they_were(value):
    from dvc.utils.serialize import dumps_yaml

    assert read_yaml(dumps_yaml({"key": value})) == {"key": value}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\na: 2\n", "found duplicate key a"),
        ("{a: {b: 1, b: 2}}", "found duplicate key b"),
        ("a: !!binary aGk=\n", "could not determine a constructor"),
        ("a: !!python/object:os.system {}\n", "could not determine a constructor"),
        ("a: [1\n", "expected"),
    ],
)
def test_what_is_not_plain_is_refused(text, problem):
    with pytest.raises(yaml.YAMLError, match=problem):
        read_yaml(text)


def test_merge_keys_work():
    assert read_yaml("base: &base {a: 1}\nother: {<<: *base, b: 2}\n")["other"] == {"a": 1, "b": 2}
