"""Every evidence has a class; what is known is told by type and number, never by words that anybody could use."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.contracts.recovery import (
    CurveEvidence,
    DiskEvidence,
    Evidence,
    FaultClass,
    HeartbeatEvidence,
    MemoryEvidence,
    SpendEvidence,
)
from interlock.recovery.classify import COUNTED, RULES, classify

F = FaultClass
TYPES = (
    "NonFiniteError",
    "StageError",
    "RuntimeError",
    "MemoryError",
    "OSError",
    "BudgetError",
    "StalledError",
    "KeyError",
)
WORDS = ("out of memory", "No space left on device", "killed by signal: Killed")
losses = st.lists(st.floats(min_value=-10, max_value=10), max_size=8)


def paired(values):
    return CurveEvidence(training=tuple(a for a, _ in values), validation=tuple(b for _, b in values), window_epochs=2)


evidences = st.builds(
    Evidence,
    error_types=st.lists(st.sampled_from(TYPES), max_size=3).map(tuple),
    error_text=st.text(max_size=40) | st.sampled_from(WORDS),
    errno=st.none() | st.integers(0, 130),
    exit_signal=st.none() | st.integers(1, 31),
    memory=st.none() | st.builds(
        MemoryEvidence, limit_bytes=st.none() | st.integers(0, 2**40), peak_bytes=st.none() | st.integers(0, 2**40),
        oom_kills_before=st.none() | st.integers(0, 5), oom_kills_after=st.none() | st.integers(0, 5),
    ),
    disk=st.none() | st.builds(
        DiskEvidence, free_bytes=st.integers(0, 2**40), total_bytes=st.just(2**40),
        needed_bytes=st.none() | st.integers(0, 2**40),
    ),
    heartbeat=st.none() | st.builds(
        HeartbeatEvidence, age_s=st.floats(0, 1e6), every_s=st.floats(1, 100), steps_since=st.integers(0, 3)
    ),
    curves=st.none() | st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), max_size=8).map(paired),
    spend=st.none() | st.builds(
        SpendEvidence, hours=st.floats(0, 10), hours_max=st.none() | st.floats(0, 10), attempt_hours=st.floats(0, 10),
        estimate_hours=st.none() | st.floats(0, 10),
    ),
    refused_resource=st.sampled_from(["", "cuda"]),
    damaged_files=st.sampled_from([(), ("resume_1.ckpt",)]),
    verdict=st.sampled_from(["", "pass", "fail", "inconclusive", "blocked"]),
    failures_before=st.integers(0, 5),
    failures_max=st.integers(1, 5),
)  # fmt: skip


@given(evidences)
def test_every_evidence_has_one_class_and_a_reason(evidence):
    found = classify(evidence)
    assert found.reason
    assert found == classify(evidence)
    assert found.fault in (found.cause, F.REPEATED_FAILURE)


@given(evidences)
def test_a_failure_too_many_is_never_anything_else(evidence):
    found = classify(evidence)
    ended = bool(evidence.error_types) or evidence.exit_signal is not None
    too_many = found.cause in COUNTED and ended and evidence.failures_before + 1 >= evidence.failures_max
    assert (found.fault is F.REPEATED_FAILURE) == too_many


@given(evidences)
def test_no_error_that_nobody_knows_is_called_known(evidence):
    bare = Evidence(error_types=("LookupError",), error_text=evidence.error_text, verdict=evidence.verdict)
    assert classify(bare).cause is F.UNKNOWN


def test_nothing_known_is_unknown():
    assert classify(Evidence()).fault is F.UNKNOWN


def test_every_class_has_a_rule_or_is_the_rest():
    assert {fault for fault, _ in RULES} | {F.UNKNOWN, F.REPEATED_FAILURE} == set(F)


def error(*types, text="", **known):
    return Evidence(error_types=types, error_text=text, **known)


KILL = dict(exit_signal=9)
ALLOCATOR = (
    "[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"
)


@pytest.mark.parametrize(
    ("evidence", "fault"),
    [
        (error("NonFiniteError", "StageError", text="loss is not finite at step 3"), F.NOT_FINITE),
        (error("ValueError", text="loss is not finite, NaN"), F.UNKNOWN),
        (error("MemoryError"), F.OUT_OF_MEMORY),
        (error("OutOfMemoryError", "RuntimeError", text="CUDA out of memory. Tried to allocate 2"), F.OUT_OF_MEMORY),
        (error("RuntimeError", text="MPS backend out of memory (MPS allocated: 5 GB)"), F.OUT_OF_MEMORY),
        (error("RuntimeError", text=ALLOCATOR), F.OUT_OF_MEMORY),
        (error("OSError", text="Cannot allocate memory", errno=12), F.OUT_OF_MEMORY),
        (error("ValueError", text="out of memory"), F.UNKNOWN),
        (Evidence(**KILL), F.KILLED),
        (Evidence(**KILL, memory=MemoryEvidence(oom_kills_before=2, oom_kills_after=3)), F.OUT_OF_MEMORY),
        (Evidence(**KILL, memory=MemoryEvidence(oom_kills_before=3, oom_kills_after=3)), F.KILLED),
        (Evidence(**KILL, memory=MemoryEvidence(limit_bytes=1000, peak_bytes=950)), F.OUT_OF_MEMORY),
        (Evidence(**KILL, memory=MemoryEvidence(limit_bytes=1000, peak_bytes=949)), F.KILLED),
        (Evidence(exit_signal=11), F.UNKNOWN),
        (error("OSError", errno=28), F.DISK_FULL),
        (error("OSError", errno=122), F.DISK_FULL),
        (error("PermissionError", "OSError", errno=13), F.UNKNOWN),
        (error("DiskFullError", "StageError", text="not enough free disk"), F.DISK_FULL),
        (error("OperationalError", text="database or disk is full"), F.DISK_FULL),
        (error("CorruptStateError", "StageError", text="checkpoint was changed"), F.CORRUPT_CHECKPOINT),
        (Evidence(damaged_files=("resume_1.ckpt",)), F.CORRUPT_CHECKPOINT),
        (error("StalledError", "StageError", text="training is stalled"), F.STALLED),
        (Evidence(curves=CurveEvidence(training=(5.0,) * 4, window_epochs=3)), F.STALLED),
        (error("BudgetError", "StageError", text="training used 5 hours"), F.OVER_BUDGET),
        (Evidence(spend=SpendEvidence(hours=4.1, hours_max=4.0)), F.OVER_BUDGET),
        (Evidence(spend=SpendEvidence(hours=3.9, hours_max=4.0)), F.UNKNOWN),
        (Evidence(spend=SpendEvidence(hours=2.1, attempt_hours=2.1, estimate_hours=1.0)), F.OVER_BUDGET),
        (Evidence(spend=SpendEvidence(hours=2.0, attempt_hours=2.0, estimate_hours=1.0)), F.UNKNOWN),
        (Evidence(refused_resource="cuda"), F.QUOTA_EXCEEDED),
        (Evidence(heartbeat=HeartbeatEvidence(age_s=121, every_s=60)), F.MISSED_HEARTBEATS),
        (Evidence(heartbeat=HeartbeatEvidence(age_s=120, every_s=60)), F.UNKNOWN),
        (Evidence(heartbeat=HeartbeatEvidence(age_s=900, every_s=60, steps_since=1)), F.UNKNOWN),
        (Evidence(verdict="fail"), F.GATE_FAILED),
        (Evidence(verdict="inconclusive"), F.UNKNOWN),
        (Evidence(curves=CurveEvidence(training=(3, 2, 1), validation=(3, 2, 2.5))), F.OVERFITTING),
        (Evidence(curves=CurveEvidence(training=(3, 2, 1), validation=(3, 2, 2.02))), F.UNKNOWN),
        (error("KeyError", text="x", curves=CurveEvidence(training=(3, 2, 1), validation=(3, 2, 2.5))), F.UNKNOWN),
    ],
)  # fmt: skip
def test_each_row_of_the_table(evidence, fault):
    assert classify(evidence).fault is fault


def test_the_reason_holds_the_numbers():
    kill = Evidence(exit_signal=9, memory=MemoryEvidence(limit_bytes=2**30, peak_bytes=1000 * 2**20))
    assert classify(kill).reason == "killed by signal 9, and 1,000 of 1,024 MiB were in use"
    third = classify(error("MemoryError", text="no memory", failures_before=2))
    assert (third.fault, third.cause) == (F.REPEATED_FAILURE, F.OUT_OF_MEMORY)
    assert third.reason == "failure 3 of 3 in this lineage: no memory"
