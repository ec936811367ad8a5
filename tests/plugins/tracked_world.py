"""A home with one tracked run, and W&B modules that fail in one way each."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interlock.contracts.tracking import (
    Alert,
    Chart,
    Lineage,
    Table,
    TrackedArtifact,
    TrackedFile,
    TrackedRun,
    WandbTracking,
)
from interlock.tracking.jsonl import JsonlTracker, run_tracking

RUN_ID = "0123456789abcdef"
POINTS: dict[int, dict[str, float]] = {step: {"train/loss": 10 / step, "train/lr": 0.01} for step in range(10, 50, 10)}
POINTS[40] |= {"epoch": 1, "validation/loss": 0.5}

FAULTS = {
    "missing": "raise ModuleNotFoundError(\"No module named 'wandb'\")",
    "raises at import": "raise RuntimeError('refused')",
    "raises at init": "Settings = dict\ndef init(**_): raise RuntimeError('refused')",
    "exits": "import sys; sys.exit(7)",
    "exits hard": "import os; os._exit(9)",
    "crashes": "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
    "is killed": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "hangs": "import time; time.sleep(3600)",
    "hangs inside foreign code": "import threading; threading.Lock().acquire() and threading.Event().wait()",
    "asks": "print(input('your key? '))",
    "floods": "import sys; sys.stdout.write('x' * (1 << 20)); sys.stderr.write('y' * (1 << 20)); raise OSError('full')",
}
"""Bodies of a module named wandb, by what it does."""

RECORDING = '''
"""A W&B that takes everything and writes down what it was told."""
import json, os, pathlib
LOG = pathlib.Path(os.environ["TOLD"])

def tell(what, *values, **more):
    with LOG.open("a") as file:
        file.write(json.dumps([what, *values, more], default=str) + "\\n")

class Recorder:
    def __init__(self, name): self._name = name
    def update(self, values, **_): tell(self._name, values)

class Artifact:
    def __init__(self, name, type, metadata=None):
        self.name, self.type, self.metadata, self.digest, self.files = name, type, metadata, "d-" + name, []
    def add_file(self, path, name, **_): self.files.append(name)

class Run:
    url, dir, offline = "http://127.0.0.1:9/run", "/nowhere/files", False
    def __init__(self): self.config, self.summary = Recorder("config"), Recorder("summary")
    starting_step = int(os.environ.get("HAS_STEPS", "0"))
    def define_metric(self, name, **more): pass
    def log(self, values, step): tell("log", step, {name: value for name, value in values.items()})
    def use_artifact(self, artifact, aliases): tell("use", artifact.name, aliases)
    def log_artifact(self, artifact, aliases): tell("made", artifact.name, aliases, artifact.metadata, artifact.files)
    def alert(self, **told): tell("alert", **told)
    def finish(self, exit_code): tell("finish", exit_code)

class Settings:
    def __init__(self, **_): pass

class Table:
    def __init__(self, **told): pass

class plot:
    @staticmethod
    def line_series(**told): return "chart"

def init(**told):
    tell("init", **told)
    return Run()
'''


def settings(**changes: Any) -> WandbTracking:
    return WandbTracking.model_validate_json(json.dumps({"kind": "wandb", "project": "p", "mode": "offline"} | changes))


def track(home: Path, *, points: Mapping[int, Mapping[str, float]] = POINTS) -> Path:
    """Write a finished run's tracking folder; returns it."""
    folder = run_tracking(home, RUN_ID)
    tracker = JsonlTracker(folder)
    tracker.begin(some_run())
    for step, values in points.items():
        tracker.curve(step, values)
    tracker.summary({"r_at_5": 0.6, "verdict": "fail", "cost_usd": None})
    tracker.table(Table(name="gates", columns=("gate", "verdict"), rows=(("r_at_5", "fail"), ("loads", "pass"))))
    tracker.chart(
        Chart(name="r_at_k", title="R@k", x_name="k", series={"model": ((1.0, 0.4), (5.0, 0.6)), "bm25": ((1.0, 0.3),)})
    )
    tracker.lineage(Lineage(inputs=(_artifact(home, "data", "dataset"),), outputs=(_artifact(home, "toy", "model"),)))
    tracker.alert(Alert(name="judgement-1", title="fail: toy", text="r_at_5: 0.6 < 0.7"))
    tracker.finish(exit_code=0)
    return folder


def some_run() -> TrackedRun:
    return TrackedRun(
        run_id=RUN_ID,
        name="default-toy",
        group="sweep-1",
        job_type="sweep",
        tags=("lane:toy", "verdict:fail"),
        notes="it learns",
        config={
            "lane": {"optimizer": {"lr": 0.1}},
            "seed": 1,
            "interlock": {"run_id": RUN_ID, "dvc_experiment": "bony"},
        },
    )


def fake_wandb(folder: Path, body: str) -> str:
    """A PYTHONPATH on which `wandb` is a module with this body."""
    package = folder / "fake" / "wandb"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(body)
    return os.pathsep.join(filter(None, (str(package.parent), os.environ.get("PYTHONPATH"))))


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file that training and judging write; not what the mirror notes."""
    skipped = ("mirror.json", "mirror.log", "mirror.lock", "writer.lock")
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in skipped
    }


def _artifact(home: Path, name: str, kind: Any) -> TrackedArtifact:
    path = home / "runs" / RUN_ID / f"{name}.bin"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(name.encode())
    file = TrackedFile(
        path=path.relative_to(home).as_posix(), sha256=hashlib.sha256(name.encode()).hexdigest(), size_bytes=len(name)
    )
    return TrackedArtifact(
        name=name, type=kind, aliases=("v-1", "candidate"), files={f"{name}.bin": file}, metadata={"k": 1}
    )
