"""A directional adapter small enough for tests: generated stories, a configuration, jobs.

Run as a program (`python tiny_adapter.py ROOT SECONDS`) it trains in ROOT and is killed after that time, then goes on.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

from tiny_stages import changed, run_stage

from interlock.lanes.directional_adapter.config import DirectionalAdapter

ORDER = ("once", "then", "later", "after", "finally")
WORDS = ["".join(parts) for a in "bdfgklm" for b in "aeiou" for parts in ((a, b, "r"), (a, b, "n"), (a, b, "s"))]
STORIES = {"train": 40, "val": 12, "test": 16}


def write_stories(folder: Path, *, seed=0) -> None:
    """Stories of five sentences; nearly every one has the word of its place, the rest is noise."""
    rng = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for split, count in STORIES.items():
        rows = ["document_id,text"]
        for number in range(count):
            for word in ORDER:
                said = word if rng.random() < 0.9 else rng.choice(ORDER)
                rows.append(f"{split}{number},{said} {' '.join(rng.choices(WORDS, k=4))}")
        (folder / f"{split}.csv").write_text("\n".join(rows) + "\n")


def body_values() -> dict:
    return {
        "kind": "directional_adapter",
        "data": {"kind": "stories", "path": "stories", "name": "tiny", "near_duplicate_similarity": 1.0},
        "model": {
            "kind": "adapter", "encoder": {"kind": "hashed", "buckets": 512}, "dimensions": 4, "hidden": 8,
            "dropout": 0.1, "feature_dropout": 0.1,
        },
        "optimizer": {"kind": "adamw", "lr": 0.05},
        "trainer": {"epochs": 6, "batch_size": 16, "log_every_steps": 1, "resume_every_s": 0.0},
        "inputs": {},
    }  # fmt: skip


def body(**changes) -> DirectionalAdapter:
    return changed(DirectionalAdapter, body_values(), changes)


def killed_attempts(root: Path, kills: int) -> None:
    """Attempts that are killed with SIGKILL once they have saved a state, then one that is left alone."""
    lane = body(trainer__epochs=12)
    for number in range(kills + 1):
        if (child := os.fork()) == 0:
            run_stage("train", root, lane)
            os._exit(0)
        deadline_s, seen = time.monotonic() + 60, _states(root)
        while number < kills and _states(root) == seen and time.monotonic() < deadline_s:
            time.sleep(0.005)
        if number < kills:
            os.kill(child, signal.SIGKILL)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _states(root: Path) -> set[str]:
    return {path.name for path in (root / "state").rglob("resume_*.ckpt")}


if __name__ == "__main__":
    killed_attempts(Path(sys.argv[1]), int(sys.argv[2]))
