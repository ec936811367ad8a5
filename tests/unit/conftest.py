"""The toy lane composed into a temporary folder; the code is this checkout's."""

from pathlib import Path

import pytest

from interlock.config.compose import compose_lane
from interlock.config.params import composed_text
from interlock.config.validate import validate
from interlock.stages.place import Place

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def make_place(tmp_path, monkeypatch):
    monkeypatch.setenv("INTERLOCK_HOME", str(tmp_path / "home"))

    def make(*overrides, name="run"):
        experiment = validate(compose_lane(ROOT / "conf", ["lane=toy", *overrides]), subject="toy")
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "params.yaml").write_text(composed_text(experiment))
        return Place(workspace=ROOT, folder=folder, params=folder / "params.yaml", lane="toy")

    return make
