"""What a drive can be, as a table. Its journal is a chain of events; its state is what they lead to.

    begun --> ready --started--> running --judged--> judged --decided--> decided --accepted--> accepted
                ^                                     ^  ^                | | | |
                +---------------- retrain ------------|--|----------------+ | | +--stopped--> stopped
                                                      |  +--judged-- repairing |
                                                      +--approved-- waiting <--+ asked

    waiting --decided--> decided                                     a person decided upon the run
    ready, running --stopped--> stopped                              a strike, or a circle
    ready, running, repairing, judged --failed--> failed             an error; the same command tries again:
    failed --started--> running
    any --reopened--> ready                                          code, data or environment changed since
    ready, running, repairing, judged, decided --interrupted-->      the same state

A drive whose process was killed stays where it was; that nobody works on it is seen by its lock.
"""

from collections.abc import Iterable
from enum import StrEnum

from interlock.contracts.drive import DriveState
from interlock.errors import ProvenanceError


class DriveEvent(StrEnum):
    """What can happen to a drive."""

    BEGUN = "begun"
    STARTED = "started"
    JUDGED = "judged"
    DECIDED = "decided"
    RETRAIN = "retrain"
    REPAIR = "repair"
    ACCEPTED = "accepted"
    ASKED = "asked"
    APPROVED = "approved"
    STOPPED = "stopped"
    FAILED = "failed"
    REOPENED = "reopened"
    INTERRUPTED = "interrupted"


_S, _E = DriveState, DriveEvent

ENDED = frozenset({_S.ACCEPTED, _S.WAITING, _S.STOPPED, _S.FAILED})
"""States in which nothing happens by itself."""
_WORKING = (_S.READY, _S.RUNNING, _S.REPAIRING, _S.JUDGED)

TRANSITIONS: dict[tuple[DriveState | None, DriveEvent], DriveState] = {
    (None, _E.BEGUN): _S.READY,
    (_S.READY, _E.STARTED): _S.RUNNING,
    (_S.RUNNING, _E.JUDGED): _S.JUDGED,
    (_S.REPAIRING, _E.JUDGED): _S.JUDGED,
    (_S.JUDGED, _E.DECIDED): _S.DECIDED,
    (_S.DECIDED, _E.RETRAIN): _S.READY,
    (_S.DECIDED, _E.REPAIR): _S.REPAIRING,
    (_S.DECIDED, _E.ACCEPTED): _S.ACCEPTED,
    (_S.DECIDED, _E.ASKED): _S.WAITING,
    (_S.DECIDED, _E.STOPPED): _S.STOPPED,
    (_S.READY, _E.STOPPED): _S.STOPPED,
    (_S.RUNNING, _E.STOPPED): _S.STOPPED,
    (_S.JUDGED, _E.JUDGED): _S.JUDGED,
    (_S.WAITING, _E.APPROVED): _S.JUDGED,
    (_S.WAITING, _E.DECIDED): _S.DECIDED,
    (_S.FAILED, _E.STARTED): _S.RUNNING,
    **{(state, _E.FAILED): _S.FAILED for state in _WORKING},
    **{(state, _E.INTERRUPTED): state for state in (*_WORKING, _S.DECIDED)},
    **{(state, _E.REOPENED): _S.READY for state in _S},
}
"""`(state, event) -> state`; anything else is refused."""


def advance(state: DriveState | None, event: DriveEvent) -> DriveState:
    """The state after an event. Raises ProvenanceError for one that cannot happen there."""
    following = TRANSITIONS.get((state, event))
    if following is None:
        raise ProvenanceError(f"a drive that is {state or 'not there'} cannot be {event}", key="drive", value=event)
    return following


def state_after(events: Iterable[DriveEvent]) -> DriveState | None:
    """The state that a whole journal leads to; None for an empty one."""
    state: DriveState | None = None
    for event in events:
        state = advance(state, event)
    return state
