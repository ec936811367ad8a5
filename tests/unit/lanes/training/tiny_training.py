"""A training that takes a moment: regression on generated numbers. Imported by tests and run as a program.

    python tiny_training.py ROOT SHARE...

In ROOT/whole one attempt is left alone. In ROOT/killed there is one attempt for each number, killed with SIGKILL after
that share of the time the first one took, and then one that is left alone.

Attempts are forked from one process that has paid for importing torch, so that many kills stay cheap; each attempt is
a process of its own and dies as any other would.
"""

import sys
from pathlib import Path

import torch
from tiny_stages import killed_by_share
from torch import nn
from torch.nn import functional

from interlock.contracts.hardware import CpuTarget
from interlock.contracts.lane import LaneBody
from interlock.lanes.spec import StageJob
from interlock.lanes.training.config import AdamW, TrainerConfig
from interlock.lanes.training.loop import TrainingResult, fit
from interlock.lanes.training.module import TrainedModule
from interlock.lanes.training.resume import ResumableData
from interlock.stages.progress import Silent


class Numbers:
    def __init__(self, n, seed, *, bad_at=None):
        self.x = torch.randn(n, 8, generator=torch.Generator().manual_seed(seed))
        self.y = self.x.sum(1, keepdim=True)
        if bad_at is not None:
            self.y[bad_at] = float("nan")

    def __len__(self):
        return len(self.x)

    def __getitems__(self, indices):
        rows = list(indices)
        return self.x[rows], self.y[rows]


class Regression(TrainedModule):
    def loss(self, part):
        return functional.mse_loss(self.network(part[0]), part[1])


class Messages(Silent):
    def __init__(self):
        self.texts = []
        self.points = []

    def message(self, text):
        self.texts.append(text)

    def curve(self, step, values):
        self.points.append((step, dict(values)))


def tiny_job(root: Path, **changes) -> StageJob:
    (root / "out").mkdir(parents=True, exist_ok=True)
    values = dict(
        lane=LaneBody(kind="tiny"),
        seed=3,
        hardware=CpuTarget(kind="cpu"),
        folder=root / "out",
        workspace=root,
        inputs={},
        records={},
        state=root / "state",
        run_id="tiny",
        evaluator_sha256="0" * 64,
        compute_hours_max=1.0,
        progress=Messages(),
    )
    return StageJob(**(values | changes))


def tiny_config(**changes) -> TrainerConfig:
    values = dict(epochs=6, batch_size=16, resume_every_s=0.0, log_every_steps=2, checkpoint_every_epochs=4)
    return TrainerConfig(**(values | changes))


def tiny_fit(job: StageJob, config: TrainerConfig, *, lr=1e-2, train=None, workers=0, dropout=0.1) -> TrainingResult:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(8, 16), nn.Dropout(dropout), nn.Linear(16, 1))
    data = ResumableData(train or Numbers(200, 1), Numbers(40, 2), batch_size=16, seed=job.seed, num_workers=workers)
    return fit(job, Regression(network, AdamW(kind="adamw", lr=lr)), data, config)


def attempts(root: Path, shares: list[float]) -> int:
    config = tiny_config(epochs=40, early_stop_patience=30, resume_every_s=0.01)
    return killed_by_share(lambda name: tiny_fit(tiny_job(root / name), config), shares)


if __name__ == "__main__":
    sys.exit(attempts(Path(sys.argv[1]), [float(number) for number in sys.argv[2:]]))
