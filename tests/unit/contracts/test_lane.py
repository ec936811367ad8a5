"""What judges and steers a lane: refused where it could not judge."""

import pytest
from pydantic import ValidationError

from interlock.contracts.gate import ThresholdGate
from interlock.contracts.lane import LanePolicy


def gate(**fields):
    return ThresholdGate(kind="threshold", metric="m", direction="at_least", target=0.5, **fields)


def test_a_family_that_cannot_be_judged_jointly_is_refused_before_anything_runs():
    LanePolicy(gates={"a": gate(family="kpi"), "b": gate(family="kpi"), "c": gate(confidence=0.9)})
    with pytest.raises(ValidationError, match=r"confidence 0\.9 and 0\.95; one family has one confidence"):
        LanePolicy(gates={"a": gate(family="kpi"), "b": gate(family="kpi", confidence=0.9)})
    with pytest.raises(ValidationError, match="family kpi: some of its gates are known only after export"):
        LanePolicy(gates={"a": gate(family="kpi"), "b": gate(family="kpi", phase="shipped")})


def test_without_a_blocking_gate_nothing_is_proven():
    with pytest.raises(ValidationError, match="severity block or halt"):
        LanePolicy(gates={"a": gate(severity="advise")})
