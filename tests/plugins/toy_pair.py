"""A workspace with two toy lanes, one made from the other, run inside this process by the real code.

pair = ToyPair(tmp_path)
pair.params("[toy, follower]", toy={"seed": 2})
pair.dvc("toy", "follower")                      # what `dvc repro` would leave in artifacts/lanes
place = pair.place("seed=3")                     # where `interlock run lane=follower seed=3` would work
"""

import json
import shutil
from pathlib import Path

from interlock.commands.running import prepared_place
from interlock.config.compose import compose_lane
from interlock.config.params import compose_workspace, write_composed
from interlock.config.validate import validate
from interlock.contracts.stage import STAGES
from interlock.errors import ConfigError
from interlock.runs.runner import _STAGES as RUN
from interlock.runs.sync import sync_lane
from interlock.stages.current import why_not_current
from interlock.stages.place import Place, load_record
from interlock.stages.progress import Silent

ROOT = Path(__file__).resolve().parents[2]
STRICT = {"lane": {"gates": {"accuracy": {"target": 0.95}}}}
"""Overrides with which the toy lane fails."""


class ToyPair:
    """The checkout's code under a `conf/` and a `params.yaml` of its own."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.path = path
        for name in ("src", "pipelines"):
            (path / name).symlink_to(ROOT / name)
        shutil.copytree(ROOT / "conf", path / "conf")
        shutil.copy(ROOT / "requirements.lock", path)
        self.params()

    @property
    def home(self) -> Path:
        """Archive and registry."""
        return self.path / "artifacts"

    def params(self, lanes: str = "[toy, follower]", **lane_overrides: object) -> None:
        """Write `params.yaml`."""
        text = f"experiment: default\nlanes: {lanes}\noverrides: {{}}\nlane_overrides: {json.dumps(lane_overrides)}\n"
        (self.path / "params.yaml").write_text(text)

    def lane_file(self, name: str, *, inputs: str, kind: str = "toy_follower") -> None:
        """Write another lane into `conf/lane`."""
        chosen = {"data": "numbers", "model": "offset", "optimizer": "plain", "trainer": "steps", "gate": "toy"}
        defaults = "".join(f"  - override /{group}: {option}\n" for group, option in chosen.items())
        text = f"# @package _global_\ndefaults:\n{defaults}lane: {{kind: {kind}, inputs: {inputs}}}\n"
        (self.path / "conf/lane" / f"{name}.yaml").write_text(text)

    def composed(self, *overrides: str, lane: str = "follower"):
        """The validated experiment of one lane, as `interlock run` composes it."""
        return validate(compose_lane(self.path / "conf", [f"lane={lane}", *overrides]), subject=lane)

    def faults(self, *overrides: str, lane: str = "follower") -> dict[str, str]:
        """Problems by key; empty for a valid configuration."""
        try:
            self.composed(*overrides, lane=lane)
        except ConfigError as error:
            return {fault.key: fault.problem for fault in error.faults}
        return {}

    def dvc(self, *lanes: str) -> list[str]:
        """Compose, and run what is not current of these lanes where DVC keeps them; returns what ran."""
        write_composed(self.path, compose_workspace(self.path))
        ran = []
        for lane in lanes:
            place = Place.of_workspace(self.path, lane)
            for stage in STAGES:
                if why_not_current(stage, place):
                    RUN[stage](place, progress=Silent())
                    ran.append(f"{lane}-{stage}")
        return ran

    def place(self, *overrides: str, lane: str = "follower") -> Place:
        """The work folder of `interlock run`."""
        return prepared_place(self.path, lane, compose_lane(self.path / "conf", [f"lane={lane}", *overrides]))

    def lane(self, name: str) -> Place:
        """Where DVC runs a lane."""
        return Place.of_workspace(self.path, name)

    def run_id(self, name: str) -> str:
        """The run in a lane's folder."""
        return str(load_record(self.lane(name).folder / "train").run_id)

    def archive(self, *lanes: str) -> None:
        """`interlock sync` for these lanes."""
        for lane in lanes:
            sync_lane(self.lane(lane).folder, workspace=self.path, home=self.home)
