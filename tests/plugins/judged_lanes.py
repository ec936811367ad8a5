"""The toy lane run up to its judgement inside this process, in its stage folders and archived.

One run is made in a process and copied, because five stages take a second.
"""

import os
import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from unittest.mock import patch

from toy_text import toy_text

from interlock.decisions.archived import archived_sources
from interlock.decisions.sources import Sources, stage_sources
from interlock.runs.sync import sync_lane
from interlock.stages import evaluate, export, judge, prepare, train
from interlock.stages.place import Place, read_composed
from interlock.stages.progress import Silent

ROOT = Path(__file__).resolve().parents[2]
UP_TO_JUDGE = (prepare, train, evaluate, export, judge)


@dataclass(frozen=True)
class JudgedLane:
    """A lane in `<path>/run`, with its home in `<path>/home`."""

    path: Path

    @property
    def home(self):
        return self.path / "home"

    @property
    def place(self):
        folder = self.path / "run"
        return Place(workspace=ROOT, folder=folder, params=folder / "params.yaml", lane="toy")

    @property
    def config(self):
        return read_composed(self.place.params)

    @property
    def here(self) -> Sources:
        """Sources of the stage folders."""
        return stage_sources(self.place.folder)

    @property
    def archived(self) -> Sources:
        """Sources of the archive."""
        return archived_sources(self.home, self.here.judgement.run_id)

    def compose(self, *overrides):
        self.place.folder.mkdir(parents=True, exist_ok=True)
        self.place.params.write_text(toy_text(*overrides))
        return self

    def run(self, *stages):
        """Run stages, by default all up to the judge."""
        with patch.dict(os.environ, {"INTERLOCK_HOME": str(self.home)}):
            for stage in stages or UP_TO_JUDGE:
                stage.run(self.place, progress=Silent())
        return self

    def sync(self):
        """Archive what is there."""
        with patch.dict(os.environ, {"INTERLOCK_HOME": str(self.home)}):
            sync_lane(self.place.folder, workspace=ROOT, home=self.home)
        return self


def judged_lane(path: Path, *overrides: str) -> JudgedLane:
    """A judged and archived run of its own below `path`."""
    shutil.copytree(_made(overrides), path, dirs_exist_ok=True)
    return JudgedLane(path)


@cache
def _made(overrides: tuple[str, ...]) -> Path:
    path = Path(tempfile.mkdtemp(prefix="judged-", dir=_folder()))
    JudgedLane(path).compose(*overrides).run().sync()
    return path


@cache
def _folder() -> str:
    """Gone when the process ends."""
    folder = tempfile.TemporaryDirectory(prefix="interlock-judged-")
    _KEPT.append(folder)
    return folder.name


_KEPT: list[tempfile.TemporaryDirectory[str]] = []
