"""`interlock run`: hand the command line to Hydra as it stands, run each job's stages, answer with one exit code.

The configuration is checked before Hydra starts, so that a mistyped key is refused with its nearest name instead of
failing inside a job. `-m` goes to `interlock.commands.sweep_jobs`, which plans all jobs first.
"""

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from interlock.commands.screen import say
from interlock.config.compose import Composition, compose_lane, first_values, hydra_settings
from interlock.config.hydra_main import is_multirun, only_prints, overrides_of, run_main
from interlock.config.inputs import as_planned, lanes_needed
from interlock.config.params import composed_text
from interlock.config.validate import validate
from interlock.contracts.verdict import EXIT_CODES, Judgement, Verdict
from interlock.errors import ExitCode, InterlockError, StageError, UsageError
from interlock.lanes.spec import Progress
from interlock.provenance.workspace import interlock_home
from interlock.runs.runner import needed_folders, run_lane, work_place
from interlock.runs.sync import sync_lane
from interlock.stages.entry import explained, interrupt
from interlock.stages.place import Place
from interlock.stages.progress import terminal_progress


def run_hydra(workspace: Path, argv: Sequence[str]) -> ExitCode:
    """Run all jobs; returns the folded exit code. Raises ConfigError, UsageError before anything runs."""
    overrides = overrides_of(argv)
    if is_multirun(argv) and not only_prints(argv):
        from interlock.commands.sweep_jobs import run_sweep

        return run_sweep(workspace, argv)
    conf, plain = workspace / "conf", first_values(overrides)
    validate(compose_lane(conf, plain), subject="configuration")
    if not only_prints(argv):
        folder = workspace / str(hydra_settings(conf, plain).run.dir)
        require_writable(interlock_home(workspace), folder, setting="hydra.run.dir")
    signal.signal(signal.SIGTERM, interrupt)
    job = SingleJob(workspace)
    run_main(conf, argv, job)
    return job.answer(may_be_empty=only_prints(argv))


def require_writable(home: Path, hydras: Path, *, setting: str) -> None:
    """Raise StageError where results cannot be written, which Hydra would tell with a traceback's rest.

    `home` and `hydras` are where Interlock and Hydra write; neither need exist. `setting` is Hydra's key for its own.
    """
    for folder in (home, hydras):
        there = next(path for path in (folder, *folder.parents) if path.exists())
        if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
            problem = "cannot be written to" if there.is_dir() else "is a file, where a folder for results should be"
            elsewhere = f"set INTERLOCK_HOME and {setting} to folders elsewhere"
            raise StageError(problem, path=there, hint=f"make it a writable folder, or {elsewhere}; nothing has run")


@dataclass
class SingleJob:
    """The one job of a run without `-m`. An error of ours is a result, not a crash."""

    workspace: Path
    codes: list[ExitCode] = field(default_factory=list)
    __name__ = "job"

    def __call__(self, number: int | None, lane: str, composition: Composition) -> None:
        """Run all stages and archive them."""
        if number is not None:
            raise UsageError("a file asks for a sweep", key="hydra.mode", hint="give -m instead: interlock run -m")
        try:
            place = prepared_place(self.workspace, lane, composition)
            judgement = run_place(place, progress=terminal_progress())
        except Exception as error:  # a defect, too, is shown and answered
            self.codes.append(shown(error))
            return
        say(f"run {judgement.run_id}: {judgement.verdict}  {' '.join(composition.overrides)}".rstrip())
        if judgement.verdict is not Verdict.PASS:
            say(f"every gate with its reason: interlock runs show {judgement.run_id}")
        self.codes.append(EXIT_CODES[judgement.verdict])

    def answer(self, *, may_be_empty: bool) -> ExitCode:
        """The exit code; no result at all is an error, unless Hydra only printed something."""
        return self.codes[0] if self.codes else ExitCode.PASS if may_be_empty else ExitCode.ERROR


def prepared_place(workspace: Path, lane: str, composition: Composition) -> Place:
    """The work folder of a composed configuration, and those of lanes that it needs. Raises ConfigError.

    Those are taken as `params.yaml` composes them: the command line speaks of one lane.
    """
    experiment = validate(composition, subject=f"lane {lane}")
    needs = {
        name: prepared_place(workspace, other, as_planned(workspace / "conf", other))
        for name, other in lanes_needed(experiment.lane.inputs).items()
    }
    return work_place(workspace, lane=lane, composed=composed_text(experiment), needs=needs)


def run_place(place: Place, *, progress: Progress) -> Judgement:
    """Run the stages that are not current, archive the run, return its judgement. Raises the first stage's error.

    Lanes that it needs are run before, and archived with it.
    """
    run_lane(place, progress=progress)
    for folder in (*needed_folders(place), place.folder):
        synced = sync_lane(folder, workspace=place.workspace, home=interlock_home(place.workspace))
        if synced.tracking:
            progress.message(synced.tracking)
    return Judgement.model_validate_json((place.folder / "judge" / "judgement.json").read_text())


def shown(error: Exception, *, which: str = "") -> ExitCode:
    """Print an error for people, with the job it belongs to; a defect is shown whole. Returns its exit code."""
    if isinstance(error, InterlockError | OSError):
        print(f"ERROR: {which}{sentence(error)}", file=sys.stderr)
    else:
        print(f"ERROR: {which}a defect, please report it", file=sys.stderr)
        traceback.print_exception(error)
    return error.exit_code if isinstance(error, InterlockError) else ExitCode.ERROR


def sentence(error: Exception) -> str:
    """What an error says of itself."""
    if isinstance(error, InterlockError):
        return str(error)
    return explained(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
