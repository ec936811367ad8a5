"""Gates refuse what nobody could judge by."""

import pytest
from pydantic import TypeAdapter, ValidationError

from interlock.contracts.gate import Gate, families, mixed_family

GATE = TypeAdapter(Gate)
THRESHOLD = {"kind": "threshold", "metric": "m", "direction": "at_least", "target": 0.5}
BASELINE = {"kind": "baseline", "metric": "m", "baseline": "b", "direction": "at_least"}


@pytest.mark.parametrize(
    "fields",
    [
        THRESHOLD | {"confidence": 0.5},
        THRESHOLD | {"confidence": 1.0},
        THRESHOLD | {"confidence": 95.0},
        THRESHOLD | {"n_min": 0},
        THRESHOLD | {"target": float("nan")},
        THRESHOLD | {"direction": "up"},
        THRESHOLD | {"severity": "warn"},
        THRESHOLD | {"margin": 0.1},
        THRESHOLD | {"family": "kpi", "confidence": None},
        THRESHOLD | {"family": ""},
        THRESHOLD | {"baseline_sha256": "0" * 64},
        BASELINE | {"baseline_sha256": "latest"},
        {"kind": "predicate", "check": "c", "family": "kpi"},
        BASELINE | {"n_min": 1},
        BASELINE | {"target": 0.5},
        {"kind": "predicate", "check": "c", "target": 1.0},
        {"kind": "unknown"},
        {"metric": "m"},
    ],
    ids=str,
)
def test_refused(fields):
    with pytest.raises(ValidationError):
        GATE.validate_python(fields)


def test_without_a_word_a_gate_blocks_on_a_95_percent_bound():
    for fields in (THRESHOLD, BASELINE):
        gate = GATE.validate_python(fields)
        assert (gate.severity, gate.confidence) == ("block", 0.95)


def test_families_are_gathered_by_name():
    gates = {
        name: GATE.validate_python(fields)
        for name, fields in {
            "a": THRESHOLD | {"family": "kpi"},
            "b": BASELINE | {"family": "kpi"},
            "c": THRESHOLD,
            "d": {"kind": "predicate", "check": "c"},
            "e": THRESHOLD | {"family": "speed", "confidence": 0.9},
        }.items()
    }
    assert {family: sorted(members) for family, members in families(gates).items()} == {
        "kpi": ["a", "b"],
        "speed": ["e"],
    }
    assert all(mixed_family(family, members) is None for family, members in families(gates).items())


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"confidence": 0.9}, "confidence 0.9 and 0.95; one family has one confidence"),
        ({"phase": "shipped"}, "known only after export"),
    ],
)
def test_a_family_has_one_confidence_and_one_time(fields, words):
    members = {"a": GATE.validate_python(THRESHOLD), "b": GATE.validate_python(THRESHOLD | fields)}
    assert words in mixed_family("kpi", members)
