"""Run all stages of a lane without DVC: what `interlock run` and sweeps do. Finished stages are not repeated.

Each composed configuration has a folder of its own under `work/` of INTERLOCK_HOME, so that jobs never meet. The
prepared data is shared by all jobs with the same data configuration.
"""

import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

from interlock.contracts.stage import STAGES, StageName
from interlock.lanes.spec import Progress
from interlock.provenance.attempts import run_lock
from interlock.provenance.canonical import sha256_json
from interlock.provenance.digest import files_under
from interlock.provenance.environment import environment_digest
from interlock.provenance.files import copy_atomic, write_atomic
from interlock.provenance.workspace import interlock_home
from interlock.stages import decide, evaluate, export, judge, prepare, train
from interlock.stages.current import prepared_name, why_not_current
from interlock.stages.inputs import GIVEN
from interlock.stages.place import RECORD, Place
from interlock.stages.progress import Silent, tracked

Item = TypeVar("Item")

WAIT_S = 24 * 3600.0
"""How long a job waits for another one that works on the same thing."""

_UP_TO_VERDICT = STAGES[: STAGES.index("judge") + 1]
"""What another lane must have finished to be used."""
_STAGES = {
    "prepare": prepare.run,
    "train": train.run,
    "evaluate": evaluate.run,
    "export": export.run,
    "judge": judge.run,
    "decide": decide.run,
}


def work_place(workspace: Path, *, lane: str, composed: str, needs: Mapping[str, Place] | None = None) -> Place:
    """The folder of one composed configuration; writes its `params.yaml`.

    `needs` are the places of lanes that it is made from, by the name of the input: other ones give another folder.
    """
    needs = dict(needs or {})
    names = {name: place.folder.name for name, place in needs.items()}
    folder = work_folder(interlock_home(workspace), lane=lane, composed=composed, needs=names)
    params = folder / "params.yaml"
    if not params.is_file() or params.read_text() != composed:
        write_atomic(params, composed)
    return Place(workspace=workspace, folder=folder, params=params, lane=lane, wait_s=WAIT_S, needs=needs)


def work_folder(home: Path, *, lane: str, composed: str, needs: Mapping[str, str]) -> Path:
    """Where `work_place` puts it; makes nothing. `needs` are the names of the folders of lanes that it needs."""
    read = [_read_by_stages(composed), dict(needs)]
    return home / "work" / f"{lane}-{sha256_json(read if needs else read[0])[:12]}"


def _read_by_stages(composed: str) -> dict[str, Any]:
    """What stages may read. How a run is shown and watched is left out: that runs nothing again."""
    values = yaml.load(composed, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return {key: value for key, value in values.items() if key not in ("tracking", "control", "recovery", "prices")}


def run_lane(place: Place, *, progress: Progress, stages: Collection[StageName] = STAGES) -> None:
    """Run those of `stages` that are not current, in order. Raises the first one's error; the next call resumes there.

    Lanes that it needs come before, whole, unless DVC has them as they are composed here. Waits for another process
    that runs the same configuration, and then finds its stages finished.
    """
    home = interlock_home(place.workspace)
    for name, need in place.needs.items():
        _make_need(place, name, need, progress)
    with run_lock(home, f"run-{place.folder.name}", wait_s=WAIT_S), tracked(place, progress) as watched:
        if "prepare" in stages:
            shared = _share_prepared(place, home)
            with run_lock(home, f"prepared-{shared.name}", wait_s=WAIT_S):
                _take_over(Place.of_workspace(place.workspace, place.lane), place)
                _run("prepare", place, watched)
        environment = environment_digest(place.workspace)
        for stage in STAGES[1:]:
            if stage in stages:
                _run(stage, place, watched, environment=environment)


class _Beside(Silent):
    """Progress of a lane that is run for another one: it is told apart, and its curves are not the other one's."""

    def __init__(self, inner: Progress, name: str) -> None:
        self._inner, self._name = inner, name

    def track(self, items: Iterable[Item], description: str, total: int | None = None) -> Iterable[Item]:
        """Show how far the loop is."""
        return self._inner.track(items, f"{self._name}: {description}", total=total)

    def message(self, text: str) -> None:
        """Say which lane the line is about."""
        self._inner.message(f"{self._name}: {text}")


def needed_folders(place: Place) -> list[Path]:
    """Where the lanes that a place was made from stand now, those first that others were made from."""
    found: list[Path] = []
    for name, need in place.needs.items():
        link = place.folder / GIVEN / name
        folder = link.resolve() if link.exists() else Place.of_workspace(place.workspace, need.lane).folder
        found += [*needed_folders(Place(**{**vars(need), "folder": folder})), folder]
    return list(dict.fromkeys(found))


def _make_need(place: Place, name: str, need: Place, progress: Progress) -> None:
    """Link the run of a lane that this one is made from: DVC's, else one that is made in a work folder of its own."""
    folder = Place.of_workspace(place.workspace, need.lane).folder
    if _stands_in_dvc(need):
        progress.message(f"{name}: lane {need.lane} as DVC has it")
    else:
        progress.message(f"{name}: lane {need.lane}, in {need.folder.name}")
        run_lane(need, progress=_Beside(progress, name))
        folder = need.folder
    _link(place.folder / GIVEN / name, folder)


def _stands_in_dvc(need: Place) -> bool:
    """Whether DVC has run the lane, and those that it needs, with this very configuration, and all is current."""
    dvc = Place.of_workspace(need.workspace, need.lane)
    if not dvc.params.is_file() or _read_by_stages(dvc.params.read_text()) != _read_by_stages(need.params.read_text()):
        return False
    environment = environment_digest(need.workspace)
    is_current = not any(why_not_current(stage, dvc, environment=environment) for stage in _UP_TO_VERDICT)
    return is_current and all(_stands_in_dvc(other) for other in need.needs.values())


def _run(stage: StageName, place: Place, progress: Progress, *, environment: str | None = None) -> None:
    current = not why_not_current(stage, place, environment=environment)
    progress.message(f"{stage}: {'unchanged' if current else 'running'}")
    if not current:
        _STAGES[stage](place, progress=progress)


def _share_prepared(place: Place, home: Path) -> Path:
    """Let `prepare` be a link to a folder that all jobs with the same data configuration share; returns the folder."""
    shared = home / "work" / "prepared" / prepared_name(place)
    shared.mkdir(parents=True, exist_ok=True)
    _link(place.folder / "prepare", shared)
    return shared


def _link(link: Path, folder: Path) -> None:
    """Let `link` lead to the folder, in one step that readers beside it cannot see half done."""
    target = os.path.relpath(folder, link.parent)
    if link.is_symlink() and os.readlink(link) == target:
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    fresh = link.with_name(f".{link.name}.{os.getpid()}.part")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    os.replace(fresh, link)


def _take_over(dvc: Place, place: Place) -> None:
    """Copy what DVC has prepared already, if it is the same; the record last, so that a broken copy is not believed."""
    same = Place(workspace=place.workspace, folder=dvc.folder, params=place.params, lane=place.lane)
    made, ours = dvc.folder / "prepare", place.folder / "prepare"
    if (ours / RECORD).is_file() or why_not_current("prepare", same):
        return
    for name in sorted(files_under(made), key=lambda name: name == RECORD):
        copy_atomic(made / name, ours / name)
