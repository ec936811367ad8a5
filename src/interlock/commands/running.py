"""What a single run and every job of a sweep share: a place to run in, the stages, and how an error is told."""

import os
import sys
import traceback
from pathlib import Path

from interlock.config.compose import Composition
from interlock.config.inputs import as_planned, lanes_needed
from interlock.config.params import composed_text
from interlock.config.validate import validate
from interlock.contracts.verdict import Judgement
from interlock.errors import ExitCode, InterlockError, StageError
from interlock.lanes.spec import Progress
from interlock.provenance.workspace import interlock_home
from interlock.runs.runner import needed_folders, run_lane, work_place
from interlock.runs.sync import sync_lane
from interlock.stages.entry import explained
from interlock.stages.place import Place


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
