"""A query tower small enough for tests: a generated BEIR folder, a configuration, jobs. Run as a program it is killed.

    python tiny_tower.py ROOT SHARE...

In ROOT/whole one attempt is left alone. In ROOT/killed there is one attempt for each number, killed with SIGKILL after
that share of the time the first one took, and then one that is left alone.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

from interlock.contracts.hardware import CpuTarget
from interlock.contracts.stage import Artifact, StageRecord
from interlock.lanes.query_tower import data, evaluate, export, train
from interlock.lanes.query_tower.config import QueryTower
from interlock.lanes.spec import StageJob
from interlock.stages.progress import Silent

SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "or", "il")]


def write_beir(folder: Path, *, topics=60, seed=0) -> None:
    """Four documents and one query for each topic; a topic is a handful of invented words."""
    rng = random.Random(seed)
    words = sorted({"".join(rng.choices(SYLLABLES, k=3)) for _ in range(400)})
    corpus, queries, qrels = [], [], []
    for topic in range(topics):
        own = rng.sample(words, 8)
        for part in range(4):
            text = " ".join(rng.choices(own, k=12) + rng.choices(words, k=12))
            corpus.append({"_id": f"d{topic}_{part}", "title": f"t{topic} p{part}", "text": text})
        for part in range(2):
            queries.append(
                {"_id": f"q{topic}_{part}", "text": " ".join(rng.choices(own, k=4) + rng.choices(words, k=1))}
            )
            qrels.append((f"q{topic}_{part}", f"d{topic}_{part}", 1))
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    for name, rows in (("corpus", corpus), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    lines = ["query-id\tcorpus-id\tscore", *("\t".join(map(str, row)) for row in qrels)]
    (folder / "qrels" / "train.tsv").write_text("\n".join(lines) + "\n")


def body_values() -> dict:
    encoder = {
        "kind": "hashed", "buckets": 2048, "max_features": 256,
        "lexical": {"dimensions": 128, "copies": 2}, "semantic": {"dimensions": 8},
    }  # fmt: skip
    trainer = {
        "epochs": 4, "batch_size": 16, "hard_negatives": 1, "hard_negative_pool": 5, "log_every_steps": 1,
        "resume_every_s": 0.01, "early_stop_patience": 3,
    }  # fmt: skip
    return {
        "kind": "query_tower",
        "data": {
            "kind": "beir", "path": "beir", "name": "tiny", "group_field": None,
            "splits": {"train": "train", "validation": None, "test": None},
            "validation_fraction": 0.2, "test_fraction": 0.2,
        },
        "model": {"kind": "tower", "encoder": encoder, "echo": {"reference_dimensions": 4}},
        "optimizer": {"kind": "adamw", "lr": 0.01},
        "trainer": trainer,
        "inputs": {},
    }  # fmt: skip


def body(**changes) -> QueryTower:
    values = body_values()
    for dotted, value in changes.items():
        *parents, last = dotted.split("__")
        target = values
        for parent in parents:
            target = target[parent]
        target[last] = value
    return QueryTower.model_validate_json(json.dumps(values))


def job(stage: str, root: Path, lane: QueryTower, **changes) -> StageJob:
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


def run(stage: str, root: Path, lane: QueryTower, **changes):
    """Run a stage as the framework would, leaving its record beside the folder."""
    outcome = FUNCTIONS[stage](job(stage, root, lane, **changes))
    names = [path.relative_to(root / stage).as_posix() for path in (root / stage).rglob("*") if path.is_file()]
    record = StageRecord(
        stage=stage, lane="query_tower", status=outcome.status, run_id="tiny", params_sha256="0" * 64,
        code_sha256="0" * 64, lock_sha256="0" * 64, inputs={}, facts=dict(outcome.facts),
        artifacts={name: Artifact(sha256="0" * 64, size_bytes=0) for name in names},
    )  # fmt: skip
    (root / f"{stage}.record.json").write_text(record.model_dump_json())
    return outcome


def attempts(root: Path, shares: list[float]) -> int:
    lane = body(trainer__epochs=25, trainer__early_stop_patience=20)
    for name in ("whole", "killed"):
        write_beir(root / name / "beir")
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
    sys.exit(attempts(Path(sys.argv[1]), [float(number) for number in sys.argv[2:]]))
