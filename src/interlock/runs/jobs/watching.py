"""Is a worker still at work? Decided by heartbeats and, where these are silent, by whether its files move on.

Pure: facts in, an answer out. A worker that says nothing but takes steps is left alone (its store may be out of reach);
one that misses its heartbeats and takes no step is replaced, as `interlock.recovery` says of that fault. Does not tell
a worker that hangs while its heartbeats go on; training has its own rule for a loss that stalls.
"""

from dataclasses import dataclass

from interlock.contracts.recovery import Action, Evidence, FaultClass, HeartbeatEvidence
from interlock.recovery.classify import classify
from interlock.recovery.policy import POLICY

SUBSTITUTIONS_MAX = 3
"""Workers that replace another one in the work of one manager; after that the job has failed."""
STARTING_S = 60.0
"""A new worker loads its libraries before it can send anything."""


@dataclass(frozen=True, kw_only=True)
class Signs:
    """What is known of a worker. Times in seconds since 1970."""

    started_at: float
    """When its process began."""
    heartbeat_at: float | None
    """Its last heartbeat; None before the first."""
    moved_at: float | None
    """When the resume state of its run was last written; None where there is none."""
    is_between_stages: bool = False
    """Whether its last heartbeat said that a stage has ended."""


def loss_of(signs: Signs, *, now: float, every_s: float, missed_max: int = 2) -> str:
    """Why the worker counts as gone; empty while it does not."""
    age_s = now - (signs.heartbeat_at if signs.heartbeat_at is not None else signs.started_at)
    is_silent_by_right = signs.heartbeat_at is None or signs.is_between_stages
    if is_silent_by_right and age_s <= max(STARTING_S, missed_max * every_s):
        return ""
    heard = signs.heartbeat_at if signs.heartbeat_at is not None else signs.started_at
    has_moved = signs.moved_at is not None and signs.moved_at > heard and now - signs.moved_at <= missed_max * every_s
    beat = HeartbeatEvidence(age_s=max(0.0, age_s), every_s=every_s, missed_max=missed_max, steps_since=int(has_moved))
    found = classify(Evidence(heartbeat=beat))
    if found.fault is not FaultClass.MISSED_HEARTBEATS:
        return ""
    assert POLICY[found.fault].action is Action.SUBSTITUTE
    return found.reason
