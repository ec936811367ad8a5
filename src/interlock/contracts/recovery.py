"""Recovery: what can go wrong with a training, the evidence for it, what is done about it, and the record of both.

`RecoverySettings` is `recovery.*` of a composed configuration: read by train, tracked by no stage, because it decides
how a healed run is made and never what a given run is. Everything else is written down by Interlock itself.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from interlock.contracts.base import Contract
from interlock.contracts.lane import Range
from interlock.contracts.measurement import Sha256

Bytes = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0.0)]
Hours = Annotated[float, Field(ge=0.0)]
Count = Annotated[int, Field(ge=0)]


class FaultClass(StrEnum):
    """Every kind of fault that is told apart."""

    MISSED_HEARTBEATS = "missed_heartbeats"
    STALLED = "stalled"
    OUT_OF_MEMORY = "out_of_memory"
    NOT_FINITE = "not_finite"
    GATE_FAILED = "gate_failed"
    DISK_FULL = "disk_full"
    QUOTA_EXCEEDED = "quota_exceeded"
    REPEATED_FAILURE = "repeated_failure"
    """One failure too many of one lineage, whatever the last one was."""
    OVER_BUDGET = "over_budget"
    OVERFITTING = "overfitting"
    CORRUPT_CHECKPOINT = "corrupt_checkpoint"
    KILLED = "killed"
    """The process vanished, and nothing says that memory was why."""
    UNKNOWN = "unknown"
    """The evidence fits nothing else; never healed."""


class Action(StrEnum):
    """What is done about a fault."""

    RESTART = "restart"
    """Train again with changed settings, as a new run with lineage."""
    RESUME = "resume"
    """Go on with the same run from its last state; the bits stay the same."""
    START_OVER = "start_over"
    """Train the same run again from its beginning; the bits stay the same."""
    QUEUE = "queue"
    """Wait until the resource is granted."""
    SUBSTITUTE = "substitute"
    """Let another process take the work over, from the last state."""
    NOTE = "note"
    """Nothing is left to do but to say so."""
    PROPOSE = "propose"
    """Report, and propose other settings; nobody trains by itself."""
    HALT = "halt"
    """Stop, keep every state, ask a person."""
    REPORT = "report"
    """Stop and report the failure; no automatic retry."""


STOPPING = frozenset({Action.PROPOSE, Action.HALT, Action.REPORT})
"""Actions after which nothing goes on by itself."""


class RecoverySettings(Contract):
    """`recovery.*`: the bounds inside which faults are healed."""

    heal: bool = True
    """False: every fault is classified, recorded and reported, and none is healed."""
    failures_max: Annotated[int, Field(ge=1, le=100)] = 3
    """From this many failures of one lineage on, training is not tried again by itself."""
    gate_failures_max: Annotated[int, Field(ge=1, le=100)] = 2
    """From this many failed verdicts of one lineage on, a person looks at it, unless one approved more beforehand."""
    heartbeats_missed: Annotated[int, Field(ge=1, le=100)] = 2
    """Heartbeats in a row after which a silent process counts as gone."""
    micro_batch_min: Annotated[int, Field(ge=1)] = 1
    """Examples of one forward pass under which memory is not saved any more."""
    not_finite_lr_factor: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.1
    """The learning rate is multiplied by this after a loss or gradient that is not finite."""
    gradient_clip: Annotated[float, Field(gt=0.0)] = 1.0
    """Largest L2 norm of the gradient after that; a smaller one that is set stays."""
    stalled_lr_factor: Annotated[float, Field(gt=1.0, le=100.0)] = 3.0
    """A flat loss raises the learning rate by this factor, a restless one lowers it, inside `lane.search_space`."""
    stalled_batch_factor: Annotated[int, Field(ge=2, le=16)] = 2
    """Where the rate cannot move, the batch size is divided by this, inside `lane.search_space`."""
    estimate_factor: Annotated[float, Field(gt=1.0)] = 2.0
    """A training that takes this many times its estimate halts."""
    estimate_floor_s: Annotated[float, Field(ge=0.0)] = 600.0
    """Trainings shorter than this are never halted for taking longer than estimated: seconds are not worth a person."""
    keep_states_days: Annotated[float, Field(ge=0.0)] = 7.0
    """On a full disk, resume states of other runs that nobody touched for this long are deleted."""


class MemoryEvidence(Contract):
    """What is known of memory. Limits and counters are those of the control group, else of the machine."""

    limit_bytes: Bytes | None = None
    """What the process and its children may hold together."""
    peak_bytes: Bytes | None = None
    """Most that they were seen to hold."""
    oom_kills_before: Count | None = None
    """The kernel's counter of processes killed for memory when the attempt was last seen alive."""
    oom_kills_after: Count | None = None
    """The same counter now."""


class DiskEvidence(Contract):
    """`statvfs` of the folder that training writes to."""

    free_bytes: Bytes
    """Free for this user."""
    total_bytes: Bytes
    """Size of the file system."""
    needed_bytes: Bytes | None = None
    """What the training asked for; None when it did not say."""


class HeartbeatEvidence(Contract):
    """The last sign of life of a worker."""

    age_s: Seconds
    """Since the last heartbeat."""
    every_s: Annotated[float, Field(gt=0.0)]
    """How often one is due."""
    missed_max: Annotated[int, Field(ge=1)] = 2
    """How many may be missed in a row before it counts."""
    steps_since: Count = 0
    """Optimiser steps seen since that heartbeat: a worker that goes on has not gone."""


class CurveEvidence(Contract):
    """Losses of every epoch, oldest first, and the rule they are read by."""

    training: tuple[float, ...] = ()
    """Mean training loss."""
    validation: tuple[float, ...] = ()
    """Validation loss; as long as `training`."""
    window_epochs: Annotated[int, Field(ge=1)] = 10
    """Epochs looked at."""
    tolerance: Annotated[float, Field(gt=0.0)] = 0.01
    """Change that is none, as a share of the first epoch's loss."""


class SpendEvidence(Contract):
    """Time that the lineage has cost since it last succeeded, over all of its attempts."""

    hours: Hours
    """Wall hours spent."""
    hours_max: Hours | None = None
    """Ceiling, `budget.compute_hours_max`."""
    attempt_hours: Hours = 0.0
    """Of this attempt alone."""
    estimate_hours: Hours | None = None
    """What this attempt should take: steps left by measured rate, or an earlier run; None while unknown."""
    estimate_factor: Annotated[float, Field(gt=1.0)] = 2.0
    """How many times the estimate is too much."""


class Evidence(Contract):
    """Everything a fault is classified by. What is not known is left out; nothing here is guessed."""

    error_types: tuple[str, ...] = ()
    """Names of the exception's class and its bases, and of its causes; empty when nothing was raised."""
    error_text: str = ""
    """The exception in words, without secrets."""
    errno: int | None = None
    """The operating system's number, of an `OSError` among the causes."""
    exit_signal: int | None = None
    """Signal that ended the process; 9 for a process that vanished without a word."""
    memory: MemoryEvidence | None = None
    disk: DiskEvidence | None = None
    heartbeat: HeartbeatEvidence | None = None
    curves: CurveEvidence | None = None
    spend: SpendEvidence | None = None
    refused_resource: str = ""
    """Resource that the resource manager has none of left: `cpu`, `cuda`, `mps`, `disk_gb`."""
    damaged_files: tuple[str, ...] = ()
    """Checkpoints whose bytes differ from their digest."""
    verdict: str = ""
    """Verdict of the run, where it was judged."""
    failures_before: Count = 0
    """Failures of this lineage since its last success."""
    failures_max: Annotated[int, Field(ge=1)] = 3
    """From this many on (the present one included) the lineage is given up."""


class Classified(Contract):
    """What the evidence says."""

    fault: FaultClass
    """The class; `repeated_failure` when the lineage has failed too often."""
    cause: FaultClass
    """The class of the last failure itself."""
    reason: str
    """One sentence with the numbers in it."""


class WarmStart(Contract):
    """Weights that a restarted training begins with."""

    sha256: Sha256
    """Digest of the file; part of the new run's identity."""
    run_id: str
    """Run whose checkpoint it is."""
    file: str
    """Name of the checkpoint in that run's state."""


class Situation(Contract):
    """What the policy may know of a training besides the fault."""

    values: dict[str, int | float | None]
    """Numbers of the training's present configuration by dotted key; None for one that is switched off."""
    hardware: str
    """Device class."""
    search_space: dict[str, Range] = {}
    """Bounds that the lane declares."""
    settings: RecoverySettings = RecoverySettings()
    before: dict[FaultClass, Count] = {}
    """Faults of this lineage by cause since its last success, the present one left out."""
    losses: tuple[float, ...] = ()
    """Training loss of every epoch."""
    freed_bytes: Bytes = 0
    """What the policy's clean-up of the disk gave back."""
    approved: bool = False
    """Whether a person approved more attempts beforehand."""
    ended: bool = True
    """Whether the fault ended the training; False where it was worked around on the way."""
    automatic: bool = True
    """False where nothing may be healed by itself, as in a reproduction."""


class Treatment(Contract):
    """What is done about one fault, and what it changes."""

    action: Action
    changes: dict[str, int | float | str | None] = {}
    """New values by dotted configuration key; only with `restart`."""
    from_checkpoint: bool = False
    """A restart begins with the weights of the last finite checkpoint, where there is one."""
    tells: tuple[str, ...] = ()
    """Who is told: agents by id, or `person`."""
    reason: str
    """Why this and nothing else, in one sentence."""

    @property
    def is_new_run(self) -> bool:
        """Whether the bits may change."""
        return self.action is Action.RESTART


class RecoveryEvent(Contract):
    """One line of a lineage's log, `<home>/state/recovery/<root run id>.jsonl`."""

    kind: Literal["fault", "completed", "judged", "derived"]
    """`completed`: a training ended well, which resets what was counted. `judged`: its verdict. `derived`: another run
    was made of this one by a decision, so that its failures count here."""
    at: str
    """UTC, ISO 8601."""
    run_id: str
    """The run it is about."""
    lane: str = ""
    """Name of the lane, as it was called then."""
    attempt: str | None = None
    """The execution; None where none was under way."""
    classified: Classified | None = None
    """Of a fault."""
    evidence: Evidence | None = None
    """Of a fault."""
    treatment: Treatment | None = None
    """Of a fault."""
    before: dict[str, int | float | str | None] = {}
    """Values that the treatment's changes replaced."""
    warm_start: WarmStart | None = None
    """Weights that the next training begins with; only of a restart."""
    next_run: str | None = None
    """The run that goes on; the same one unless the bits may change."""
    lost_hours: Hours | None = None
    """Hours of an attempt that could not say so itself because it was killed."""
    judgement_id: str = ""
    """Of a verdict."""
    verdict: str = ""
    """Of a verdict."""


class RecoveryReport(Contract):
    """`recovery.json` in the train folder: everything that happened on the way to this run's weights."""

    root_run: str
    """The run that was asked for; strikes count under it."""
    run_id: str
    """The run that came of it."""
    parent_run: str | None = None
    """The run before it, when the bits may differ from what was asked for."""
    asked_params_sha256: Sha256
    """Digest of the composed configuration."""
    params_sha256: Sha256
    """Digest of the configuration that training used."""
    changes: dict[str, tuple[JsonValue, JsonValue]] = {}
    """What differs, by dotted key: asked for, used."""
    warm_start: WarmStart | None = None
    """Weights that training began with."""
    failures: Count = 0
    """Failures before this success."""
    events: tuple[RecoveryEvent, ...] = ()
    """Everything since the lineage's last success, oldest first."""
    says: tuple[str, ...] = ()
    """The same in sentences, for cards and reports."""
