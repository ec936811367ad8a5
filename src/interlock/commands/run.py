"""`interlock run`: hand the command line to Hydra as it stands, run each job's stages, answer with one exit code.

The configuration is checked before Hydra starts (the first value of every sweep), so that a mistyped key is refused
with its nearest name instead of failing inside a job. Each job archives its own run. Results come back through files,
because launchers may run jobs in other processes.
"""

import json
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from interlock.commands.screen import say
from interlock.config.compose import Composition, compose_lane, first_values
from interlock.config.hydra_main import only_prints, overrides_of, run_main
from interlock.config.params import composed_text
from interlock.config.validate import validate
from interlock.contracts.verdict import EXIT_CODES, Judgement, Verdict, worst
from interlock.errors import ExitCode, InterlockError
from interlock.provenance.files import write_json
from interlock.provenance.workspace import interlock_home
from interlock.stages.entry import interrupt
from interlock.stages.progress import terminal_progress
from interlock.stages.runner import run_lane, work_place
from interlock.stages.sync import sync_lane

_RESULTS = "INTERLOCK_JOB_RESULTS"
_WORKSPACE = "INTERLOCK_JOB_WORKSPACE"


def run_hydra(workspace: Path, argv: Sequence[str]) -> ExitCode:
    """Run all jobs; returns the folded exit code. Raises ConfigError, UsageError before anything runs."""
    validate(compose_lane(workspace / "conf", first_values(overrides_of(argv))), subject="configuration")
    signal.signal(signal.SIGTERM, interrupt)
    with tempfile.TemporaryDirectory(prefix="interlock-jobs-") as results:
        os.environ.update({_RESULTS: results, _WORKSPACE: str(workspace)})
        run_main(workspace / "conf", argv, job)
        return _folded(Path(results), may_be_empty=only_prints(argv))


def job(number: int | None, lane: str, composition: Composition) -> None:
    """One Hydra job: run all stages, archive, leave a result behind. An error of ours is a result, not a crash."""
    result: dict[str, Any] = {"overrides": list(composition.overrides)}
    try:
        result |= _run_job(lane, composition)
    except InterlockError as error:
        result |= {"error": str(error), "exit_code": int(error.exit_code)}
        which = "" if number is None else f"job {number} ({' '.join(composition.overrides)}): "
        print(f"ERROR: {which}{error}", file=sys.stderr)
    except Exception as error:  # a defect: shown whole, and the sweep's other jobs run all the same
        result |= {"error": repr(error), "exit_code": int(ExitCode.ERROR)}
        traceback.print_exc()
    write_json(Path(os.environ[_RESULTS]) / f"{number or 0:06d}.json", result)


def _run_job(lane: str, composition: Composition) -> dict[str, Any]:
    workspace = Path(os.environ[_WORKSPACE])
    experiment = validate(composition, subject=f"lane {lane}")
    place = work_place(workspace, lane=lane, composed=composed_text(experiment))
    run_lane(place, progress=terminal_progress())
    sync_lane(place.folder, workspace=workspace, home=interlock_home(workspace))
    judgement = Judgement.model_validate_json((place.folder / "judge" / "judgement.json").read_text())
    say(f"run {judgement.run_id}: {judgement.verdict}  {' '.join(composition.overrides)}".rstrip())
    return {"run_id": judgement.run_id, "verdict": judgement.verdict}


def _folded(results: Path, *, may_be_empty: bool) -> ExitCode:
    """One exit code: an error first, else the worst verdict. Jobs that left no result are an error."""
    jobs = [json.loads(path.read_text()) for path in sorted(results.glob("*.json"))]
    if not jobs:
        return ExitCode.PASS if may_be_empty else ExitCode.ERROR
    errors = [job for job in jobs if "error" in job]
    if errors:
        return ExitCode(errors[0]["exit_code"]) if len(jobs) == 1 else ExitCode.ERROR
    return EXIT_CODES[worst(Verdict(job["verdict"]) for job in jobs)]
