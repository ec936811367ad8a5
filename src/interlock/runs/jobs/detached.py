"""A director in a process of its own: `python -m interlock.runs.jobs.detached WORKSPACE JOB`.

It waits for whatever the job misses, runs it, and leaves the answer in the job's folder; `interlock job status` shows
it. Needs no configuration to be composed: the job's folder holds everything. The control API starts jobs this way.
"""

import subprocess
import sys
from pathlib import Path

from interlock.provenance.workspace import interlock_home
from interlock.runs.jobs.director import run_job
from interlock.runs.jobs.folder import JobFolder
from interlock.stages.entry import guarded


def start(job: JobFolder, workspace: Path) -> int:
    """Start it and return its process id; what it says goes to the job's `logs/director.log`.

    Beside another director of the same job it ends at once.
    """
    log = job.log("director")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        child = subprocess.Popen(
            [sys.executable, "-m", "interlock.runs.jobs.detached", str(workspace), job.id],
            cwd=workspace,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,  # it goes on when the terminal is closed
        )
    return child.pid


def main(arguments: list[str]) -> int:
    """Run the job to its end; returns 0 unless the director itself failed."""
    workspace, job_id = Path(arguments[0]), arguments[1]

    def direct() -> None:
        run_job(JobFolder(interlock_home(workspace), job_id), workspace, wait=True, say=_say)

    return guarded(direct)


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
