"""A reranker small enough for tests, on top of the tiny query tower. Run as a program it is killed.

    python tiny_reranker.py ROOT SHARE...

In ROOT/whole one training is left alone. In ROOT/killed there is one for each number, killed with SIGKILL after that
share of the time the first one took, and then one that is left alone.
"""

import importlib.util
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

from interlock.contracts.hardware import CpuTarget
from interlock.contracts.stage import Artifact, StageRecord
from interlock.lanes.reranker import data, evaluate, export, train
from interlock.lanes.reranker.config import Reranker
from interlock.lanes.spec import LaneInput, StageJob
from interlock.stages.progress import Silent


def load_tiny_tower():
    """The module `tiny_tower.py` of the query tower's tests."""
    if "tiny_tower" not in sys.modules:
        path = Path(__file__).parents[1] / "query_tower" / "tiny_tower.py"
        spec = importlib.util.spec_from_file_location("tiny_tower", path)
        sys.modules["tiny_tower"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["tiny_tower"])
    return sys.modules["tiny_tower"]


TOWER_DATA = {"group_field": "page"}


def write_beir(folder: Path, *, topics=60) -> None:
    """The tiny tower's folder, every topic a page of its own: the four documents of a topic are related."""
    load_tiny_tower().write_beir(folder, topics=topics)
    lines = [json.loads(line) for line in (folder / "corpus.jsonl").read_text().splitlines()]
    records = [{**line, "page": line["_id"].partition("_")[0]} for line in lines]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def body_values() -> dict:
    tower = load_tiny_tower().body_values()
    return {
        "kind": "reranker",
        "data": {**tower["data"], **TOWER_DATA, "candidates": {"size": 12, "false_negative_similarity": 0.6}},
        "model": {"kind": "interaction", "heads": 2, "hidden": 4},
        "optimizer": {"kind": "adamw", "lr": 0.01},
        "trainer": {
            "epochs": 4, "batch_size": 16, "log_every_steps": 1, "resume_every_s": 0.0, "early_stop_patience": 3,
        },
        "inputs": {"first_stage": "lane:query_tower"},
    }  # fmt: skip


def body(**changes) -> Reranker:
    values = body_values()
    for dotted, value in changes.items():
        *parents, last = dotted.split("__")
        target = values
        for parent in parents:
            target = target[parent]
        target[last] = value
    return Reranker.model_validate_json(json.dumps(values))


def run_tower(root: Path, **changes) -> LaneInput:
    """Train the first stage in `root`/tower, on the folder `root`/beir."""
    tiny = load_tiny_tower()
    lane = tiny.body(data__group_field="page", **changes)
    for stage in ("prepare", "train"):
        tiny.run(stage, root / "tower", lane, workspace=root)
    return given(root, lane, "query_tower", "tower")


def given(root: Path, lane, reference: str, folder: str) -> LaneInput:
    """A finished folder as the framework would hand it over."""
    records = [json.loads((root / folder / f"{stage}.record.json").read_text()) for stage in ("prepare", "train")]
    return LaneInput(
        reference=f"lane:{reference}", run_id="f" * 16, lane=lane, verdict="pass", trained=root / folder / "train",
        facts=records[0]["facts"] | records[1]["facts"], sha256="0" * 64,
    )  # fmt: skip


def job(stage: str, root: Path, lane: Reranker, inputs, **changes) -> StageJob:
    folder = root / stage
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    earlier = [name for name in ("prepare", "train", "evaluate") if (root / f"{name}.record.json").is_file()]
    records = {name: StageRecord.model_validate_json((root / f"{name}.record.json").read_text()) for name in earlier}
    values = dict(
        lane=lane, seed=1, hardware=CpuTarget(kind="cpu"), folder=folder, workspace=root,
        inputs={name: root / name for name in earlier}, records=records, state=root / "state",
        run_id=None if stage == "prepare" else "tiny", evaluator_sha256="0" * 64, compute_hours_max=1.0,
        progress=Silent(), lane_inputs={} if stage == "export" else inputs,
    )  # fmt: skip
    return StageJob(**(values | changes))


FUNCTIONS = {"prepare": data.prepare, "train": train.train, "evaluate": evaluate.evaluate, "export": export.export}


def run(stage: str, root: Path, lane: Reranker, inputs, **changes):
    """Run a stage as the framework would, leaving its record beside the folder."""
    outcome = FUNCTIONS[stage](job(stage, root, lane, inputs, **changes))
    names = [path.relative_to(root / stage).as_posix() for path in (root / stage).rglob("*") if path.is_file()]
    record = StageRecord(
        stage=stage, lane="reranker", status=outcome.status, run_id="tiny", params_sha256="0" * 64,
        code_sha256="0" * 64, lock_sha256="0" * 64, inputs={}, facts=dict(outcome.facts),
        artifacts={name: Artifact(sha256="0" * 64, size_bytes=0) for name in names},
    )  # fmt: skip
    (root / f"{stage}.record.json").write_text(record.model_dump_json())
    return outcome


def attempts(root: Path, shares: list[float]) -> int:
    lane = body(trainer__epochs=25, trainer__early_stop_patience=20)
    inputs = {}
    for name in ("whole", "killed"):
        write_beir(root / name / "beir")
        inputs[name] = {"first_stage": run_tower(root / name)}
        run("prepare", root / name, lane, inputs[name])
    plan = [("whole", None), *(("killed", share) for share in shares), ("killed", None)]
    whole_s = 0.0
    for name, share in plan:
        started_s = time.monotonic()
        if (child := os.fork()) == 0:
            run("train", root / name, lane, inputs[name])
            os._exit(0)
        if share is not None:
            time.sleep(share * whole_s)
            os.kill(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        whole_s = whole_s or time.monotonic() - started_s
        print(status, flush=True)
    return status


if __name__ == "__main__":
    sys.exit(attempts(Path(sys.argv[1]), [float(number) for number in sys.argv[2:]]))
