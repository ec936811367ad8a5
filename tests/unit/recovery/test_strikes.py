"""Failures only ever add up until something ends well; nothing else takes one back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.contracts.recovery import Action, Classified, Evidence, FaultClass, RecoveryEvent, Treatment, WarmStart
from interlock.recovery import strikes

F, A = FaultClass, Action


def event(run="r0", cause=F.NOT_FINITE, action=A.RESTART, changes=None, nxt=None, fault=None, ended=True, start=None):
    return RecoveryEvent(
        kind="fault", at="2026-01-01", run_id=run, next_run=nxt, warm_start=start,
        classified=Classified(fault=fault or cause, cause=cause, reason="because"),
        evidence=Evidence(error_types=("X",) if ended else ()),
        treatment=Treatment(action=action, changes=changes or {}, reason="because"),
    )  # fmt: skip


def other(kind, **known):
    return RecoveryEvent(kind=kind, at="2026-01-01", **({"run_id": "r0"} | known))


events = st.lists(
    st.builds(event, cause=st.sampled_from(list(F)), ended=st.booleans(), run=st.sampled_from(["r0", "r1"]))
    | st.builds(other, st.just("judged"), verdict=st.sampled_from(["fail", "pass"]), run_id=st.sampled_from("abc"))
    | st.builds(other, st.just("completed")),
    max_size=12,
)


@given(events)
def test_only_success_takes_failures_back(found):
    for end in range(1, len(found) + 1):
        before, after = strikes.training_failures(found[: end - 1]), strikes.training_failures(found[:end])
        assert after == 0 if found[end - 1].kind == "completed" else before <= after <= before + 1


@given(events)
def test_only_a_pass_takes_failed_verdicts_back(found):
    for end in range(1, len(found) + 1):
        before, after = strikes.gate_failures(found[: end - 1]), strikes.gate_failures(found[:end])
        passed = found[end - 1].kind == "judged" and found[end - 1].verdict == "pass"
        assert after == 0 if passed else before <= after <= before + 1


@pytest.mark.parametrize(
    ("cause", "ended", "counted"),
    [
        (F.NOT_FINITE, True, 1),
        (F.UNKNOWN, True, 1),
        (F.CORRUPT_CHECKPOINT, False, 0),
        (F.KILLED, True, 0),
        (F.OVER_BUDGET, True, 0),
        (F.QUOTA_EXCEEDED, True, 0),
    ],
)
def test_what_counts(cause, ended, counted):
    assert strikes.training_failures([event(cause=cause, ended=ended)]) == counted


def test_judging_the_same_run_again_is_no_second_failure():
    failed = [other("judged", verdict="fail", judgement_id=name) for name in "ab"]
    assert strikes.gate_failures(failed) == 1
    assert strikes.gate_failures([*failed, other("judged", run_id="r1", verdict="fail")]) == 2


def test_changes_add_up_from_run_to_run():
    start = WarmStart(sha256="0" * 64, run_id="r1", file="epoch_001.safetensors")
    found = [event(nxt="r1", changes={"a": 1, "b": 1}), event("r1", nxt="r2", changes={"a": 2}, start=start)]
    assert strikes.in_force(found, "r0") == ({"a": 2, "b": 1}, start)
    assert strikes.in_force(found, "r1") == ({"a": 2}, start)
    assert strikes.in_force([*found, other("completed")], "r0") == ({}, None)


def test_a_lineage_that_was_given_up_begins_as_it_was_asked_for():
    found = [event(nxt="r1", changes={"a": 1}), event("r1", action=A.REPORT, fault=F.REPEATED_FAILURE)]
    assert strikes.in_force(found, "r0") == ({}, None)
    assert strikes.training_failures(found) == 2
    assert strikes.in_force([*found, event(nxt="r1", changes={"a": 3})], "r0") == ({"a": 3}, None)
