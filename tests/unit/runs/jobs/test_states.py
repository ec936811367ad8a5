"""The table of a job's states: everything that is not in it is refused."""

import itertools

import pytest

from interlock.errors import ProvenanceError
from interlock.runs.jobs.states import AGAIN, ENDED, TRANSITIONS, JobEvent, JobState, advance, state_after

EVERY = list(itertools.product([None, *JobState], JobEvent))


@pytest.mark.parametrize(("state", "event"), [pair for pair in EVERY if pair not in TRANSITIONS])
def test_every_other_move_is_refused(state, event):
    with pytest.raises(ProvenanceError):
        advance(state, event)


def test_results_are_final():
    for state in (JobState.COMPLETED, JobState.ESCALATED):
        assert not [event for event in JobEvent if (state, event) in TRANSITIONS]
    assert {JobState.COMPLETED, JobState.ESCALATED} == ENDED - AGAIN


def test_every_state_can_be_reached_and_a_failed_or_cancelled_job_goes_on():
    assert set(TRANSITIONS.values()) == set(JobState)
    for event in (JobEvent.STARTED, JobEvent.WAITS):
        assert advance(JobState.CANCELLED, event) in (JobState.RUNNING, JobState.WAITING)
        assert advance(JobState.FAILED, event) in (JobState.RUNNING, JobState.WAITING)


@pytest.mark.parametrize("event", [JobEvent.COMPLETED, JobEvent.FAILED, JobEvent.ESCALATED, JobEvent.WORKER_LOST])
def test_results_come_of_work_alone(event):
    assert [state for state in (None, *JobState) if (state, event) in TRANSITIONS] == [JobState.RUNNING]


def test_only_an_open_job_can_be_cancelled():
    assert {state for state, event in TRANSITIONS if event is JobEvent.CANCELLED} == set(JobState) - ENDED


def test_a_journal_leads_to_a_state():
    lived = [JobEvent.SUBMITTED, JobEvent.WAITS, JobEvent.STARTED, JobEvent.WORKER_STARTED, JobEvent.WORKER_LOST]
    assert state_after(lived) is JobState.RUNNING
    assert state_after([*lived, JobEvent.CANCELLED, JobEvent.WORKER_ENDED]) is JobState.CANCELLED
    assert state_after([]) is None
