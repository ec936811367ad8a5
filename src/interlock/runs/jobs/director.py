"""The director: runs a job's managers one after another, watches their workers, replaces those that are gone.

    ended = run_job(job, workspace, wait=True, say=print)

One director works on a job; killed, it is followed by the next `submit`, which takes over a worker that still runs.
Everything it knows of the work it reads from stage records, attempts and heartbeats; what it did itself stands in the
job's journal. Each decision is made by a pure function elsewhere: `watching` (is a worker gone), `waiting` (what is
missing), `states` (what may follow).
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Any

from interlock.contracts.attempt import AttemptEnd
from interlock.contracts.stage import StageName
from interlock.errors import ProvenanceError
from interlock.provenance.attempts import AttemptFiles, close_vanished, list_attempts
from interlock.provenance.dotted import lookup
from interlock.provenance.environment import environment_digest
from interlock.provenance.files import write_atomic
from interlock.registry.control.door import ControlDoor, control_door
from interlock.registry.control.processes import this_process
from interlock.runs.beats import HEARTBEAT_S
from interlock.runs.jobs import workers
from interlock.runs.jobs.answer import lane_report, report_yaml
from interlock.runs.jobs.folder import REPORT, JobFolder
from interlock.runs.jobs.managers import managers_of
from interlock.runs.jobs.states import AGAIN, JobEvent, JobState
from interlock.runs.jobs.waiting import Wait, missing_approvals, missing_work, resources_of
from interlock.runs.jobs.watching import SUBSTITUTIONS_MAX, Listener, Signs, loss_of
from interlock.runs.runner import needed_folders
from interlock.runs.sync import sync_lane
from interlock.stages.current import why_not_current
from interlock.stages.place import Place, read_composed

POLL_S = 0.2
WAIT_POLL_S = 5.0
DIRECTORS: tuple[StageName, ...] = ("judge", "decide")
_ENDS = {"completed": JobEvent.COMPLETED, "escalated": JobEvent.ESCALATED, "failed": JobEvent.FAILED}
_FAILED_EXITS = ("failed", "halted", "timeout", "pruned")


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a call of the director ended."""

    state: JobState
    waits: tuple[Wait, ...] = ()
    """What the job waits for, when it waits."""
    problem: str = ""
    """Why work failed, when it failed before a verdict."""


def run_job(
    job: JobFolder, workspace: Path, *, wait: bool, say: Callable[[str], None], poll_s: float = POLL_S
) -> Ended:
    """Run the job to its end, or to where it has to wait; with `wait` that is waited for.

    `say` is told each thing that happens. Raises BusyError when another director is at work on it. KeyboardInterrupt
    ends the worker with a state that the next call resumes from.
    """
    with job.running():
        state = job.state()
        if state not in AGAIN:
            return Ended(state=state)
        with ExitStack() as stack:
            return _Director(job, workspace, wait=wait, say=say, poll_s=poll_s, stack=stack).run()


@dataclass
class _Director:
    job: JobFolder
    workspace: Path
    wait: bool
    say: Callable[[str], None]
    poll_s: float
    stack: ExitStack
    place: Place = field(init=False)
    config: dict[str, Any] = field(init=False)
    control: ControlDoor = field(init=False)

    def __post_init__(self) -> None:
        self.place = self.job.place(self.workspace)
        self.config = read_composed(self.place.params)
        self.control = self.stack.enter_context(control_door(self.job.home, self.config.get("control") or {}))
        self.every_s = float(lookup(self.config, "control.heartbeat_s") or HEARTBEAT_S)
        self.missed_max = int(lookup(self.config, "recovery.heartbeats_missed") or 2)
        self.hours_max = {} if self.place.needs else self.job.record().hours_max
        self._reservation: str | None = None
        self._renewed_s = 0.0

    def run(self) -> Ended:
        if (ended := self._until_nothing_misses(self._before_start)) is not None:
            return ended
        self._write(JobEvent.STARTED)
        for name, stages in self._groups():
            if "train" in stages and (ended := self._until_nothing_misses(self._before_training)) is not None:
                return ended
            if (ended := self._manage(name, stages)) is not None:
                return ended
        return self._answer()

    def _groups(self) -> list[tuple[str, tuple[StageName, ...]]]:
        """Names of the workers with their stages: the managers in order, then the director's own work."""
        managers = [stages for _, stages in managers_of(self.config)]
        named = [(f"{self.job.id}-mgr{number:02d}", stages) for number, stages in enumerate(managers, start=1)]
        return [*named, (f"{self.job.id}-director", DIRECTORS)]

    # --- waiting -----------------------------------------------------------------------------------------------------

    def _before_start(self) -> list[Wait]:
        waits = missing_work(self.job.record(), self.workspace)
        return waits or self._missing_resources()

    def _before_training(self) -> list[Wait]:
        return missing_approvals(self.place, self.job.home, now=datetime.now(UTC))

    def _missing_resources(self) -> list[Wait]:
        """Reserve what the job holds while it runs; the place in the queue is kept between two calls."""
        if self._reservation is None:
            holder = this_process(job=self.job.id, run=self.place.lane)
            self._reservation = self.control.resources.ask(resources_of(self.config), holder=holder).id
            self.stack.callback(self.control.resources.release, self._reservation)
        found = self.control.resources.poll(self._reservation)
        self._renewed_s = time.monotonic()
        if found.state == "granted":
            return []
        asked = ", ".join(f"{amount:g} {name}" for name, amount in sorted(found.amounts.items()))
        reason = f"not free now: {asked}; place {found.ticket} in the queue"
        return [Wait(kind="resource", reason=reason, way_out="wait for it, or raise control.quotas")]

    def _until_nothing_misses(self, ask: Callable[[], list[Wait]]) -> Ended | None:
        """None as soon as nothing is missing; how it ended where the job does not wait, or was cancelled."""
        said: list[Wait] = []
        while waits := ask():
            if self.job.state() is JobState.CANCELLED and said:
                return Ended(state=JobState.CANCELLED)
            if waits != said:
                said = waits
                self._write(JobEvent.WAITS, reasons=[str(wait) for wait in waits])
                for item in waits:
                    self.say(f"waiting: {item}")
            if not self.wait:
                return Ended(state=JobState.WAITING, waits=tuple(waits))
            time.sleep(min(WAIT_POLL_S, self.every_s))
            self._keep_reservation()
        if said:
            self._write(JobEvent.STARTED)
        return None

    def _keep_reservation(self) -> None:
        if self._reservation is not None and time.monotonic() - self._renewed_s > 30.0:
            self.control.resources.poll(self._reservation)
            self._renewed_s = time.monotonic()

    # --- one manager -------------------------------------------------------------------------------------------------

    def _manage(self, name: str, stages: Sequence[StageName]) -> Ended | None:
        """Have the stages done. None when they are; how the job ended otherwise."""
        substitutions, began_s = 0, time.monotonic()
        while not self._is_done(stages):
            worker = self._left_over(name) or self._start(name, stages)
            if worker is None:
                return Ended(state=JobState.CANCELLED)
            lost = self._watch(worker, name, until_s=began_s + 3600 * self.hours_max.get(name, inf))
            if self.job.state() is JobState.CANCELLED:
                return Ended(state=JobState.CANCELLED)
            if self._is_done(stages):
                self._write(JobEvent.WORKER_ENDED, manager=name, pid=worker.pid)
                break
            if time.monotonic() >= began_s + 3600 * self.hours_max.get(name, inf):
                return self._fail(f"{name}: over its {self.hours_max[name]:g} hours; the next submit resumes it")
            if not lost and (problem := self._failure(name, stages)):
                return self._fail(f"{name}: {problem}")
            why = lost or f"its process ended before its work was done{worker.ending}"
            substitutions += 1
            self._write(JobEvent.WORKER_LOST, manager=name, pid=worker.pid, reason=why)
            self._close(stages, why)
            self.say(f"escalated: the worker of {name} is gone: {why}")
            if substitutions > SUBSTITUTIONS_MAX:
                return self._fail(f"{name}: its worker was replaced {SUBSTITUTIONS_MAX} times and is gone again: {why}")
            self.say(f"substituting the worker of {name} ({substitutions} of {SUBSTITUTIONS_MAX}); it resumes")
        self.say(f"{name}: done ({', '.join(stages)})")
        return None

    def _is_done(self, stages: Sequence[StageName]) -> bool:
        environment = environment_digest(self.workspace)
        return not any(why_not_current(stage, self.place, environment=environment) for stage in stages)

    def _left_over(self, name: str) -> workers.Worker | None:
        """A worker of this manager that outlived an earlier director."""
        for entry in reversed(self.job.journal()):
            if entry.event is JobEvent.WORKER_STARTED and entry.details.get("manager") == name:
                found = workers.found_again(int(entry.details["pid"]), float(entry.details["process_started_s"]))
                if found is not None:
                    self.say(f"{name}: worker {found.pid} is still at work; taking it over")
                return found
        return None

    def _start(self, name: str, stages: Sequence[StageName]) -> workers.Worker | None:
        """A new worker; None when the job was cancelled meanwhile."""
        worker = workers.start(self.job, self.workspace, name=name, stages=stages)
        try:
            self.job.write(
                JobEvent.WORKER_STARTED,
                at=time.time(),
                manager=name,
                stages=list(stages),
                pid=worker.pid,
                process_started_s=worker.started_s,
            )
        except ProvenanceError:
            worker.stop()
            return None
        except BaseException:
            worker.stop()
            raise
        self.say(f"{name}: worker {worker.pid} begins ({', '.join(stages)})")
        return worker

    def _watch(self, worker: workers.Worker, name: str, *, until_s: float) -> str:
        """Wait for the worker's end, and stop it at `until_s` (monotonic).

        Returns why it was given up, or an empty text when it ended by itself or was asked to.
        """
        looked_s, listener = 0.0, Listener(time.monotonic())
        try:
            while worker.is_alive:
                time.sleep(self.poll_s)
                self._keep_reservation()
                if time.monotonic() - looked_s < min(self.every_s / 4, 5.0):
                    continue
                looked_s = time.monotonic()
                if looked_s >= until_s:
                    worker.stop()
                if lost := loss_of(self._signs(worker, listener), every_s=self.every_s, missed_max=self.missed_max):
                    worker.kill()
                    return lost
        except KeyboardInterrupt:
            self.say(f"{name}: stopping its worker at the next step; it resumes with the next submit")
            worker.stop()
            raise
        return ""

    def _signs(self, worker: workers.Worker, listener: Listener) -> Signs:
        beats = [beat for beat in self.control.newest(job=self.job.id) if beat.pid == worker.pid]
        last = max(beats, key=lambda beat: beat.timestamp, default=None)
        moved_at = _moved_at(self.job.home / "state" / "runs" / last.run_id) if last and last.run_id else None
        return Signs(
            silent_s=listener.hear(last.timestamp if last else None, now=time.monotonic()),
            has_spoken=last is not None,
            is_between_stages=last is not None and last.state in ("completed", "failed", "interrupted"),
            moved_s=None if moved_at is None else max(0.0, time.time() - moved_at),
        )

    def _failure(self, name: str, stages: Sequence[StageName]) -> str:
        """Why the work failed by its own fault; empty when its process was merely ended from outside."""
        last = self._last_attempt(stages)
        if last is not None and isinstance(last.end, AttemptEnd) and last.end.exit in _FAILED_EXITS:
            return f"{last.start.stage} {last.end.exit}: {last.end.error}"
        if last is None or (last.end is not None and last.end.exit == "completed"):
            # It failed outside of any attempt: before its stage began, or between two of them.
            words = workers.last_words(self.job.log(name))
            return words if "ERROR" in words or "Error" in words else ""
        return ""

    def _last_attempt(self, stages: Sequence[StageName]) -> AttemptFiles | None:
        found = [
            files
            for stage in stages
            for files in list_attempts(self.job.home, lane=self.place.lane, stage=stage, skip_damaged=True)
            if files.start.labels.get("job") == self.job.id
        ]
        return max(found, key=lambda files: files.start.attempt, default=None)

    def _close(self, stages: Sequence[StageName], why: str) -> None:
        for stage in stages:
            close_vanished(self.job.home, lane=self.place.lane, stage=stage, found_by=f"job {self.job.id}", error=why)

    # --- the end -----------------------------------------------------------------------------------------------------

    def _answer(self) -> Ended:
        home = self.job.home
        for folder in (*needed_folders(self.place), self.place.folder):
            sync_lane(folder, workspace=self.workspace, home=home)
        report = lane_report(self.job, self.workspace)
        write_atomic(self.job.path / REPORT, report_yaml(report))
        state = self._write(_ENDS[report.state], run_id=report.run_id, verdict=report.verdict)
        return Ended(state=state)

    def _fail(self, problem: str) -> Ended:
        self.say(f"failed: {problem}")
        return Ended(state=self._write(JobEvent.FAILED, problem=problem), problem=problem)

    def _write(self, event: JobEvent, **details: Any) -> JobState:
        return self.job.write(event, at=time.time(), **details)


def _moved_at(folder: Path) -> float | None:
    """When the newest file below the folder was written; None where there is none."""
    times = []
    for path in folder.rglob("*"):
        try:
            times.append(path.stat().st_mtime)
        except OSError:
            continue  # replaced while we looked
    return max(times, default=None)
