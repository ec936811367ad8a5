"""Train, and heal what fails inside its bounds; what the train stage calls, by name.

    asked for ---> train ---> ok ---> record (says everything that was healed on the way)
                     |
                   fault ---> evidence ---> class ---> treatment ---> log of the lineage
                     ^                                    |
                     +---- restart / resume / start over -+---> halt, report: the error goes on to whoever started it

Everything that can change the bits is another run: its id follows from the configuration that it really used and from
the digest of the weights that it began with. The log is written before anything goes on, so that a process killed at
any point is found in the same place. Which fault it is and what may be done is decided in `interlock.recovery`.
"""

import gc
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter

from interlock.contracts.attempt import AttemptStart
from interlock.contracts.lane import Range
from interlock.contracts.recovery import (
    STOPPING,
    Action,
    Classified,
    Evidence,
    FaultClass,
    RecoveryEvent,
    RecoveryReport,
    RecoverySettings,
    Situation,
    Treatment,
    WarmStart,
)
from interlock.contracts.stage import StageRecord
from interlock.errors import (
    BusyError,
    ConfigError,
    DataError,
    PrunedError,
    QuotaError,
    RegistryError,
    UnpassedInputError,
    UsageError,
)
from interlock.lanes.spec import StageOutcome
from interlock.provenance import attempts
from interlock.provenance.canonical import canonical_json
from interlock.provenance.dotted import lookup
from interlock.provenance.files import write_json
from interlock.provenance.workspace import interlock_home
from interlock.recovery import strikes
from interlock.recovery.classify import classify, ended_training
from interlock.recovery.policy import treat
from interlock.runs.approved import require_approvals
from interlock.runs.healing import evidence as gather
from interlock.runs.healing import weights
from interlock.runs.healing.lineage import lineage_of, now
from interlock.runs.healing.queue import granted
from interlock.runs.healing.room import make_room
from interlock.runs.healing.telling import report, sentence
from interlock.runs.healing.vitals import left_by, vitals
from interlock.runs.healing.watch import Watch, over_ceiling
from interlock.stages.frame import Frame, run_frame
from interlock.stages.healed import RECOVERY
from interlock.stages.place import OBSERVATIONS, read_composed
from interlock.stages.train import adjusted, trained

_NOT_OURS = (
    BusyError,
    ConfigError,
    DataError,
    PrunedError,
    QuotaError,
    RegistryError,
    UnpassedInputError,
    UsageError,
)
"""Errors that say nothing about the training: another process, a mistake of the configuration, a sweep's choice."""
_SPACE = TypeAdapter(dict[str, Range])


def train(frame: Frame) -> StageRecord:
    """Train what was asked for, or what healing makes of it; raises the error of a fault that may not be healed."""
    assert frame.run_id
    require_approvals(frame.place, run_id=frame.run_id, home=interlock_home(frame.place.workspace))
    return _Episode(frame).train()


class _Episode:
    """One call of the train stage: the training that was asked for, and those that healing makes of it."""

    def __init__(self, frame: Frame) -> None:
        self._asked = adjusted(frame, {}, None)
        assert self._asked.run_id
        self._home = interlock_home(frame.place.workspace)
        self._lineage = lineage_of(self._home, self._asked.run_id)
        self._config = read_composed(frame.place.params)
        self._settings, self._automatic = _settings(self._config)
        self._watch: Watch | None = None

    def train(self) -> StageRecord:
        """Go on until a training ends well or a fault may not be healed."""
        place = self._asked.place
        with attempts.run_lock(self._home, f"lineage-{self._lineage.root_run}", wait_s=place.wait_s):
            while True:
                frame = self._next()
                if self._found_killed(frame):
                    continue
                record, error = self._try(frame)
                if record is not None:
                    return record
                assert error is not None
                if self._fault(frame, self._evidence_of(error, frame)).action in STOPPING:
                    raise error
                error = None
                _free_memory()

    def _next(self) -> Frame:
        """The training that the log says comes next."""
        events = self._lineage.events()
        changes, warm_start = strikes.in_force(events, str(self._asked.run_id))
        return adjusted(self._asked, changes, weights.kept(self._home, warm_start))

    def _try(self, frame: Frame) -> tuple[StageRecord | None, Exception | None]:
        """Train once; errors that are no fault of the training are raised."""
        watch = self._watched(frame)
        try:
            if watch.spent_hours >= watch.hours_max:
                raise over_ceiling(watch.spent_hours, watch.hours_max)
            with self._granted(frame), vitals(self._home, str(frame.run_id)):
                record = run_frame(self._under(watch, frame), self._work)
        except _NOT_OURS:
            raise
        except Exception as error:  # whatever it is, it is written down
            return None, error
        self._succeeded(frame)
        return record, None

    def _granted(self, frame: Frame) -> AbstractContextManager[None]:
        """Queue for the device, where quotas are set; having had to wait is written down."""

        def refused(resource: str) -> None:
            self._fault(frame, Evidence(refused_resource=resource))

        config = {**self._config, "hardware": frame.params["hardware"]}
        return granted(self._home, config, run_id=str(frame.run_id), refused=refused)

    def _under(self, watch: Watch, frame: Frame) -> Frame:
        ceilings = {**frame.ceilings, "compute_hours_max": watch.hours_max - watch.spent_hours}
        return replace(frame, progress=watch, halt=watch.halt, ceilings=ceilings)

    def _watched(self, frame: Frame) -> Watch:
        spent, earlier_s = self._spent()
        self._watch = Watch(
            inner=frame.progress,
            settings=self._settings,
            spent_hours=spent,
            hours_max=float(frame.ceilings.get("compute_hours_max", float("inf"))),
            estimate_s=earlier_s,
        )
        return self._watch

    def _spent(self) -> tuple[float, float | None]:
        """Hours of all attempts since one of the lineage ended well, and how long everything up to that one took."""
        events = self._lineage.events()
        lost = {event.attempt: event.lost_hours or 0.0 for event in events if event.attempt}
        runs = strikes.runs_of(events) | {str(self._asked.run_id)}
        hours, earlier_s = 0.0, None
        for files in attempts.list_attempts(self._home, stage="train", skip_damaged=True):
            if files.start.run_id not in runs:
                continue
            duration_s = files.end.duration_s if files.end else None
            if files.end and files.end.exit == "completed":
                hours, earlier_s = 0.0, hours * 3600 + (duration_s or 0.0)
            else:
                hours += duration_s / 3600 if duration_s is not None else lost.get(files.start.attempt, 0.0)
        return hours, earlier_s

    def _work(self, frame: Frame) -> StageOutcome:
        """The lane's training, and `recovery.json` beside its files when there is anything to tell."""
        outcome = trained(frame)
        for found in (gather.of_damaged(self._new_damage(frame)), gather.of_outcome(frame, outcome)):
            if classify(found).cause in (FaultClass.CORRUPT_CHECKPOINT, FaultClass.OVERFITTING):
                self._fault(frame, found)
        events = self._lineage.events()
        _, warm_start = strikes.in_force(events, str(self._asked.run_id))
        told = report(events, frame, asked=self._asked, root_run=self._lineage.root_run, warm_start=warm_start)
        return outcome if told is None else _with_report(frame, outcome, told)

    def _new_damage(self, frame: Frame) -> tuple[str, ...]:
        events = self._lineage.events()
        return tuple(name for name in gather.damaged_states(frame.state) if not strikes.has_damaged(events, name))

    def _found_killed(self, frame: Frame) -> bool:
        """Write down attempts of this run whose process vanished; True when that changes what comes next."""
        place = frame.place
        if not self._lineage.exists and not frame.state.is_dir():
            return False
        attempts.close_vanished(self._home, lane=place.lane, stage="train", found_by="recovery")
        known = {event.attempt for event in self._lineage.events()}
        killed: list[AttemptStart] = []
        for files in attempts.list_attempts(self._home, stage="train", run_id=frame.run_id, skip_damaged=True):
            if files.end and files.end.exit == "completed":
                killed.clear()
            elif files.end and files.end.exit == "killed" and files.start.attempt not in known:
                killed.append(files.start)
        return any(self._killed(frame, start).action is Action.RESTART for start in killed)

    def _killed(self, frame: Frame, start: AttemptStart) -> Treatment:
        memory, hours = left_by(self._home, str(frame.run_id), pid=start.pid, started_s=start.process_started_s)
        return self._fault(frame, gather.of_kill(memory), attempt=start.attempt, lost_hours=hours)

    def _evidence_of(self, error: Exception, frame: Frame) -> Evidence:
        assert self._watch is not None
        watch = self._watch
        curves = gather.curves_of(frame, tuple(watch.training), tuple(watch.validation)) if watch.training else None
        return gather.of_error(error, frame, curves=curves, spend=watch.spend())

    def _fault(
        self, frame: Frame, found: Evidence, *, attempt: str | None = None, lost_hours: float | None = None
    ) -> Treatment:
        """Classify, treat, write down, say so; returns what is to be done."""
        events = self._lineage.events()
        found = found.model_copy(
            update={
                "failures_before": strikes.training_failures(events),
                "failures_max": self._settings.failures_max,
            }
        )
        classified = classify(found)
        treatment = treat(classified, self._situation(frame, classified, found, events))
        warm_start = (
            weights.keep_last_finite(self._home, frame.state, str(frame.run_id)) if treatment.from_checkpoint else None
        )
        event = RecoveryEvent(
            kind="fault",
            at=now(),
            run_id=str(frame.run_id),
            lane=frame.place.lane,
            attempt=attempt or self._last_attempt(frame),
            classified=classified,
            evidence=found,
            treatment=treatment,
            before={key: lookup(frame.params, key) for key in treatment.changes},
            warm_start=warm_start,
            next_run=self._next_run(frame, treatment, warm_start),
            lost_hours=lost_hours,
        )
        self._lineage.append(event)
        self._act(frame, treatment)
        told = f"; told: {', '.join(treatment.tells)}" if treatment.action in STOPPING else ""
        frame.progress.message(f"fault: {sentence(event)}{told}")
        return treatment

    def _next_run(self, frame: Frame, treatment: Treatment, warm_start: WarmStart | None) -> str | None:
        """The id of the run that goes on."""
        if treatment.action in STOPPING:
            return None
        if not treatment.is_new_run:
            return frame.run_id
        start = weights.kept(self._home, warm_start) or frame.warm_start
        return adjusted(frame, treatment.changes, start).run_id

    def _act(self, frame: Frame, treatment: Treatment) -> None:
        """What a treatment does besides going on: a run that begins anew has no use for its damaged state."""
        if treatment.action is Action.START_OVER and frame.state.is_dir():
            shutil.rmtree(frame.state)

    def _situation(
        self, frame: Frame, classified: Classified, found: Evidence, events: Sequence[RecoveryEvent]
    ) -> Situation:
        heals = self._automatic and self._settings.heal
        freed = self._room(frame, events) if classified.fault is FaultClass.DISK_FULL and heals else 0
        return Situation(
            values=_numbers({"lane": frame.params["lane"]}),
            hardware=str(lookup(frame.params, "hardware.kind")),
            search_space=_SPACE.validate_json(canonical_json(frame.lane.get("search_space") or {})),
            settings=self._settings,
            before=strikes.faults_by_cause(events),
            losses=found.curves.training if found.curves else (),
            freed_bytes=freed,
            ended=ended_training(found),
            automatic=self._automatic,
        )

    def _room(self, frame: Frame, events: Sequence[RecoveryEvent]) -> int:
        left_behind = strikes.runs_of(events) - {str(frame.run_id)}
        return make_room(
            self._home, str(frame.run_id), left_behind=left_behind, keep_days=self._settings.keep_states_days
        )

    def _last_attempt(self, frame: Frame) -> str | None:
        found = attempts.list_attempts(self._home, stage="train", run_id=frame.run_id, skip_damaged=True)
        return found[-1].start.attempt if found else None

    def _succeeded(self, frame: Frame) -> None:
        """A training that ended well resets what was counted."""
        if not self._lineage.exists:
            return
        healed = strikes.since_success(self._lineage.events())
        attempt = json.loads((frame.folder / OBSERVATIONS).read_text())["attempt"]
        self._lineage.append(
            RecoveryEvent(
                kind="completed", at=now(), run_id=str(frame.run_id), lane=frame.place.lane, attempt=str(attempt)
            )
        )
        weights.forget(self._home, (event.warm_start for event in healed))


def _settings(config: Mapping[str, Any]) -> tuple[RecoverySettings, bool]:
    """The configuration's bounds. Without any, as in a reproduction, nothing is healed by itself."""
    given = config.get("recovery")
    if given is None:
        return RecoverySettings(), False
    return RecoverySettings.model_validate_json(canonical_json(given)), True


def _with_report(frame: Frame, outcome: StageOutcome, told: RecoveryReport) -> StageOutcome:
    write_json(frame.folder / RECOVERY, told)
    volatile = {**outcome.volatile_facts, "recovery": list(told.says)}
    if told.parent_run:
        volatile["parent_run"] = told.parent_run
    return replace(outcome, volatile_files=(*outcome.volatile_files, RECOVERY), volatile_facts=volatile)


def _numbers(values: Mapping[str, Any], prefix: str = "") -> dict[str, int | float | None]:
    """Numbers and switched-off values by dotted key."""
    found: dict[str, int | float | None] = {}
    for name, value in values.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            found |= _numbers(value, f"{key}.")
        elif value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            found[key] = value
    return found


def _free_memory() -> None:
    """Give back what the failed training held, on an accelerator too, before the next one begins."""
    gc.collect()
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
