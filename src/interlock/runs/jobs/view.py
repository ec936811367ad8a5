"""A job as people see it: its managers are views over stage records, attempts and heartbeats, put together when asked.

`job_view(job, workspace)` reads and writes nothing. What does not agree is shown as unknown rather than guessed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from interlock.contracts.attempt import AttemptEnd
from interlock.contracts.heartbeat import Heartbeat
from interlock.contracts.reservation import Holder
from interlock.contracts.spelling import spelled
from interlock.contracts.stage import StageName
from interlock.errors import InterlockError
from interlock.provenance.attempts import AttemptFiles, list_attempts
from interlock.registry.control.door import control_door
from interlock.registry.control.processes import is_gone
from interlock.registry.control.store import control_path
from interlock.registry.layout import StageFiles
from interlock.reports.lane_report import work_of
from interlock.runs.jobs.director import DIRECTORS
from interlock.runs.jobs.folder import REPORT, Entry, JobFolder
from interlock.runs.jobs.managers import managers_of
from interlock.runs.jobs.states import ENDED, JobEvent, JobState, state_after
from interlock.runs.jobs.workers import Worker, found_again
from interlock.runs.sync import finished_stages
from interlock.stages.place import Place, read_composed

ManagerState = Literal["done", "skipped", "running", "waiting", "lost", "failed", "stopped"]


@dataclass(frozen=True, kw_only=True)
class ManagerView:
    """One manager, or the director's own work."""

    card: str
    """Id of its card."""
    agent: str
    """In the source's spelling."""
    work: str
    """What it does, in words."""
    stages: tuple[StageName, ...]
    state: ManagerState
    """`waiting`: for the one before it, or to be started. `lost`: its process is gone and nobody replaced it yet."""
    reason: str = ""
    """Why it is skipped, failed or stopped."""
    attempts: int = 0
    """Executions of its stages for this job."""
    heartbeat: Heartbeat | None = None
    """Its last sign of life."""


@dataclass(frozen=True, kw_only=True)
class JobView:
    """One job."""

    id: str
    state: JobState
    lane: str
    submitted_at: float
    """Seconds since 1970."""
    changed_at: float
    """When something last happened."""
    has_runner: bool
    """Whether a director is at work on it."""
    run_id: str | None
    verdict: str | None
    managers: tuple[ManagerView, ...]
    waits: tuple[str, ...] = ()
    """What it waits for, with the way out."""
    problem: str = ""
    """Why it failed."""
    lost_workers: int = 0
    """Workers that were replaced."""
    heartbeat_s: float = 60.0
    """How often heartbeats are due."""
    report: Path | None = None
    """The lane report, once there is one."""


def job_view(job: JobFolder, workspace: Path) -> JobView:
    """Put the view together. Raises UsageError for an unknown job."""
    record, journal = job.record(), job.journal()
    state = state_after(entry.event for entry in journal)
    assert state is not None
    folder = job.home / record.place.work
    place = Place(workspace=workspace, folder=folder, params=job.path / record.place.params, lane=record.place.lane)
    config = read_composed(place.params)
    facts = _Facts(job, journal, place)
    managers = _managers(job, config, facts, is_ended=state in ENDED)
    report = job.path / REPORT
    return JobView(
        id=job.id,
        state=state,
        lane=record.place.lane,
        submitted_at=journal[0].at,
        changed_at=journal[-1].at,
        has_runner=job.has_runner,
        run_id=facts.run_id,
        verdict=facts.verdict,
        managers=managers,
        waits=_waits(journal) if state is JobState.WAITING else (),
        problem=_last_detail(journal, JobEvent.FAILED, "problem") if state is JobState.FAILED else "",
        lost_workers=sum(entry.event is JobEvent.WORKER_LOST for entry in journal),
        heartbeat_s=float((config.get("control") or {}).get("heartbeat_s") or 60.0),
        report=report if report.is_file() else None,
    )


class _Facts:
    """What is recorded elsewhere about a job's work."""

    def __init__(self, job: JobFolder, journal: Sequence[Entry], place: Place) -> None:
        self._job, self._journal, self.lane = job, journal, place.lane
        try:
            self.stages: Mapping[StageName, StageFiles] = finished_stages(place.folder)
        except InterlockError:
            self.stages = {}  # damaged: nothing counts as done, and running it again says what is wrong
        self.beats = _beats(job, read_composed(place.params).get("control") or {})
        trained = self.stages.get("train")
        beat = next((beat for beat in reversed(self.beats) if beat.run_id and beat.lane == self.lane), None)
        self.run_id = trained.record.run_id if trained else beat.run_id if beat else None
        judged = self.stages.get("judge")
        self.verdict = str(judged.record.facts.get("verdict")) if judged else None

    def attempts(self, stages: Sequence[StageName]) -> list[AttemptFiles]:
        """Executions of these stages for this job, oldest first."""
        found = [
            files
            for stage in stages
            for files in list_attempts(self._job.home, lane=self.lane, stage=stage, skip_damaged=True)
            if files.start.labels.get("job") == self._job.id
        ]
        return sorted(found, key=lambda files: files.start.attempt)

    def beat(self, stages: Sequence[StageName]) -> Heartbeat | None:
        """The last heartbeat about these stages."""
        found = [beat for beat in self.beats if beat.stage in stages and beat.lane == self.lane]
        return max(found, key=lambda beat: beat.timestamp, default=None)

    def beat_of(self, pid: int) -> Heartbeat | None:
        """The last heartbeat of a process, whatever lane it is about: lanes that are made first run in it, too."""
        return next((beat for beat in reversed(self.beats) if beat.pid == pid), None)

    def worker(self, card: str) -> Worker | None:
        """The manager's worker, if it is at work."""
        for entry in reversed(self._journal):
            if entry.event is JobEvent.WORKER_STARTED and entry.details.get("manager") == card:
                return found_again(int(entry.details["pid"]), float(entry.details["process_started_s"]))
        return None


def _managers(job: JobFolder, config: Mapping[str, Any], facts: _Facts, *, is_ended: bool) -> tuple[ManagerView, ...]:
    named = [
        (f"{job.id}-mgr{number:02d}", spelled(agent), stages)
        for number, (agent, stages) in enumerate(managers_of(config), start=1)
    ]
    return tuple(
        _manager(card, agent, stages, facts, is_ended=is_ended)
        for card, agent, stages in [*named, (f"{job.id}-director", _director(config), DIRECTORS)]
    )


def _director(config: Mapping[str, Any]) -> str:
    agents: Mapping[str, Any] = config.get("agents") or {}
    return spelled(next((name for name, agent in agents.items() if "decide" in agent["stages"]), "dir_models"))


def _manager(card: str, agent: str, stages: tuple[StageName, ...], facts: _Facts, *, is_ended: bool) -> ManagerView:
    attempts, beat = facts.attempts(stages), facts.beat(stages)
    state, reason = _state(stages, facts, attempts, is_ended=is_ended)
    trained = facts.stages.get("train")
    work = "Judging and deciding" if stages == DIRECTORS else work_of(stages, trained.record.facts if trained else None)
    if state == "waiting" and (worker := facts.worker(card)) is not None:
        state, beat = "running", facts.beat_of(worker.pid)
        if beat is not None and beat.lane != facts.lane:
            work = f"{work}, after lane {beat.lane}: {beat.stage}"
    return ManagerView(
        card=card,
        agent=agent,
        work=work,
        stages=stages,
        state=state,
        reason=reason,
        attempts=len(attempts),
        heartbeat=beat,
    )


def _state(
    stages: Sequence[StageName], facts: _Facts, attempts: Sequence[AttemptFiles], *, is_ended: bool
) -> tuple[ManagerState, str]:
    """From records first, then from the newest attempt."""
    done = [facts.stages[stage].record for stage in stages if stage in facts.stages]
    if len(done) == len(stages):
        reasons = [record.reason for record in done if record.status == "skipped"]
        return ("skipped", reasons[0]) if reasons else ("done", "")
    if not attempts:
        return "waiting", ""
    start, end, _ = attempts[-1]
    if isinstance(end, AttemptEnd):
        if end.exit in ("failed", "halted", "timeout", "pruned"):
            return "failed", end.error
        if end.exit in ("interrupted", "killed") or is_ended:
            return ("stopped" if end.exit == "interrupted" else "lost"), end.error
        return "running", ""  # between two of its stages
    holder = Holder(
        job="",
        run=start.run_id or "",
        pid=start.pid,
        process_started_s=start.process_started_s,
        host=start.host,
        boot_id=start.boot_id,
    )
    gone = is_gone(holder)
    return ("lost", "its process is gone") if gone else ("running", "")


def _beats(job: JobFolder, control: Mapping[str, Any]) -> tuple[Heartbeat, ...]:
    if not control.get("url") and not control_path(job.home).is_file():
        return ()
    try:
        with control_door(job.home, control) as door:
            return door.newest(job=job.id)
    except InterlockError:
        return ()  # the view shows what else is known


def _waits(journal: Sequence[Entry]) -> tuple[str, ...]:
    last = next(entry for entry in reversed(journal) if entry.event is JobEvent.WAITS)
    return tuple(str(reason) for reason in last.details.get("reasons", ()))


def _last_detail(journal: Sequence[Entry], event: JobEvent, name: str) -> str:
    return next((str(entry.details.get(name, "")) for entry in reversed(journal) if entry.event is event), "")
