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
    """What is known of a worker. Seconds by the watcher's own clock, which stands still while the machine sleeps."""

    silent_s: float
    """Since its last heartbeat was seen; before the first one, since it was started or taken over."""
    has_spoken: bool
    """Whether there was any heartbeat."""
    is_between_stages: bool = False
    """Whether the last one said that a stage has ended."""
    moved_s: float | None = None
    """Since the resume state of its run was last written; None where there is none."""


def loss_of(signs: Signs, *, every_s: float, missed_max: int = 2) -> str:
    """Why the worker counts as gone; empty while it does not."""
    due_s = missed_max * every_s
    if (not signs.has_spoken or signs.is_between_stages) and signs.silent_s <= max(STARTING_S, due_s):
        return ""
    has_moved = signs.moved_s is not None and signs.moved_s <= min(due_s, signs.silent_s)
    beat = HeartbeatEvidence(age_s=signs.silent_s, every_s=every_s, missed_max=missed_max, steps_since=int(has_moved))
    found = classify(Evidence(heartbeat=beat))
    if found.fault is not FaultClass.MISSED_HEARTBEATS:
        return ""
    assert POLICY[found.fault].action is Action.SUBSTITUTE
    return found.reason


@dataclass
class Listener:
    """Notes when something new was heard of a worker."""

    heard_at: float
    """Monotonic seconds."""
    timestamp: float | None = None
    """Of the last heartbeat, in its sender's time."""

    def hear(self, timestamp: float | None, *, now: float) -> float:
        """Take notice of the newest heartbeat; returns the seconds of silence. `now` is monotonic."""
        if timestamp is not None and timestamp != self.timestamp:
            self.timestamp, self.heard_at = timestamp, now
        return now - self.heard_at
