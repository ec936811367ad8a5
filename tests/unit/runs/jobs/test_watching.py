"""When a worker counts as gone: two heartbeats missed and no step since."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.runs.jobs.watching import STARTING_S, Signs, loss_of

NOW = 1_000_000.0


def signs(*, heard=None, moved=None, started=10_000.0, between=False):
    return Signs(
        started_at=NOW - started,
        heartbeat_at=None if heard is None else NOW - heard,
        moved_at=None if moved is None else NOW - moved,
        is_between_stages=between,
    )


@pytest.mark.parametrize(
    ("found", "is_lost"),
    [
        (signs(heard=0.0), False),
        (signs(heard=120.0), False),
        (signs(heard=121.0), True),
        (signs(heard=121.0, moved=5.0), False),  # its store is out of reach, but it takes steps
        (signs(heard=500.0, moved=400.0), True),  # it took one after its last word, long ago
        (signs(heard=500.0, moved=600.0), True),
        (signs(started=100.0), False),  # still loading its libraries
        (signs(started=121.0), True),
        (signs(heard=90.0, between=True), False),
        (signs(heard=500.0, between=True), True),
    ],
)
def test_two_missed_and_no_step(found, is_lost):
    assert bool(loss_of(found, now=NOW, every_s=60.0)) is is_lost


def test_a_new_worker_has_time_to_load_whatever_the_rhythm():
    assert not loss_of(signs(started=STARTING_S - 1), now=NOW, every_s=0.5)
    assert loss_of(signs(heard=1.1), now=NOW, every_s=0.5)


def test_the_reason_holds_the_numbers():
    assert "500 s" in loss_of(signs(heard=500.0), now=NOW, every_s=60.0)


@given(st.floats(0, 120), st.one_of(st.none(), st.floats(0, 1e6)), st.booleans())
def test_whoever_was_heard_in_time_is_never_replaced(heard, moved, between):
    assert loss_of(signs(heard=heard, moved=moved, between=between), now=NOW, every_s=60.0) == ""


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_silence_never_turns_back_into_life(shorter, longer):
    shorter, longer = sorted((shorter, longer))
    if loss_of(signs(heard=shorter), now=NOW, every_s=60.0):
        assert loss_of(signs(heard=longer), now=NOW, every_s=60.0)
