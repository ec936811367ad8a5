"""What follows from a class of fault: a table, and one pure function that fills in the numbers inside its bounds.

    row = POLICY[fault]                           action, bounds and whom to tell, as data
    treatment = treat(classified, situation)      the action for this training, with new values by key

A treatment only ever narrows the table: where its bounds leave nothing to change, it halts and asks a person. Does not
touch anything: `interlock.runs.healing` applies treatments and records them.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from interlock.contracts.lane import Range
from interlock.contracts.recovery import Action, Classified, FaultClass, Situation, Treatment
from interlock.recovery.curves import is_restless

LR, BATCH, MICRO, CLIP = (
    "lane.optimizer.lr",
    "lane.trainer.batch_size",
    "lane.trainer.micro_batch",
    "lane.trainer.gradient_clip",
)
DEVICE = "hardware.kind"

_DIRECTOR, _ARCHITECT, _PERSON = "dir_models", "architect", "person"
Changes = dict[str, int | float | str | None]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One class of fault."""

    action: Action
    changes: tuple[str, ...] = ()
    """Configuration keys that a restart may change, and no others."""
    bounds: str
    """What limits it, in words."""
    tells: tuple[str, ...] = (_DIRECTOR,)
    """Who is told."""

    @property
    def is_new_run(self) -> bool:
        """Whether the bits may change."""
        return self.action is Action.RESTART


POLICY: Mapping[FaultClass, Row] = MappingProxyType(
    {
        FaultClass.MISSED_HEARTBEATS: Row(
            action=Action.SUBSTITUTE, bounds="the same run, from its last state", tells=(_DIRECTOR, _ARCHITECT)
        ),
        FaultClass.STALLED: Row(
            action=Action.RESTART, changes=(LR, BATCH, MICRO), bounds="lane.search_space; from the last checkpoint"
        ),
        FaultClass.OUT_OF_MEMORY: Row(
            action=Action.RESTART,
            changes=(MICRO, DEVICE),
            bounds="micro-batch down to recovery.micro_batch_min, effective batch unchanged; on MPS, then CPU",
        ),
        FaultClass.NOT_FINITE: Row(
            action=Action.RESTART,
            changes=(LR, CLIP),
            bounds="lr times recovery.not_finite_lr_factor, inside the search space; from the last finite checkpoint",
        ),
        FaultClass.GATE_FAILED: Row(
            action=Action.PROPOSE,
            bounds="recovery.gate_failures_max verdicts, then a person, unless one approved more",
            tells=(_DIRECTOR, _ARCHITECT),
        ),
        FaultClass.DISK_FULL: Row(
            action=Action.RESUME, bounds="only when deleting old checkpoints gave space; else ask for quota"
        ),
        FaultClass.QUOTA_EXCEEDED: Row(action=Action.QUEUE, bounds="until granted"),
        FaultClass.REPEATED_FAILURE: Row(
            action=Action.REPORT, bounds="recovery.failures_max", tells=(_DIRECTOR, _ARCHITECT, _PERSON)
        ),
        FaultClass.OVER_BUDGET: Row(
            action=Action.HALT,
            bounds="budget.compute_hours_max over all attempts; recovery.estimate_factor times the estimate",
            tells=(_DIRECTOR, _ARCHITECT, _PERSON),
        ),
        FaultClass.OVERFITTING: Row(
            action=Action.NOTE, bounds="its best weights are kept; a whole window of such epochs ends the training"
        ),
        FaultClass.CORRUPT_CHECKPOINT: Row(
            action=Action.START_OVER, bounds="the state before it, else the same run from its beginning"
        ),
        FaultClass.KILLED: Row(action=Action.RESUME, bounds="the same run, from its last state"),
        FaultClass.UNKNOWN: Row(action=Action.HALT, bounds="never healed", tells=(_DIRECTOR, _PERSON)),
    }
)
"""Every class has one row."""


def treat(classified: Classified, situation: Situation) -> Treatment:
    """What to do about a fault. Restarts change keys of their row alone, and stay inside the declared bounds."""
    row = POLICY[classified.fault]
    if not (situation.automatic and situation.settings.heal) and row.action not in _ALWAYS:
        return _stop(row, "nothing is healed by itself here (recovery.heal)")
    special = _SPECIAL.get(classified.fault)
    if special is not None:
        return special(row, situation)
    return Treatment(action=row.action, tells=row.tells, reason=row.bounds)


_ALWAYS = frozenset({Action.NOTE, Action.PROPOSE, Action.HALT, Action.REPORT, Action.QUEUE})
"""Actions that heal nothing."""


def _stop(row: Row, why: str) -> Treatment:
    return Treatment(action=Action.HALT, tells=tuple(dict.fromkeys((*row.tells, _PERSON))), reason=why)


def _restart(row: Row, changes: Changes, why: str, *, from_checkpoint: bool = False) -> Treatment:
    return Treatment(
        action=Action.RESTART, changes=changes, tells=row.tells, reason=why, from_checkpoint=from_checkpoint
    )


def _out_of_memory(row: Row, situation: Situation) -> Treatment:
    """Halve; on Metal only once, because its memory is the machine's and the processor may page."""
    if situation.hardware == "mps" and situation.before.get(FaultClass.OUT_OF_MEMORY):
        return _restart(row, {DEVICE: "cpu"}, "a halved micro-batch was not enough on mps: on the cpu instead")
    if MICRO not in situation.values:
        return _stop(row, "this lane has no micro-batch to halve, and a smaller batch would be another training")
    whole = situation.values.get(BATCH)
    micro = situation.values[MICRO] or whole or 0
    half = int(micro) // 2
    if half < situation.settings.micro_batch_min:
        return _stop(row, f"the micro-batch is {micro:g} already, recovery.micro_batch_min leaves nothing to halve")
    return _restart(row, {MICRO: half}, f"micro-batch {micro:g} -> {half}, accumulated to the same batch")


def _not_finite(row: Row, situation: Situation) -> Treatment:
    settings, rate = situation.settings, situation.values.get(LR)
    if not rate:
        return _stop(row, "this lane has no learning rate to lower")
    changes: Changes = {}
    lowered = _inside(rate * settings.not_finite_lr_factor, situation.search_space.get(LR))
    if lowered < rate:
        changes[LR] = lowered
    clip = situation.values.get(CLIP)
    if CLIP in situation.values and (clip is None or clip > settings.gradient_clip):
        changes[CLIP] = settings.gradient_clip
    if not changes:
        return _stop(row, f"lr {rate:g} stands at the low end of lane.search_space, and gradients are clipped already")
    said = ", ".join(f"{key.rpartition('.')[2]} {value:g}" for key, value in changes.items() if value is not None)
    return _restart(row, changes, f"{said}; from the last finite checkpoint", from_checkpoint=True)


def _stalled(row: Row, situation: Situation) -> Treatment:
    """The rate first, then a smaller batch, by turns: what did not help is not tried twice in a row."""
    ways = [_other_rate(situation), _smaller_batch(situation)]
    if situation.before.get(FaultClass.STALLED, 0) % 2:
        ways.reverse()
    for changes, why in ways:
        if changes:
            return _restart(row, changes, why, from_checkpoint=True)
    return _stop(row, "lane.search_space leaves neither the learning rate nor the batch size room to move")


def _other_rate(situation: Situation) -> tuple[Changes, str]:
    """Up where the loss stands still, down where it jumps about."""
    rate, bounds = situation.values.get(LR), situation.search_space.get(LR)
    if not rate or bounds is None:
        return {}, ""
    is_down = is_restless(situation.losses)
    factor = 1 / situation.settings.stalled_lr_factor if is_down else situation.settings.stalled_lr_factor
    moved = _inside(rate * factor, bounds)
    if not (moved < rate if is_down else moved > rate):
        return {}, ""
    return {LR: moved}, f"the loss is {'restless' if is_down else 'flat'}: lr {rate:g} -> {moved:g}"


def _smaller_batch(situation: Situation) -> tuple[Changes, str]:
    """A micro-batch that would no longer fit shrinks with it."""
    batch, bounds = situation.values.get(BATCH), situation.search_space.get(BATCH)
    if not batch or bounds is None:
        return {}, ""
    smaller = max(int(batch) // situation.settings.stalled_batch_factor, math.ceil(bounds.low))
    if not bounds.low <= smaller <= bounds.high or smaller >= batch:
        return {}, ""
    micro = situation.values.get(MICRO)
    changes: Changes = {BATCH: smaller}
    if micro and micro > smaller:
        changes[MICRO] = smaller
    return changes, f"batch {batch:g} -> {smaller}"


def _disk_full(row: Row, situation: Situation) -> Treatment:
    if situation.freed_bytes:
        why = f"{situation.freed_bytes / 2**20:,.1f} MiB of old checkpoints were deleted; the run resumes"
        return Treatment(action=Action.RESUME, tells=row.tells, reason=why)
    return _stop(row, "no old checkpoint may be deleted: free space, or ask for a larger disk quota")


def _corrupt_checkpoint(row: Row, situation: Situation) -> Treatment:
    if not situation.ended:
        why = "it was set aside, and the state before it, or the beginning, was used instead"
        return Treatment(action=Action.NOTE, tells=row.tells, reason=why)
    return Treatment(action=row.action, tells=row.tells, reason="its states are of no use: from the beginning")


def _gate_failed(row: Row, situation: Situation) -> Treatment:
    failures = situation.before.get(FaultClass.GATE_FAILED, 0) + 1
    if failures >= situation.settings.gate_failures_max and not situation.approved:
        return _stop(row, f"{failures} verdicts of this lineage failed: a person has to look at it")
    return Treatment(action=row.action, tells=row.tells, reason="report it, and propose other settings")


def _inside(value: float, bounds: Range | None) -> float:
    """Cut at the declared bounds, with six significant digits so that it reads well in a file."""
    rounded = float(f"{value:.6g}")
    return rounded if bounds is None else min(max(rounded, bounds.low), bounds.high)


_SPECIAL: Mapping[FaultClass, Callable[[Row, Situation], Treatment]] = MappingProxyType(
    {
        FaultClass.OUT_OF_MEMORY: _out_of_memory,
        FaultClass.NOT_FINITE: _not_finite,
        FaultClass.STALLED: _stalled,
        FaultClass.DISK_FULL: _disk_full,
        FaultClass.CORRUPT_CHECKPOINT: _corrupt_checkpoint,
        FaultClass.GATE_FAILED: _gate_failed,
    }
)
