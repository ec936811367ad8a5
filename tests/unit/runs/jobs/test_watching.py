"""When a worker counts as gone: two heartbeats missed and no step since."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.runs.jobs.watching import STARTING_S, Listener, Signs, loss_of


def signs(silent, *, moved=None, spoken=True, between=False):
    return Signs(silent_s=silent, has_spoken=spoken, is_between_stages=between, moved_s=moved)


@pytest.mark.parametrize(
    ("found", "is_lost"),
    [
        (signs(0.0), False),
        (signs(120.0), False),
        (signs(121.0), True),
        (signs(121.0, moved=5.0), False),  # its store is out of reach, but it takes steps
        (signs(500.0, moved=400.0), True),  # it took one after its last word, long ago
        (signs(500.0, moved=600.0), True),
        (signs(119.0, spoken=False), False),  # still loading its libraries
        (signs(121.0, spoken=False), True),
        (signs(90.0, between=True), False),
        (signs(500.0, between=True), True),
    ],
)
def test_two_missed_and_no_step(found, is_lost):
    assert bool(loss_of(found, every_s=60.0)) is is_lost


def test_a_new_worker_has_time_to_load_whatever_the_rhythm():
    assert not loss_of(signs(STARTING_S - 1, spoken=False), every_s=0.5)
    assert loss_of(signs(1.1), every_s=0.5)


def test_the_reason_holds_the_numbers():
    assert "500 s" in loss_of(signs(500.0), every_s=60.0)


@given(st.floats(0, 120), st.one_of(st.none(), st.floats(0, 1e6)), st.booleans())
def test_whoever_was_heard_in_time_is_never_replaced(silent, moved, between):
    assert loss_of(signs(silent, moved=moved, between=between), every_s=60.0) == ""


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_silence_never_turns_back_into_life(shorter, longer):
    shorter, longer = sorted((shorter, longer))
    if loss_of(signs(shorter), every_s=60.0):
        assert loss_of(signs(longer), every_s=60.0)


def test_silence_is_measured_by_the_listeners_own_clock():
    listener = Listener(heard_at=100.0)
    assert listener.hear(None, now=103.0) == 3.0
    assert listener.hear(9e9, now=104.0) == 0.0  # whatever the sender's clock says
    assert listener.hear(9e9, now=110.0) == 6.0
    assert listener.hear(5.0, now=111.0) == 0.0
