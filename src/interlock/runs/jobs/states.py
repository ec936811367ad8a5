"""What a job can be, as a table. Its journal is a chain of events; its state is what they lead to.

    submitted --> waiting <--> running --> completed
                  |    ^         |  |----> escalated      a person has to decide
                  |    |         |  +----> failed --------+
                  |    |         +-------> cancelled -----+  the same card submitted again goes on from there
                  +----|-----------------> cancelled      |
                       +----------------------------------+

A job whose runner was killed stays `running` here; that nobody works on it is seen by its lock. Submitting the same
card again goes on where it was.
"""

from collections.abc import Iterable
from enum import StrEnum

from interlock.errors import ProvenanceError


class JobState(StrEnum):
    """Where a job stands."""

    SUBMITTED = "submitted"
    WAITING = "waiting"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    ESCALATED = "escalated"
    CANCELLED = "cancelled"


class JobEvent(StrEnum):
    """What can happen to a job."""

    SUBMITTED = "submitted"
    WAITS = "waits"
    STARTED = "started"
    WORKER_STARTED = "worker_started"
    WORKER_ENDED = "worker_ended"
    WORKER_LOST = "worker_lost"
    COMPLETED = "completed"
    FAILED = "failed"
    ESCALATED = "escalated"
    CANCELLED = "cancelled"


ENDED = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.ESCALATED, JobState.CANCELLED})
"""States in which nobody works on the job."""
AGAIN = frozenset({JobState.SUBMITTED, JobState.WAITING, JobState.RUNNING, JobState.CANCELLED, JobState.FAILED})
"""States from which submitting the same card goes on. A failed one has a person's attention by then."""

_S, _E = JobState, JobEvent
_OPEN = (_S.SUBMITTED, _S.WAITING, _S.RUNNING)

TRANSITIONS: dict[tuple[JobState | None, JobEvent], JobState] = {
    (None, _E.SUBMITTED): _S.SUBMITTED,
    **{(state, _E.WAITS): _S.WAITING for state in (*_OPEN, _S.FAILED, _S.CANCELLED)},
    **{(state, _E.STARTED): _S.RUNNING for state in (*_OPEN, _S.FAILED, _S.CANCELLED)},
    **{(state, _E.CANCELLED): _S.CANCELLED for state in _OPEN},
    **{(_S.RUNNING, event): _S.RUNNING for event in (_E.WORKER_STARTED, _E.WORKER_ENDED, _E.WORKER_LOST)},
    # A worker may end after its job was cancelled or its runner gave up.
    **{(state, _E.WORKER_ENDED): state for state in (_S.CANCELLED, _S.FAILED, _S.WAITING)},
    (_S.RUNNING, _E.COMPLETED): _S.COMPLETED,
    (_S.RUNNING, _E.FAILED): _S.FAILED,
    (_S.RUNNING, _E.ESCALATED): _S.ESCALATED,
}
"""`(state, event) -> state`; anything else is refused."""


def advance(state: JobState | None, event: JobEvent) -> JobState:
    """The state after an event. Raises ProvenanceError for one that cannot happen there."""
    following = TRANSITIONS.get((state, event))
    if following is None:
        raise ProvenanceError(f"a job that is {state or 'not there'} cannot be {event}", key="job", value=str(event))
    return following


def state_after(events: Iterable[JobEvent]) -> JobState | None:
    """The state that a whole journal leads to; None for an empty one."""
    state: JobState | None = None
    for event in events:
        state = advance(state, event)
    return state
