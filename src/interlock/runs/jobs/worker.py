"""What a worker process runs: `python -m interlock.runs.jobs.worker WORKSPACE JOB STAGE...`.

Started by `interlock.runs.jobs.workers`; people use `interlock job submit`.
"""

import sys
from pathlib import Path
from typing import cast

from interlock.contracts.stage import STAGES, StageName
from interlock.provenance.workspace import interlock_home
from interlock.runs.jobs.folder import JobFolder
from interlock.runs.runner import run_lane
from interlock.stages.entry import guarded
from interlock.stages.progress import Lines


def main(arguments: list[str]) -> int:
    """Run the named stages of a job; returns the exit code."""
    workspace, job_id, *names = arguments
    stages = [cast(StageName, name) for name in names]
    assert set(stages) <= set(STAGES), f"no such stages: {names}"
    root = Path(workspace)

    def work() -> None:
        job = JobFolder(interlock_home(root), job_id)
        run_lane(job.place(root), progress=Lines(), stages=stages)

    return guarded(work)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
