"""Real runs of the toy lane in any home, made in this process: what honest people leave behind, in many varieties.

    maker = HonestRuns(scratch, workspace=checkout)         # composes the toy lane once
    run_id = maker.run(home, seed=3, variety="resumed")

Used by the tests of verification and by the tampering benchmark.
"""

import copy
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from interlock.config.compose import compose_lane
from interlock.config.params import composed_text
from interlock.config.validate import validate
from interlock.provenance.canonical import canonical_json, pretty_json
from interlock.provenance.signing import SIGNING_KEY_VARIABLE
from interlock.registry.archive import read_card
from interlock.runs.runner import run_lane, work_place
from interlock.runs.sync import keep_judgement, sync_lane
from interlock.stages.place import Place, read_composed
from interlock.stages.progress import Silent
from interlock.stages.verdicts import read_archived, read_gates


class _PowerCutError(RuntimeError):
    """Stands for whatever ends a training."""


class _Cut(Silent):
    """Ends the training after some steps."""

    def __init__(self, after: int) -> None:
        self._left = after

    def track(self, items: Iterable[Any], description: str, total: int | None = None) -> Iterator[Any]:
        for item in items:
            if self._left == 0:
                raise _PowerCutError("cut")
            self._left -= 1
            yield item


class HonestRuns:
    """Makes runs of the toy lane."""

    def __init__(self, scratch: Path, *, workspace: Path) -> None:
        self._workspace = workspace
        experiment = validate(compose_lane(workspace / "conf", ["lane=toy"]), subject="toy")
        file = scratch / "toy.yaml"
        file.write_text(composed_text(experiment))
        self._config = read_composed(file)

    def run(
        self,
        home: Path,
        *,
        seed: int,
        variety: str = "plain",
        key: Path | None = None,
        lr: float = 0.5,
        steps: int = 20,
    ) -> str:
        """One run of a variety, archived and, with a key, signed by sync. Returns its id."""
        config = copy.deepcopy(self._config)
        config["seed"] = seed
        config["lane"]["optimizer"]["lr"], config["lane"]["trainer"]["steps"] = lr, steps
        with environment(INTERLOCK_HOME=str(home), **({SIGNING_KEY_VARIABLE: str(key)} if key else {})):
            return VARIETIES[variety](self, home, config)

    def place(self, config: dict[str, Any]) -> Place:
        """Where `interlock run` would work on it."""
        return work_place(self._workspace, lane="toy", composed=canonical_json(config))

    def finish(self, home: Path, config: dict[str, Any]) -> str:
        """Run and archive."""
        place = self.place(config)
        run_lane(place, progress=Silent())
        done = sync_lane(place.folder, workspace=self._workspace, home=home)
        assert done.run_id
        return done.run_id


def judge_by_hand(home: Path, run_id: str, *, target: float) -> None:
    """What `interlock judge` does, with another threshold."""
    measured = read_archived(home / "runs" / run_id / "models", run_id=run_id)
    record = json.loads((home / "runs" / run_id / "models/records/export.json").read_text())
    raw = record["params"]["lane"]["gates"]
    raw["accuracy"]["target"] = target
    gates = read_gates(raw)
    judgement = measured.judgement(read_card(home, run_id).lane, gates)
    kept = {"verdict.md": "by hand\n", "gates.json": pretty_json(dict(gates))}
    keep_judgement(home, judgement, made_at=f"2026-03-01T00:00:{int(target * 50):02d}+00:00", files=kept)


def _plain(maker: HonestRuns, home: Path, config: dict[str, Any]) -> str:
    return maker.finish(home, config)


def _resumed(maker: HonestRuns, home: Path, config: dict[str, Any]) -> str:
    try:
        run_lane(maker.place(config), progress=_Cut(5 + config["seed"] % 7))
    except _PowerCutError:
        return maker.finish(home, config)
    raise AssertionError("it was not cut")


def _failing(maker: HonestRuns, home: Path, config: dict[str, Any]) -> str:
    config["lane"]["model"]["value"] = 0.2
    return maker.finish(home, config)


def _exported_later(maker: HonestRuns, home: Path, config: dict[str, Any]) -> str:
    strict = copy.deepcopy(config)
    strict["lane"]["gates"]["accuracy"]["target"] = 0.99
    maker.finish(home, strict)
    return maker.finish(home, config)


def _exported_and_then_judged_strictly(maker: HonestRuns, home: Path, config: dict[str, Any]) -> str:
    run_id = maker.finish(home, config)
    strict = copy.deepcopy(config)
    strict["lane"]["gates"]["accuracy"]["target"] = 0.99
    maker.finish(home, strict)
    return run_id


def _judged_again(maker: HonestRuns, home: Path, config: dict[str, Any]) -> str:
    run_id = maker.finish(home, config)
    judge_by_hand(home, run_id, target=0.97)
    return run_id


def _judged_thrice(maker: HonestRuns, home: Path, config: dict[str, Any]) -> str:
    run_id = maker.finish(home, config)
    for target in (0.5, 0.97, 0.5):
        judge_by_hand(home, run_id, target=target)
    return run_id


def _synced_twice(maker: HonestRuns, home: Path, config: dict[str, Any]) -> str:
    maker.finish(home, config)
    return maker.finish(home, config)


VARIETIES: dict[str, Callable[[HonestRuns, Path, dict[str, Any]], str]] = {
    "plain": _plain,
    "resumed": _resumed,
    "failing, export skipped": _failing,
    "export skipped, then finished": _exported_later,
    "exported, then skipped under stricter gates": _exported_and_then_judged_strictly,
    "judged again by hand": _judged_again,
    "judged three times by hand": _judged_thrice,
    "synced twice": _synced_twice,
}
"""How an honest run may come about."""


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """Settings for the block."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
