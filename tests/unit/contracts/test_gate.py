"""Gates refuse what nobody could judge by."""

import pytest
from pydantic import TypeAdapter, ValidationError

from interlock.contracts.gate import Gate

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
