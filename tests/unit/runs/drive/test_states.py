"""A drive's states: every move that is not in the table is refused, and every path through the table ends somewhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.contracts.drive import DriveState
from interlock.errors import ProvenanceError
from interlock.runs.drive.states import ENDED, TRANSITIONS, DriveEvent, advance, state_after

EVERY = [(state, event) for state in (None, *DriveState) for event in DriveEvent]


@pytest.mark.parametrize(("state", "event"), [pair for pair in EVERY if pair not in TRANSITIONS])
def test_a_move_that_is_not_in_the_table_is_refused(state, event):
    with pytest.raises(ProvenanceError, match="cannot be"):
        advance(state, event)


@given(st.lists(st.sampled_from(list(DriveEvent)), max_size=30))
def test_a_journal_leads_to_one_state_or_is_refused(events):
    state = None
    for event in events:
        if (state, event) not in TRANSITIONS:
            with pytest.raises(ProvenanceError):
                state_after(events)
            return
        state = TRANSITIONS[state, event]
    assert state_after(events) == state


def test_accepting_needs_a_decision_and_a_decision_needs_a_verdict():
    assert {state for (state, event) in TRANSITIONS if event is DriveEvent.ACCEPTED} == {DriveState.DECIDED}
    deciding = {state for (state, event) in TRANSITIONS if event is DriveEvent.DECIDED}
    assert deciding == {DriveState.JUDGED, DriveState.WAITING}


def test_what_has_ended_moves_only_by_a_person_or_by_the_same_command():
    leaving = {event for (state, event) in TRANSITIONS if state in ENDED}
    assert leaving == {DriveEvent.STARTED, DriveEvent.APPROVED, DriveEvent.DECIDED, DriveEvent.REOPENED}


def test_every_state_is_reached_and_every_working_state_can_end():
    reached = {None}
    while (more := {TRANSITIONS[key] for key in TRANSITIONS if key[0] in reached} | reached) != reached:
        reached = more
    assert reached == {None, *DriveState}
    ends = set(ENDED)
    while (more := {state for (state, _), to in TRANSITIONS.items() if to in ends} | ends) != ends:
        ends = more
    assert ends >= set(DriveState)
