"""Worker processes: one does the stages of one manager, in a session of its own, and can be found again by its id.

    worker = start(job, workspace, name=..., stages=("train",))     worker.pid, worker.started_s
    worker = found_again(pid, started_s)                            after the runner was killed, not the worker

A worker answers to SIGTERM as to Ctrl-C: it saves a state that the next one resumes from. What became of its work is
read from the stages' records, never from its exit code.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from interlock.contracts.stage import StageName
from interlock.runs.jobs.folder import JobFolder

GRACE_S = 60.0
"""How long a worker that was asked to stop may take to save its state."""
_POLL_S = 0.05
_MODULE = "interlock.runs.jobs.worker"
_SAME_S = 1.0


@dataclass
class Worker:
    """A process that works for a job."""

    pid: int
    started_s: float
    """When it began, in seconds since 1970; tells a process id that was given anew."""
    child: subprocess.Popen[bytes] | None = None
    """The process, where it is a child of this one."""

    @property
    def is_alive(self) -> bool:
        """Whether it still runs; a stopped one does."""
        if self.child is not None:
            return self.child.poll() is None
        return found_again(self.pid, self.started_s) is not None

    @property
    def ending(self) -> str:
        """How the process ended, as far as that is known of one that is no child."""
        code = self.child.poll() if self.child is not None else None
        return f", by signal {-code}" if code is not None and code < 0 else ""

    def stop(self, *, grace_s: float = GRACE_S) -> None:
        """Ask it to save a state and end; after the grace time it is killed."""
        self._signal(signal.SIGTERM)
        end = time.monotonic() + grace_s
        while self.is_alive and time.monotonic() < end:
            time.sleep(_POLL_S)
        self.kill()

    def kill(self) -> None:
        """End it and everything that it started, at once; also a stopped one."""
        if self.is_alive:
            self._signal(signal.SIGKILL)
        if self.child is not None:
            self.child.wait()
        while self.is_alive:
            time.sleep(_POLL_S)

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)


def start(job: JobFolder, workspace: Path, *, name: str, stages: Sequence[StageName]) -> Worker:
    """Start a worker; what it says goes to the manager's log. `name` is the manager card's id."""
    import psutil

    log = job.log(name)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        child = subprocess.Popen(
            [sys.executable, "-m", _MODULE, str(workspace), job.id, *stages],
            cwd=workspace,
            env={**os.environ, "INTERLOCK_JOB": job.id, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,  # it outlives this process, and can be ended with everything that it starts
        )
    try:
        started_s = psutil.Process(child.pid).create_time()
    except psutil.NoSuchProcess:
        started_s = time.time()
    return Worker(pid=child.pid, started_s=started_s, child=child)


def found_again(pid: int, started_s: float) -> Worker | None:
    """The worker with this id, unless it has ended or the id belongs to another process by now."""
    import psutil

    try:
        process = psutil.Process(pid)
        is_same = abs(process.create_time() - started_s) <= _SAME_S
        return Worker(pid=pid, started_s=started_s) if is_same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.Error:
        return None


def last_words(log: Path, *, lines: int = 6) -> str:
    """The end of a log, for people."""
    try:
        text = log.read_text(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
