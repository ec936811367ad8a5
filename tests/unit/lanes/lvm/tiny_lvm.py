"""A next-vector predictor small enough for tests: stories, a configuration, jobs. Run as a program it is killed.

    python tiny_lvm.py ROOT KIND SHARE...

In ROOT/whole one attempt is left alone. In ROOT/killed there is one attempt for each number, killed with SIGKILL after
that share of the time the first one took, and then one that is left alone.
"""

import sys
from pathlib import Path

from tiny_stages import changed, killed_by_share, run_stage
from tiny_stories import write_stories

from interlock.lanes.lvm.config import Lvm

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
    return changed(Lvm, values, changes)


def attempts(root: Path, kind: str, shares: list[float]) -> int:
    lane = body(kind, trainer__epochs=40, trainer__early_stop_patience=30)
    for name in ("whole", "killed"):
        write_stories(root / name / "stories")
        run_stage("prepare", root / name, lane)
    return killed_by_share(lambda name: run_stage("train", root / name, lane), shares)


if __name__ == "__main__":
    sys.exit(attempts(Path(sys.argv[1]), sys.argv[2], [float(number) for number in sys.argv[3:]]))
