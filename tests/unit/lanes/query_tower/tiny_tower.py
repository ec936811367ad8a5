"""A query tower small enough for tests: a generated BEIR folder, a configuration, jobs. Run as a program it is killed.

    python tiny_tower.py ROOT SHARE...

In ROOT/whole one attempt is left alone. In ROOT/killed there is one attempt for each number, killed with SIGKILL after
that share of the time the first one took, and then one that is left alone.
"""

import json
import random
import sys
from pathlib import Path

from tiny_stages import changed, killed_by_share, run_stage

from interlock.lanes.query_tower.config import QueryTower

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
    return changed(QueryTower, body_values(), changes)


def attempts(root: Path, shares: list[float]) -> int:
    lane = body(trainer__epochs=25, trainer__early_stop_patience=20)
    for name in ("whole", "killed"):
        write_beir(root / name / "beir")
        run_stage("prepare", root / name, lane)
    return killed_by_share(lambda name: run_stage("train", root / name, lane), shares)


if __name__ == "__main__":
    sys.exit(attempts(Path(sys.argv[1]), [float(number) for number in sys.argv[2:]]))
