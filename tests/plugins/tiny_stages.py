"""Stages of a lane run on tiny data as the framework would run them, and trainings that are killed.

    body = changed(LaneBody, values, trainer__epochs=2)
    run_stage("prepare", root, body); run_stage("train", root, body)

Each stage has its folder, and the record that the next one reads, under `root`. Does not write any lane's data.
"""

import importlib.util
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import interlock
from interlock.contracts.hardware import CpuTarget
from interlock.contracts.lane import LaneBody
from interlock.contracts.measurement import Measurement, Measurements
from interlock.contracts.stage import STAGE_INPUTS, Artifact, StageName, StageRecord
from interlock.lanes.catalog import find_lane
from interlock.lanes.spec import StageJob, StageOutcome
from interlock.provenance.digest import files_under, sha256_file
from interlock.stages.progress import Silent

Body = TypeVar("Body", bound=LaneBody)
RUN, DIGEST = "tiny", "0" * 64
LOG = "train_log.jsonl"
"""The one training file that carries the time of day."""
IMPORTABLE = os.pathsep.join([str(Path(interlock.__file__).parents[1]), str(Path(__file__).parent)])
"""PYTHONPATH of a program that uses this module."""


def load_beside(file: str, name: str) -> ModuleType:
    """The module `name`.py in the folder of `file`, loaded once; tests of several lanes have files of one name."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(file).with_name(f"{name}.py"))
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def changed(model: type[Body], values: dict[str, Any], changes: dict[str, Any]) -> Body:
    """The configuration with new values; `__` stands for the dots of a key. Changes `values`."""
    for key, value in changes.items():
        *parents, last = key.split("__")
        target = values
        for parent in parents:
            target = target[parent]
        target[last] = value
    return model.model_validate_json(json.dumps(values))


def stage_job(stage: StageName, root: Path, lane: LaneBody, **changes: Any) -> StageJob:
    """What the stage would be given, with an empty folder; `changes` are fields of the job."""
    folder = root / stage
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    earlier = [name for name in STAGE_INPUTS[stage] if _record_path(root, name).is_file()]
    values = dict(
        lane=lane, seed=1, hardware=CpuTarget(kind="cpu"), folder=folder, workspace=root,
        inputs={name: root / name for name in earlier},
        records={name: StageRecord.model_validate_json(_record_path(root, name).read_text()) for name in earlier},
        state=root / "state", run_id=RUN, evaluator_sha256=DIGEST, compute_hours_max=1.0, progress=Silent(),
    )  # fmt: skip
    return StageJob(**(values | changes))


def run_stage(stage: StageName, root: Path, lane: LaneBody, **changes: Any) -> StageOutcome:
    """Run a stage and leave its record beside its folder."""
    outcome = find_lane(lane.kind).stage_function(stage)(stage_job(stage, root, lane, **changes))
    record = StageRecord(
        stage=stage, lane=lane.kind, status=outcome.status, run_id=RUN, params_sha256=DIGEST, code_sha256=DIGEST,
        lock_sha256=DIGEST, inputs={}, facts=dict(outcome.facts),
        artifacts={name: Artifact(sha256=DIGEST, size_bytes=0) for name in files_under(root / stage)},
    )  # fmt: skip
    _record_path(root, stage).write_text(record.model_dump_json())
    return outcome


def facts_of(root: Path, *stages: StageName) -> dict[str, Any]:
    """Facts of finished stages, later ones over earlier ones."""
    return {
        name: fact
        for stage in stages
        for name, fact in json.loads(_record_path(root, stage).read_text())["facts"].items()
    }


def _record_path(root: Path, stage: StageName) -> Path:
    return root / f"{stage}.record.json"


def killed_by_share(train: Callable[[str], object], shares: Sequence[float]) -> int:
    """Print the exit code of each attempt, and return the last.

    `train("whole")` is left alone once. `train("killed")` is killed with SIGKILL for each of the shares, after that
    share of the time that the first one took, and then left alone.
    """
    whole_s, status = 0.0, 0
    for name, share in [("whole", None), *(("killed", share) for share in shares), ("killed", None)]:
        started_s = time.monotonic()
        if (child := os.fork()) == 0:
            train(name)
            os._exit(0)
        if share is not None:
            time.sleep(share * whole_s)
            os.kill(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        whole_s = whole_s or time.monotonic() - started_s
        print(status, flush=True)
    return status


def digests(folder: Path) -> dict[str, str]:
    """Digest of every file that must have the same bytes each time."""
    return {name: sha256_file(folder / name) for name in files_under(folder) if name != LOG}


def measured(root: Path, stage: str) -> dict[str, Measurement]:
    """What a stage measured, by name."""
    items = Measurements.model_validate_json((root / stage / "measurements.json").read_text()).items
    return {item.name: item for item in items}
