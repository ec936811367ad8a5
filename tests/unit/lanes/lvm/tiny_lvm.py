"""A next-vector predictor small enough for tests: stories, a configuration, jobs. Run as a program it is killed.

    python tiny_lvm.py ROOT KIND SHARE...

In ROOT/whole one attempt is left alone. In ROOT/killed there is one attempt for each number, killed with SIGKILL after
that share of the time the first one took, and then one that is left alone.
"""

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

from tiny_stories import write_stories

from interlock.contracts.hardware import CpuTarget
from interlock.contracts.stage import Artifact, StageRecord
from interlock.lanes.lvm import data, evaluate, export, train
from interlock.lanes.lvm.config import Lvm
from interlock.lanes.spec import StageJob
from interlock.stages.progress import Silent

MODELS = {
    "recurrent": {"kind": "recurrent", "encoder": {"kind": "lsa", "dimensions": 8}, "width": 16},
    "causal_transformer": {
        "kind": "causal_transformer", "encoder": {"kind": "lsa", "dimensions": 8}, "width": 16, "heads": 2,
    },
}  # fmt: skip


def body(kind="recurrent", **changes) -> Lvm:
    values = {
        "kind": "lvm",
        "data": {"kind": "stories", "path": "stories", "name": "tiny"},
        "model": dict(MODELS[kind]),
        "optimizer": {"kind": "adamw", "lr": 0.01},
        "trainer": {
            "epochs": 4, "batch_size": 4, "window": 6, "log_every_steps": 1, "resume_every_s": 0.01,
            "early_stop_patience": 3,
        },
        "inputs": {},
    }  # fmt: skip
    for dotted, value in changes.items():
        *parents, last = dotted.split("__")
        target = values
        for parent in parents:
            target = target[parent]
        target[last] = value
    return Lvm.model_validate_json(json.dumps(values))


def job(stage: str, root: Path, lane: Lvm, **changes) -> StageJob:
    folder = root / stage
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    earlier = [name for name in ("prepare", "train", "evaluate") if (root / f"{name}.record.json").is_file()]
    values = dict(
        lane=lane, seed=1, hardware=CpuTarget(kind="cpu"), folder=folder, workspace=root,
        inputs={name: root / name for name in earlier},
        records={
            name: StageRecord.model_validate_json((root / f"{name}.record.json").read_text()) for name in earlier
        },
        state=root / "state", run_id="tiny", evaluator_sha256="0" * 64, compute_hours_max=1.0, progress=Silent(),
    )  # fmt: skip
    return StageJob(**(values | changes))


FUNCTIONS = {"prepare": data.prepare, "train": train.train, "evaluate": evaluate.evaluate, "export": export.export}


def run(stage: str, root: Path, lane: Lvm, **changes):
    """Run a stage as the framework would, leaving its record beside the folder."""
    outcome = FUNCTIONS[stage](job(stage, root, lane, **changes))
    names = [path.relative_to(root / stage).as_posix() for path in (root / stage).rglob("*") if path.is_file()]
    record = StageRecord(
        stage=stage, lane="lvm", status=outcome.status, run_id="tiny", params_sha256="0" * 64,
        code_sha256="0" * 64, lock_sha256="0" * 64, inputs={}, facts=dict(outcome.facts),
        artifacts={name: Artifact(sha256="0" * 64, size_bytes=0) for name in names},
    )  # fmt: skip
    (root / f"{stage}.record.json").write_text(record.model_dump_json())
    return outcome


def attempts(root: Path, kind: str, shares: list[float]) -> int:
    lane = body(kind, trainer__epochs=40, trainer__early_stop_patience=30)
    for name in ("whole", "killed"):
        write_stories(root / name / "stories")
        run("prepare", root / name, lane)
    plan = [("whole", None), *(("killed", share) for share in shares), ("killed", None)]
    whole_s = 0.0
    for name, share in plan:
        started_s = time.monotonic()
        if (child := os.fork()) == 0:
            run("train", root / name, lane)
            os._exit(0)
        if share is not None:
            time.sleep(share * whole_s)
            os.kill(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        whole_s = whole_s or time.monotonic() - started_s
        print(status, flush=True)
    return status


if __name__ == "__main__":
    sys.exit(attempts(Path(sys.argv[1]), sys.argv[2], [float(number) for number in sys.argv[3:]]))
