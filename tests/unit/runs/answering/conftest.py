"""Lanes in a workspace as DVC leaves them: the toy lane, run once and copied by every test."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from toy_text import toy_text

from interlock.runs.runner import run_lane
from interlock.stages.place import Place
from interlock.stages.progress import Silent

ROOT = Path(__file__).resolve().parents[4]


@dataclass(frozen=True)
class Lanes:
    """A workspace with finished lanes."""

    workspace: Path
    home: Path

    def folder(self, lane):
        return self.workspace / "artifacts" / "lanes" / lane


def _make(path: Path, lanes: dict[str, tuple[str, ...]]) -> None:
    path.mkdir()
    for part in ("src", "pipelines"):
        (path / part).symlink_to(ROOT / part)
    shutil.copy(ROOT / "requirements.lock", path)
    (path / "params").mkdir()
    for lane, overrides in lanes.items():
        (path / "params" / f"{lane}.yaml").write_text(toy_text(*overrides))
        run_lane(Place.of_workspace(path, lane), progress=Silent())


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """Three lanes: one passes, one fails, one was never run."""
    base = tmp_path_factory.mktemp("answering")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INTERLOCK_HOME", str(base / "home"))
        patch.setattr(os, "fsync", lambda descriptor: None)
        _make(base / "workspace", {"good": (), "bad": ("lane.model.value=0.3",)})
    return base


@pytest.fixture
def lanes(finished, tmp_path, monkeypatch):
    shutil.copytree(finished, tmp_path / "copy", symlinks=True)
    monkeypatch.setenv("INTERLOCK_HOME", str(tmp_path / "copy" / "home"))
    return Lanes(tmp_path / "copy" / "workspace", tmp_path / "copy" / "home")
