"""Take over finished stages of the same run from another folder: of `interlock run`, of DVC, of an earlier drive.

    take_over(place)        before the stages run; what is not the same is simply run

A drive with another ceiling has folders of its own, and its first attempt is often a run that somebody has tried
already. Copies are believed no sooner than any stage: the runner compares configuration, code, inputs and every byte.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from interlock.contracts.stage import STAGE_PARAMS, StageName
from interlock.provenance.canonical import sha256_json
from interlock.provenance.digest import files_under
from interlock.provenance.dotted import select
from interlock.provenance.environment import environment_digest
from interlock.provenance.files import copy_atomic
from interlock.provenance.workspace import interlock_home
from interlock.stages.current import why_not_current
from interlock.stages.place import RECORD, Place, read_composed

_KEPT: tuple[StageName, ...] = ("train", "evaluate", "export", "judge")


def take_over(place: Place) -> tuple[StageName, ...]:
    """Copy the stages after `prepare` that another folder has exactly as this place would make them; returns them.

    Does nothing where training has ended here. A folder that changes under the copy gives a stage that runs again.
    """
    if (place.folder / "train" / RECORD).is_file():
        return ()
    asked = sha256_json(select(read_composed(place.params), STAGE_PARAMS["train"]))
    environment = environment_digest(place.workspace)
    for folder in _others(place):
        if _asked_of(folder) != asked:
            continue
        other, taken = replace(place, folder=folder), []
        for stage in _KEPT:
            if why_not_current(stage, other, environment=environment):
                break
            _copy(folder / stage, place.folder / stage)
            taken.append(stage)
        if taken:
            return tuple(taken)
    return ()


def _others(place: Place) -> Iterator[Path]:
    """Where the same run may stand, DVC's folder first."""
    yield Place.of_workspace(place.workspace, place.lane).folder
    work = interlock_home(place.workspace) / "work"
    yield from (path for path in sorted(work.glob(f"{place.lane}-*")) if path != place.folder)


def _asked_of(folder: Path) -> str:
    """Digest of the configuration that a folder's training was asked for; empty for one that has not ended."""
    try:
        record = json.loads((folder / "train" / RECORD).read_bytes())
        return str(record.get("asked_params_sha256") or record["params_sha256"])
    except (OSError, ValueError, KeyError):
        return ""


def _copy(source: Path, target: Path) -> None:
    for name in sorted(files_under(source), key=lambda name: name == RECORD):
        copy_atomic(source / name, target / name)
