"""What is done never leaves the declared bounds, and what nobody knows is never healed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.contracts.lane import Range
from interlock.contracts.recovery import Action, Classified, FaultClass, RecoverySettings, Situation
from interlock.recovery.policy import BATCH, CLIP, DEVICE, LR, MICRO, POLICY, treat

F, A = FaultClass, Action


def found(fault, cause=None):
    return Classified(fault=fault, cause=cause or fault, reason="because")


@st.composite
def ranges(draw, low, high, *, integer=False):
    a = draw(st.floats(low, high * 0.5))
    return Range(low=a, high=draw(st.floats(a * 1.01, high)), scale="log", integer=integer)


situations = st.builds(
    Situation,
    values=st.fixed_dictionaries(
        {},
        optional={
            LR: st.floats(1e-6, 1.0),
            BATCH: st.integers(1, 4096),
            MICRO: st.none() | st.integers(1, 4096),
            CLIP: st.none() | st.floats(0.01, 10),
        },
    ),
    hardware=st.sampled_from(["cpu", "cuda", "mps"]),
    search_space=st.fixed_dictionaries({}, optional={LR: ranges(1e-6, 1.0), BATCH: ranges(1, 4096, integer=True)}),
    settings=st.builds(RecoverySettings, micro_batch_min=st.integers(1, 64), heal=st.booleans()),
    before=st.dictionaries(st.sampled_from(list(F)), st.integers(0, 3)),
    losses=st.lists(st.floats(0.1, 10), max_size=5).map(tuple),
    freed_bytes=st.integers(0, 10),
    ended=st.booleans(),
    approved=st.booleans(),
    automatic=st.booleans(),
)


@given(st.sampled_from(list(F)), situations)
def test_a_restart_changes_keys_of_its_row_alone_and_inside_the_bounds(fault, situation):
    treatment = treat(found(fault), situation)
    assert set(treatment.changes) <= set(POLICY[fault].changes)
    assert bool(treatment.changes) == (treatment.action is A.RESTART)
    for key, value in treatment.changes.items():
        assert value != situation.values.get(key)
        if fault is F.STALLED and key != MICRO:
            assert situation.search_space[key].low <= value <= situation.search_space[key].high
    if LR in treatment.changes and LR in situation.search_space:
        assert situation.search_space[LR].low <= treatment.changes[LR] <= situation.search_space[LR].high
    if MICRO in treatment.changes and fault is F.OUT_OF_MEMORY:
        assert situation.settings.micro_batch_min <= treatment.changes[MICRO]
        assert treatment.changes[MICRO] * 2 <= (situation.values[MICRO] or situation.values[BATCH])


@given(situations, st.sampled_from(list(F)))
def test_the_unknown_and_a_failure_too_many_are_never_healed(situation, cause):
    assert treat(found(F.UNKNOWN), situation).action is A.HALT
    assert treat(found(F.REPEATED_FAILURE, cause), situation).action is A.REPORT


@given(st.sampled_from(list(F)), situations)
def test_nothing_is_healed_where_healing_is_off(fault, situation):
    off = situation.model_copy(update={"settings": RecoverySettings(heal=False)})
    repeated = situation.model_copy(update={"automatic": False})
    for one in (off, repeated):
        assert treat(found(fault), one).action in (A.HALT, A.REPORT, A.NOTE, A.PROPOSE, A.QUEUE)


@given(st.sampled_from(list(F)), situations)
def test_a_halt_tells_a_person(fault, situation):
    treatment = treat(found(fault), situation)
    assert treatment.reason
    if treatment.action in (A.HALT, A.REPORT):
        assert "person" in treatment.tells


def test_every_class_has_a_row():
    assert set(POLICY) == set(F)


def situation(**known):
    values = {LR: 0.1, BATCH: 32, MICRO: None, CLIP: None}
    space = {LR: Range(low=0.001, high=1.0), BATCH: Range(low=8, high=64, integer=True)}
    return Situation(**({"values": values, "hardware": "cpu", "search_space": space} | known))


@pytest.mark.parametrize(
    ("fault", "known", "changes"),
    [
        (F.OUT_OF_MEMORY, {}, {MICRO: 16}),
        (F.OUT_OF_MEMORY, {"values": {BATCH: 32, MICRO: 5}}, {MICRO: 2}),
        (F.OUT_OF_MEMORY, {"hardware": "mps"}, {MICRO: 16}),
        (F.OUT_OF_MEMORY, {"hardware": "mps", "before": {F.OUT_OF_MEMORY: 1}}, {DEVICE: "cpu"}),
        (F.NOT_FINITE, {}, {LR: 0.01, CLIP: 1.0}),
        (F.NOT_FINITE, {"values": {LR: 0.005, CLIP: 0.5}}, {LR: 0.001}),
        (F.NOT_FINITE, {"values": {LR: 0.001, CLIP: 5.0}}, {CLIP: 1.0}),
        (F.NOT_FINITE, {"values": {LR: 0.1}, "search_space": {}}, {LR: 0.01}),
        (F.STALLED, {"losses": (5.0, 5.0)}, {LR: 0.3}),
        (F.STALLED, {"losses": (5.0, 9.0)}, {LR: 0.0333333}),
        (F.STALLED, {"before": {F.STALLED: 1}}, {BATCH: 16}),
        (F.STALLED, {"values": {LR: 1.0, BATCH: 32, MICRO: 20}}, {BATCH: 16, MICRO: 16}),
        (F.STALLED, {"values": {LR: 0.5, BATCH: 8}}, {LR: 1.0}),
    ],
)
def test_what_a_restart_changes(fault, known, changes):
    treatment = treat(found(fault), situation(**known))
    assert (treatment.action, treatment.changes) == (A.RESTART, changes)
    assert treatment.from_checkpoint == (fault is not F.OUT_OF_MEMORY)


@pytest.mark.parametrize(
    ("fault", "known", "action"),
    [
        (F.OUT_OF_MEMORY, {"values": {BATCH: 32, MICRO: 1}}, A.HALT),
        (F.OUT_OF_MEMORY, {"values": {BATCH: 32}}, A.HALT),
        (F.NOT_FINITE, {"values": {LR: 0.001, CLIP: 1.0}}, A.HALT),
        (F.NOT_FINITE, {"values": {}}, A.HALT),
        (F.STALLED, {"search_space": {}}, A.HALT),
        (F.STALLED, {"values": {LR: 1.0, BATCH: 8}}, A.HALT),
        (F.DISK_FULL, {}, A.HALT),
        (F.DISK_FULL, {"freed_bytes": 1}, A.RESUME),
        (F.CORRUPT_CHECKPOINT, {}, A.START_OVER),
        (F.CORRUPT_CHECKPOINT, {"ended": False}, A.NOTE),
        (F.GATE_FAILED, {}, A.PROPOSE),
        (F.GATE_FAILED, {"before": {F.GATE_FAILED: 1}}, A.HALT),
        (F.GATE_FAILED, {"before": {F.GATE_FAILED: 1}, "approved": True}, A.PROPOSE),
        (F.OVER_BUDGET, {}, A.HALT),
        (F.QUOTA_EXCEEDED, {}, A.QUEUE),
        (F.MISSED_HEARTBEATS, {}, A.SUBSTITUTE),
        (F.KILLED, {}, A.RESUME),
        (F.OVERFITTING, {}, A.NOTE),
    ],
)
def test_everything_else_leaves_the_configuration_alone(fault, known, action):
    treatment = treat(found(fault), situation(**known))
    assert (treatment.action, treatment.changes) == (action, {})
