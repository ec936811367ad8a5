"""Run all stages of a lane without DVC: what `interlock run` and sweeps do. Finished stages are not repeated.

Each composed configuration has a folder of its own under `work/` of INTERLOCK_HOME, so that jobs never meet. The
prepared data is shared by all jobs with the same data configuration.
"""

import os
from pathlib import Path

from interlock.contracts.stage import STAGE_INPUTS, STAGE_PARAMS, STAGES, StageName
from interlock.errors import InterlockError
from interlock.lanes.catalog import find_lane
from interlock.lanes.spec import Progress
from interlock.provenance.canonical import sha256_json
from interlock.provenance.closure import code_digest
from interlock.provenance.digest import files_under, sha256_file
from interlock.provenance.dotted import select
from interlock.provenance.environment import lock_digest
from interlock.provenance.files import copy_atomic, write_atomic
from interlock.provenance.workspace import interlock_home
from interlock.stages import decide, evaluate, export, judge, prepare, train
from interlock.stages.code import stage_code
from interlock.stages.frame import OUTPUTS, RECORD, Place, load_record, read_composed

_RUN = {
    "prepare": prepare.run,
    "train": train.run,
    "evaluate": evaluate.run,
    "export": export.run,
    "judge": judge.run,
    "decide": decide.run,
}


def work_place(workspace: Path, *, lane: str, composed: str) -> Place:
    """The folder of one composed configuration; writes its `params.yaml`."""
    folder = interlock_home(workspace) / "work" / f"{lane}-{sha256_json(composed)[:12]}"
    params = folder / "params.yaml"
    if not params.is_file() or params.read_text() != composed:
        write_atomic(params, composed)
    return Place(workspace=workspace, folder=folder, params=params, lane=lane)


def run_lane(place: Place, *, progress: Progress) -> None:
    """Run every stage that is not current, in order. Raises the first stage's error; the next call resumes there."""
    _share_prepared(place)
    for stage in STAGES:
        if is_current(stage, place):
            progress.message(f"{stage}: unchanged")
            continue
        progress.message(f"{stage}: running")
        _RUN[stage](place, progress=progress)


def is_current(stage: StageName, place: Place) -> bool:
    """Whether the stage's record fits its configuration, code, lock and inputs, and its files are untouched."""
    try:
        record = load_record(place.folder / stage, verify=True)
        inputs = {name: sha256_file(place.folder / name / OUTPUTS) for name in STAGE_INPUTS[stage]}
    except (InterlockError, OSError):
        return False
    key = (record.params_sha256, record.code_sha256, record.lock_sha256)
    return record.inputs == inputs and key == _key(stage, place)


def _key(stage: StageName, place: Place) -> tuple[str, str, str]:
    config = read_composed(place.params)
    files = stage_code(stage, find_lane(config["lane"]["kind"]), place.workspace)
    return (
        sha256_json(select(config, STAGE_PARAMS[stage])),
        code_digest(files, place.workspace),
        lock_digest(place.workspace),
    )


def _take_over(made: Path, shared: Path, key: tuple[str, str, str]) -> None:
    """Copy what DVC has prepared already, if it is the same; the record last, so that a broken copy is not believed."""
    try:
        record = load_record(made, verify=True)
    except InterlockError:
        return
    if (record.params_sha256, record.code_sha256, record.lock_sha256) == key:
        for name in sorted(files_under(made), key=lambda name: name == RECORD):
            copy_atomic(made / name, shared / name)


def _share_prepared(place: Place) -> None:
    """Let `prepare` be a link to a folder that all jobs with the same data configuration share."""
    link, key = place.folder / "prepare", _key("prepare", place)
    shared = interlock_home(place.workspace) / "work" / "prepared" / sha256_json(key)[:16]
    shared.mkdir(parents=True, exist_ok=True)
    if not (shared / RECORD).is_file():
        _take_over(Place.of_workspace(place.workspace, place.lane).folder / "prepare", shared, key)
    target = os.path.relpath(shared, link.parent)
    if link.is_symlink() and os.readlink(link) == target:
        return
    link.unlink(missing_ok=True)
    link.symlink_to(target)
