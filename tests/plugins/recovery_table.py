"""The recovery table with an injection, or several, for every row, and how each has to end."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import fault_injections as inject
from fault_injections import Injected

from interlock.contracts.recovery import Action, FaultClass

A, F = Action, FaultClass


@dataclass(frozen=True)
class Wanted:
    """One injection, and what the table says of it."""

    inject: Callable[[Path], Injected]
    row: str
    """Row of the table."""
    fault: FaultClass
    action: Action
    end: str

    @property
    def new_run(self) -> bool:
        """Whether another run than the one that was asked for has to come of it."""
        return self.action is A.RESTART

    def problems(self, found: Injected) -> list[str]:
        """Where it went another way; empty when it ended as it has to."""
        wanted = {"fault": self.fault, "action": self.action, "end": self.end, "new_run": self.new_run}
        wrong = [
            f"{name}: {getattr(found, name)}, not {value}"
            for name, value in wanted.items()
            if getattr(found, name) != value
        ]
        return [*wrong, *(f"silent: {change}" for change in found.silent)]


BUDGET = "over compute_hours_max, or 2x the estimate"
HEARTBEATS, MEMORY, FAILURES = "manager misses 2 heartbeats", "out of memory", "training fails 3 times"
BESIDE = "(beside the table)"

INJECTIONS: dict[str, Wanted] = {
    "missed heartbeats": Wanted(inject.missed_heartbeats, HEARTBEATS, F.MISSED_HEARTBEATS, A.SUBSTITUTE, "substituted"),
    "stalled, rate too low": Wanted(inject.stalled_rate, "stalled", F.STALLED, A.RESTART, "healed"),
    "stalled, batch too large": Wanted(inject.stalled_batch, "stalled", F.STALLED, A.RESTART, "healed"),
    "stalled, no bounds declared": Wanted(inject.stalled_without_bounds, "stalled", F.STALLED, A.HALT, "stopped"),
    "out of memory, refused": Wanted(inject.out_of_memory, MEMORY, F.OUT_OF_MEMORY, A.RESTART, "healed"),
    "out of memory, killed": Wanted(inject.killed_for_memory, MEMORY, F.OUT_OF_MEMORY, A.RESTART, "healed"),
    "kill -9": Wanted(inject.killed, MEMORY, F.KILLED, A.RESUME, "healed"),
    "NaN in the loss": Wanted(inject.nan_in_loss, "NaN/Inf", F.NOT_FINITE, A.RESTART, "healed"),
    "NaN in the gradient": Wanted(inject.nan_in_gradient, "NaN/Inf", F.NOT_FINITE, A.RESTART, "healed"),
    "gates fail twice": Wanted(inject.gate_failed, "gate fails", F.GATE_FAILED, A.HALT, "stopped"),
    "disk full of old states": Wanted(inject.disk_full, "disk full", F.DISK_FULL, A.RESUME, "healed"),
    "disk full, nothing old": Wanted(inject.disk_full_of_nothing_old, "disk full", F.DISK_FULL, A.HALT, "stopped"),
    "file size limit": Wanted(inject.file_limit, "disk full", F.DISK_FULL, A.HALT, "stopped"),
    "corrupt checkpoint": Wanted(inject.corrupt_checkpoint, BESIDE, F.CORRUPT_CHECKPOINT, A.NOTE, "healed"),
    "kept weights damaged": Wanted(inject.damaged_weights, BESIDE, F.CORRUPT_CHECKPOINT, A.START_OVER, "healed"),
    "quota exhausted": Wanted(inject.quota_exceeded, "GPU quota exceeded", F.QUOTA_EXCEEDED, A.QUEUE, "queued"),
    "three failures": Wanted(inject.three_failures, FAILURES, F.REPEATED_FAILURE, A.REPORT, "stopped"),
    "over the ceiling": Wanted(inject.over_ceiling, BUDGET, F.OVER_BUDGET, A.HALT, "stopped"),
    "over the estimate": Wanted(inject.over_estimate, BUDGET, F.OVER_BUDGET, A.HALT, "stopped"),
    "overfitting": Wanted(inject.overfitting, "overfitting", F.OVERFITTING, A.NOTE, "healed"),
    "unknown error": Wanted(inject.unknown, BESIDE, F.UNKNOWN, A.HALT, "stopped"),
}
ROWS = (
    HEARTBEATS, "stalled", MEMORY, "NaN/Inf", "gate fails", "disk full", "GPU quota exceeded", FAILURES, BUDGET,
    "overfitting",
)  # fmt: skip
"""Rows of the table, in its order."""
