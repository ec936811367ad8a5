"""Finished runs of the toy lane, made by the real stages in a workspace of their own, and copies of them to spoil.

The workspace is a copy of this checkout's code, so that editing the checkout meanwhile changes nothing, and code can be
spoiled as well. Each run is a lane folder in it; a copy is another one. A process of its own makes the runs, because a
stage refuses to work for a workspace whose code is not the code that runs. The toy lane is a plug-in of the tests,
`tests/plugins/toy_lane`, and has to be importable.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from interlock.commands.status import lane_status
from interlock.config.compose import compose_lane
from interlock.config.params import composed_text
from interlock.config.validate import validate
from interlock.contracts.verdict import Verdict
from interlock.errors import InterlockError
from interlock.provenance.digest import sha256_file
from interlock.stages import decide, evaluate, export, judge, prepare, train
from interlock.stages.place import Place
from interlock.stages.progress import Silent

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = ROOT / "tests" / "plugins"
STAGES = (prepare, train, evaluate, export, judge, decide)
RUNS: dict[str, tuple[str, ...]] = {
    "good": (),
    "other": ("lane.optimizer.lr=0.4",),
    "bad": ("lane.model.value=0.03",),
    "unsure": ("lane.model.value=0.014",),
    "unconverged": ("lane.optimizer.lr=0.8775", "lane.trainer.steps=2"),
}
"""Name and overrides: `good` and `other` pass; `bad` fails; `unsure` has a borderline accuracy; `unconverged` is
accurate by luck, but its loss still falls."""


@dataclass(frozen=True)
class ToyRun:
    """One lane folder of the workspace."""

    workspace: Path
    name: str

    @property
    def place(self) -> Place:
        """Where DVC would run it."""
        return Place.of_workspace(self.workspace, self.name)

    def stage(self, stage: str) -> Path:
        """Folder of one stage."""
        return self.place.folder / stage

    def configure(self, *overrides: str) -> None:
        """Compose its configuration, as `interlock compose` does."""
        experiment = validate(compose_lane(ROOT / "conf", ["lane=toy", *overrides]), subject="toy")
        self.place.params.parent.mkdir(exist_ok=True)
        self.place.params.write_text(composed_text(experiment))

    def sign_again(self, *stages: str) -> None:
        """Make these stages' records fit their files and each other, as somebody would who knows about digests."""
        for stage in stages:
            for name in ("record.json", "outputs.json"):
                edit_json(self.stage(stage) / name, lambda record, stage=stage: self._refresh(record, stage))

    def _refresh(self, record: Any, stage: str) -> None:
        for name, described in record.get("artifacts", {}).items():
            file = self.stage(stage) / name
            described.update(sha256=sha256_file(file), size_bytes=file.stat().st_size)
        for name in record.get("inputs", {}):
            record["inputs"][name] = sha256_file(self.stage(name) / "outputs.json")

    def status(self) -> Verdict:
        """What `interlock status` says."""
        with _own_home():
            return lane_status(self.workspace, self.name).verdict

    def judge_again(self) -> Verdict:
        """What the reading and judging of the judge stage say now."""
        from interlock.stages.place import load_record, read_composed
        from interlock.stages.verdicts import read_gates, read_measured

        def verdict() -> Verdict:
            run_id = str(load_record(self.stage("train"), verify=True).run_id)
            measured = read_measured([self.stage("evaluate"), self.stage("export")], run_id=run_id)
            return measured.judgement("toy", read_gates(read_composed(self.place.params)["lane"]["gates"])).verdict

        return refusal_is_blocked(verdict)


class ToyRuns:
    """The workspace with its finished runs."""

    def __init__(self, folder: Path) -> None:
        self.workspace, self._copies = folder, 0

    def finished(self, name: str) -> ToyRun:
        """A finished run, not to be changed. The first call makes all of them, in about three seconds."""
        if not self.workspace.is_dir():
            _make(self.workspace)
        return ToyRun(self.workspace, name)

    @contextmanager
    def copy(self, name: str) -> Iterator[ToyRun]:
        """A copy that may be spoiled."""
        source = self.finished(name)
        self._copies += 1
        copied = ToyRun(self.workspace, f"copy{self._copies:04d}")
        shutil.copytree(source.place.folder, copied.place.folder)
        shutil.copy(source.place.params, copied.place.params)
        try:
            yield copied
        finally:
            shutil.rmtree(copied.place.folder)


def make_here(workspace: str) -> None:
    """Run all stages of all runs; called in a process whose `interlock` is the workspace's."""
    with _own_home():
        for name in RUNS:
            for stage in STAGES:
                stage.run(ToyRun(Path(workspace), name).place, progress=Silent())


def _make(workspace: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for part in ("src", "pipelines"):
        shutil.copytree(ROOT / part, workspace / part, ignore=ignored)
    shutil.copy(ROOT / "requirements.lock", workspace)
    for name, overrides in RUNS.items():
        ToyRun(workspace, name).configure(*overrides)
    path = os.pathsep.join(str(folder) for folder in (workspace / "src", ROOT / "benchmarks", PLUGINS))
    command = [sys.executable, "-c", "import sys; from gatebench.toy_runs import make_here; make_here(sys.argv[1])"]
    environment = os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([*command, str(workspace)], check=True, env=environment, timeout=300)


@contextmanager
def _own_home() -> Iterator[None]:
    """Archive and locks stay inside the temporary workspace, whatever the person's shell says."""
    kept = os.environ.pop("INTERLOCK_HOME", None)
    try:
        yield
    finally:
        if kept is not None:
            os.environ["INTERLOCK_HOME"] = kept


def edit_json(path: Path, change: Callable[[Any], None]) -> None:
    """Read, change, write."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def refusal_is_blocked(call: Callable[[], Verdict]) -> Verdict:
    """A refusal by name means that nothing was judged. Anything else that is raised is a fault of ours."""
    try:
        return call()
    except (InterlockError, ValidationError):
        return Verdict.BLOCKED
