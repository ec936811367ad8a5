"""`interlock run`: hand the command line to Hydra as it stands, run each job's stages, answer with one exit code.

The configuration is checked before Hydra starts (the first value of every sweep), so that a mistyped key is refused
with its nearest name instead of failing inside a job. Each job archives its own run. Results come back through files,
because launchers may run jobs in other processes.
"""

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from interlock.commands.screen import say
from interlock.config import plugins
from interlock.config.compose import ROOT, Composition, compose_lane, first_values
from interlock.config.params import composed_text
from interlock.config.validate import validate
from interlock.contracts.verdict import EXIT_CODES, Judgement, Verdict, worst
from interlock.errors import ExitCode, InterlockError, UsageError
from interlock.provenance.files import write_json
from interlock.provenance.workspace import interlock_home
from interlock.stages.progress import terminal_progress
from interlock.stages.runner import run_lane, work_place
from interlock.stages.sync import sync_lane

_RESULTS = "INTERLOCK_JOB_RESULTS"
_WORKSPACE = "INTERLOCK_JOB_WORKSPACE"
_ONLY_PRINTS = ("--help", "-h", "--hydra-help", "--version", "--cfg", "-c", "--info", "-i", "--shell-completion", "-sc")


def run_hydra(workspace: Path, argv: Sequence[str]) -> ExitCode:
    """Run Hydra's main with `argv`; returns the folded exit code of all jobs.

    Raises ConfigError for a configuration that would be refused, UsageError for a flag that loads pickles.
    """
    import hydra

    if any(text.startswith("--experimental-rerun") for text in argv):
        raise UsageError(
            "loads a pickle, which Interlock never does",
            key="--experimental-rerun",
            hint="give the overrides again: interlock run KEY=VALUE",
        )
    overrides = [text for text in argv if ("=" in text and not text.startswith("-")) or text.startswith("~")]
    validate(compose_lane(workspace / "conf", first_values(overrides)), subject="configuration")
    plugins.register()
    sys.argv = ["interlock run", *argv]
    with tempfile.TemporaryDirectory(prefix="interlock-jobs-") as results:
        os.environ.update({_RESULTS: results, _WORKSPACE: str(workspace)})
        hydra.main(version_base="1.3", config_path=str(workspace / "conf"), config_name=ROOT)(_job)()
        return _folded(Path(results), may_be_empty=any(text.split("=")[0] in _ONLY_PRINTS for text in argv))


def _job(tree: DictConfig) -> None:
    """One Hydra job: compose, run all stages, archive, leave a result behind."""
    from hydra.core.hydra_config import HydraConfig

    hydra = HydraConfig.get()
    number = OmegaConf.select(hydra, "job.num", throw_on_missing=False) or 0
    result: dict[str, Any] = {"overrides": list(hydra.overrides.task)}
    try:
        result |= _run_job(tree, str(hydra.runtime.choices["lane"]), tuple(hydra.overrides.task))
    except InterlockError as error:
        result |= {"error": str(error), "exit_code": int(error.exit_code)}
        print(f"ERROR: job {number}: {error}", file=sys.stderr)
    write_json(Path(os.environ[_RESULTS]) / f"{number:06d}.json", result)


def _run_job(tree: DictConfig, lane: str, overrides: tuple[str, ...]) -> dict[str, Any]:
    workspace = Path(os.environ[_WORKSPACE])
    values: Any = OmegaConf.to_container(tree, resolve=True)
    experiment = validate(Composition(values, tuple, overrides, {}), subject=f"lane {lane}")
    place = work_place(workspace, lane=lane, composed=composed_text(experiment))
    run_lane(place, progress=terminal_progress())
    sync_lane(place.folder, workspace=workspace, home=interlock_home(workspace))
    judgement = Judgement.model_validate_json((place.folder / "judge" / "judgement.json").read_text())
    say(f"run {judgement.run_id}: {judgement.verdict}  {' '.join(overrides)}".rstrip())
    return {"run_id": judgement.run_id, "verdict": judgement.verdict}


def _folded(results: Path, *, may_be_empty: bool) -> ExitCode:
    """One exit code: an error first, else the worst verdict. A run that left no result is an error."""
    jobs = [json.loads(path.read_text()) for path in sorted(results.glob("*.json"))]
    if not jobs:
        return ExitCode.PASS if may_be_empty else ExitCode.ERROR
    errors = [job for job in jobs if "error" in job]
    if errors:
        return ExitCode(errors[0]["exit_code"]) if len(jobs) == 1 else ExitCode.ERROR
    return EXIT_CODES[worst(Verdict(job["verdict"]) for job in jobs)]
