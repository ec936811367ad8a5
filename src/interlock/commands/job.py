"""`interlock job`: submit a card, watch it, cancel it, read its report.

interlock job submit card.yaml [--dry-run] [--wait | --detach]
interlock job status [ID] [--watch]        interlock job cancel ID        interlock job report ID
"""

import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interlock.commands.job_text import say_accepted, show_all, show_plan, view_json
from interlock.commands.screen import print_json, say
from interlock.config.compose import compose_lane, group_options
from interlock.config.inputs import as_planned, lanes_needed
from interlock.config.params import composed_text
from interlock.config.params_file import spell
from interlock.config.validate import validate
from interlock.contracts.lane_report import LaneReport
from interlock.contracts.verdict import EXIT_CODES, Verdict
from interlock.errors import BusyError, ExitCode, ProvenanceError, UsageError
from interlock.provenance.canonical import plain
from interlock.provenance.workspace import interlock_home
from interlock.runs.jobs import detached, workers
from interlock.runs.jobs.accept import accept_job
from interlock.runs.jobs.answer import read_report
from interlock.runs.jobs.director import Ended, run_job
from interlock.runs.jobs.folder import REPORT, JobFolder, job_ids
from interlock.runs.jobs.plan import plan_job
from interlock.runs.jobs.settings import Composed, Need
from interlock.runs.jobs.states import AGAIN, ENDED, JobEvent, JobState
from interlock.runs.jobs.view import JobView, job_view
from interlock.stages.entry import interrupt

_CODES = {
    JobState.SUBMITTED: ExitCode.PASS,
    JobState.RUNNING: ExitCode.PASS,
    JobState.WAITING: ExitCode.BLOCKED,
    JobState.COMPLETED: ExitCode.PASS,
    JobState.ESCALATED: ExitCode.FAIL,
    JobState.FAILED: ExitCode.FAIL,
    JobState.CANCELLED: ExitCode.INTERRUPTED,
}


_BEGINS_S = 5.0


class ConfComposer:
    """Composes a workspace's `conf/` for job cards."""

    def __init__(self, workspace: Path) -> None:
        self._conf = workspace / "conf"

    def choices(self) -> Mapping[str, tuple[str, ...]]:
        """Option names by group."""
        return group_options(self._conf)

    def compose(self, lane: str, settings: Mapping[str, Any]) -> Composed:
        """The lane with these groups and keys set. Raises ConfigError."""
        overrides = [f"lane={lane}", *(f"{key}={spell(value)}" for key, value in settings.items())]
        experiment = validate(compose_lane(self._conf, overrides), subject=f"lane {lane}")
        return _composed(self._conf, experiment)


def _composed(conf: Path, experiment: Any) -> Composed:
    needs = {}
    for name, other in lanes_needed(experiment.lane.inputs).items():
        planned = validate(as_planned(conf, other), subject=f"lane {other}")
        needs[name] = Need(lane=other, composed=_composed(conf, planned))
    return Composed(values=plain(experiment), text=composed_text(experiment), needs=needs)


def submit(workspace: Path, card: Path, *, dry_run: bool, wait: bool, detach: bool, as_json: bool) -> ExitCode:
    """Take a card in and run its job to the end; returns the verdict's exit code. Raises ConfigError, UsageError."""
    if wait and detach:
        raise UsageError("a job that runs by itself waits by itself", key="--wait --detach", hint="leave out --wait")
    home, composer = interlock_home(workspace), ConfComposer(workspace)
    data, name = _read(card), card.name
    if dry_run:
        show_plan(plan_job(data, name, composer=composer, workspace=workspace, home=home), as_json=as_json)
        return ExitCode.PASS
    accepted = accept_job(data, name, composer=composer, workspace=workspace, home=home)
    job = accepted.job
    say_accepted(accepted, as_json=as_json)
    if job.state() in AGAIN:
        if detach:
            return _detach(workspace, job, as_json=as_json)
        _run(workspace, job, wait=wait, as_json=as_json)
    return _answer(workspace, job, as_json=as_json)


def status(workspace: Path, job_id: str | None, *, watch: bool, as_json: bool) -> ExitCode:
    """Show one job or all of them; the exit code of one job is that of its verdict."""
    home = interlock_home(workspace)
    if job_id is None:
        views = [job_view(JobFolder(home, found), workspace) for found in job_ids(home)]
        show_all(views, as_json=as_json)
        return ExitCode.PASS
    job = JobFolder(home, job_id)
    if watch and not as_json:
        _watch(job, workspace)
    view = job_view(job, workspace)
    if as_json:
        print_json(view_json(view))
    else:
        from interlock.commands.job_screen import show_job

        show_job(view, now=time.time())
    return _code(view)


def cancel(workspace: Path, job_id: str, *, as_json: bool) -> ExitCode:
    """End a job's work with a state that the next submit resumes from. Raises UsageError when it has ended."""
    job = JobFolder(interlock_home(workspace), job_id)
    job.record()
    state = job.state()
    if state in ENDED:
        raise UsageError(f"the job is {state} already", key="job", value=job_id, hint=f"interlock job report {job_id}")
    try:
        job.write(JobEvent.CANCELLED, at=time.time())
    except ProvenanceError as error:
        hint = f"interlock job report {job_id}"
        raise UsageError("the job has ended meanwhile", key="job", value=job_id, hint=hint) from error
    for entry in job.journal():
        if entry.event is JobEvent.WORKER_STARTED:
            worker = workers.found_again(int(entry.details["pid"]), float(entry.details["process_started_s"]))
            if worker is not None:
                worker.stop()
    view = job_view(job, workspace)
    if as_json:
        print_json(view_json(view))
    else:
        say(f"cancelled {job_id}; submit the same card again to go on from where it was")
    return ExitCode.PASS


def report(workspace: Path, job_id: str, *, as_json: bool) -> ExitCode:
    """Print a job's lane report; returns the exit code of its verdict."""
    job = JobFolder(interlock_home(workspace), job_id)
    job.record()
    if not (job.path / REPORT).is_file():
        raise UsageError(
            f"the job is {job.state()} and has no report yet",
            key="job",
            value=job_id,
            hint=f"interlock job status {job_id} shows what it does; submit the card again to go on",
        )
    found = read_report(job.path / REPORT)
    if as_json:
        print_json(found)
    else:
        say((job.path / REPORT).read_text().rstrip())
    return _report_code(found)


def _run(workspace: Path, job: JobFolder, *, wait: bool, as_json: bool) -> Ended | None:
    """Run it here, showing what happens; a director that is at work already is watched instead."""
    signal.signal(signal.SIGTERM, interrupt)
    try:
        if not as_json and sys.stdout.isatty():
            from interlock.commands.job_screen import shown_live

            with shown_live(job, workspace):
                return run_job(job, workspace, wait=wait, say=_to_nobody)
        return run_job(job, workspace, wait=wait, say=_to_stderr)
    except BusyError:
        _to_stderr(f"{job.id} is at work in another process; waiting for its end")
        while job.has_runner:
            time.sleep(0.5)
        return None


def _detach(workspace: Path, job: JobFolder, *, as_json: bool) -> ExitCode:
    pid = detached.start(job, workspace)
    if as_json:
        print_json({"id": job.id, "pid": pid, "state": job.state().value})
    else:
        say(f"running as process {pid}; watch it: interlock job status {job.id} --watch")
    return ExitCode.PASS


def _answer(workspace: Path, job: JobFolder, *, as_json: bool) -> ExitCode:
    if (job.path / REPORT).is_file() and job.state() in ENDED:
        return report(workspace, job.id, as_json=as_json)
    view = job_view(job, workspace)
    if as_json:
        print_json(view_json(view))
    else:
        from interlock.commands.job_screen import show_job

        show_job(view, now=time.time())
    return _code(view)


def _code(view: JobView) -> ExitCode:
    if view.state in (JobState.COMPLETED, JobState.FAILED, JobState.ESCALATED) and view.verdict:
        code = EXIT_CODES[Verdict(view.verdict)]
        return code if code is not ExitCode.PASS else _CODES[view.state]
    return ExitCode.ERROR if view.state is JobState.FAILED else _CODES[view.state]


def _report_code(found: LaneReport) -> ExitCode:
    code = EXIT_CODES[Verdict(found.verdict)] if found.verdict else ExitCode.BLOCKED
    return ExitCode.FAIL if code is ExitCode.PASS and found.state != "completed" else code


def _watch(job: JobFolder, workspace: Path) -> None:
    """Show it live until nobody works on it any more; a detached director needs a moment to begin."""
    from interlock.commands.job_screen import shown_live

    alone_since = time.monotonic()
    with shown_live(job, workspace):
        while job.state() not in ENDED and time.monotonic() - alone_since < _BEGINS_S:
            time.sleep(0.5)
            alone_since = time.monotonic() if job.has_runner else alone_since


def _read(card: Path) -> bytes:
    try:
        return card.read_bytes()
    except OSError as error:
        hint = "interlock job submit CARD.yaml; examples/cards holds cards that work"
        raise UsageError(f"the card cannot be read: {os.strerror(error.errno or 0)}", path=card, hint=hint) from error


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _to_nobody(text: str) -> None:
    """The live table shows it."""
