"""The toy lane composed into a temporary folder; the code is this checkout's. Nothing waits for the disk."""

import os
from pathlib import Path

import pytest
from toy_text import toy_text

from interlock.stages.place import Place

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _without_waiting_for_the_disk(monkeypatch):
    """No unit test outlives a power cut; that files are flushed is tested where they are written, by a stand-in."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def make_place(tmp_path, monkeypatch):
    monkeypatch.setenv("INTERLOCK_HOME", str(tmp_path / "home"))

    def make(*overrides, name="run"):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "params.yaml").write_text(toy_text(*overrides))
        return Place(workspace=ROOT, folder=folder, params=folder / "params.yaml", lane="toy")

    return make
