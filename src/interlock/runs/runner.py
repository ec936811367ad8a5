"""Run all stages of a lane without DVC: what `interlock run` and sweeps do. Finished stages are not repeated.

Each composed configuration has a folder of its own under `work/` of INTERLOCK_HOME, so that jobs never meet. The
prepared data is shared by all jobs with the same data configuration.
"""

import os
from pathlib import Path

import yaml

from interlock.contracts.stage import STAGES, StageName
from interlock.lanes.catalog import find_lane
from interlock.lanes.spec import Progress
from interlock.provenance.attempts import run_lock
from interlock.provenance.canonical import sha256_json
from interlock.provenance.digest import files_under
from interlock.provenance.environment import environment_digest
from interlock.provenance.files import copy_atomic, write_atomic
from interlock.provenance.workspace import interlock_home
from interlock.stages import decide, evaluate, export, judge, prepare, train
from interlock.stages.current import stage_key, why_not_current
from interlock.stages.place import RECORD, Place, read_composed
from interlock.stages.progress import tracked

WAIT_S = 24 * 3600.0
"""How long a job waits for another one that works on the same thing."""

_STAGES = {
    "prepare": prepare.run,
    "train": train.run,
    "evaluate": evaluate.run,
    "export": export.run,
    "judge": judge.run,
    "decide": decide.run,
}


def work_place(workspace: Path, *, lane: str, composed: str) -> Place:
    """The folder of one composed configuration; writes its `params.yaml`."""
    folder = interlock_home(workspace) / "work" / f"{lane}-{_digest(composed)[:12]}"
    params = folder / "params.yaml"
    if not params.is_file() or params.read_text() != composed:
        write_atomic(params, composed)
    return Place(workspace=workspace, folder=folder, params=params, lane=lane, wait_s=WAIT_S)


def _digest(composed: str) -> str:
    """Digest of what stages may read. Where a run is shown is left out: showing it elsewhere runs nothing again."""
    values = yaml.load(composed, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return sha256_json({key: value for key, value in values.items() if key != "tracking"})


def run_lane(place: Place, *, progress: Progress) -> None:
    """Run every stage that is not current, in order. Raises the first stage's error; the next call resumes there.

    Waits for another process that runs the same configuration, and then finds its stages finished.
    """
    home = interlock_home(place.workspace)
    with run_lock(home, f"run-{place.folder.name}", wait_s=WAIT_S):
        shared = _share_prepared(place, home)
        with run_lock(home, f"prepared-{shared.name}", wait_s=WAIT_S):
            _take_over(Place.of_workspace(place.workspace, place.lane), place)
            _run("prepare", place, progress)
        environment = environment_digest(place.workspace)
        with tracked(place, progress) as watched:
            for stage in STAGES[1:]:
                _run(stage, place, watched, environment=environment)


def _run(stage: StageName, place: Place, progress: Progress, *, environment: str | None = None) -> None:
    current = not why_not_current(stage, place, environment=environment)
    progress.message(f"{stage}: {'unchanged' if current else 'running'}")
    if not current:
        _STAGES[stage](place, progress=progress)


def _share_prepared(place: Place, home: Path) -> Path:
    """Let `prepare` be a link to a folder that all jobs with the same data configuration share; returns the folder."""
    config = read_composed(place.params)
    key = stage_key("prepare", place, find_lane(config["lane"]["kind"]), config)
    link, shared = place.folder / "prepare", home / "work" / "prepared" / sha256_json(vars(key))[:16]
    shared.mkdir(parents=True, exist_ok=True)
    target = os.path.relpath(shared, link.parent)
    if link.is_symlink() and os.readlink(link) != target:
        link.unlink()
    if not link.is_symlink():
        link.symlink_to(target)
    return shared


def _take_over(dvc: Place, place: Place) -> None:
    """Copy what DVC has prepared already, if it is the same; the record last, so that a broken copy is not believed."""
    same = Place(workspace=place.workspace, folder=dvc.folder, params=place.params, lane=place.lane)
    made, ours = dvc.folder / "prepare", place.folder / "prepare"
    if (ours / RECORD).is_file() or why_not_current("prepare", same):
        return
    for name in sorted(files_under(made), key=lambda name: name == RECORD):
        copy_atomic(made / name, ours / name)
