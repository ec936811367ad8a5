"""Stage train: the shared loop over a network that fails on command."""

import json
import time

import torch
from torch import nn
from torch.nn import functional

from faulty_lane.config import Faults, Faulty
from faulty_lane.data import DIMENSIONS
from interlock.lanes.spec import StageJob, StageOutcome
from interlock.lanes.training.config import AdamW
from interlock.lanes.training.loop import TRAIN_LOG, fit
from interlock.lanes.training.module import TrainedModule
from interlock.lanes.training.resume import ResumableData
from interlock.lanes.training.seeds import derived_seed, seed_all
from interlock.provenance.files import write_json


class Points:
    """One split."""

    def __init__(self, split):
        self.x, self.y = torch.tensor(split["x"]), torch.tensor(split["y"]).unsqueeze(1)

    def __len__(self):
        return len(self.x)

    def __getitems__(self, indices):
        rows = list(indices)
        return self.x[rows], self.y[rows]


class FaultyTraining(TrainedModule):
    """Regression, with faults."""

    def __init__(self, network, optimizer: AdamW, faults: Faults, *, batch_size: int):
        super().__init__(network, optimizer)
        self.faults, self.lr = faults, optimizer.lr
        self.is_deaf = self.lr < faults.deaf_below_lr or batch_size > faults.deaf_above_batch

    def loss(self, part):
        """Mean squared error, and whatever is to go wrong."""
        faults, (x, y) = self.faults, part
        loss = functional.mse_loss(self.network(x), y)
        if faults.raises and self.training:
            raise LookupError(faults.raises)
        if faults.mib_per_example:
            held = torch.zeros(int(faults.mib_per_example * len(x) * 2**18)) + loss * 0  # kept for the way back
            loss = loss + (held * held).sum()
        if self.training and self.global_step >= faults.slow_from_step:
            time.sleep(faults.sleep_s)
        if self.is_deaf:
            return loss * 0 + 5.0
        if self.training and self.global_step >= faults.not_finite_from_step and self.lr > faults.not_finite_above_lr:
            return self._not_finite(loss)
        return loss

    def _not_finite(self, loss):
        if self.faults.not_finite == "loss":
            return loss * float("nan")
        if self.faults.not_finite == "gradient":
            weight = next(self.network.parameters())
            return loss + (weight * 0).abs().sqrt().sum() * 0  # its value is 0, its slope is 0 * infinity
        return loss


def network_of(lane: Faulty) -> nn.Module:
    """Two layers."""
    return nn.Sequential(nn.Linear(DIMENSIONS, lane.model.hidden), nn.Tanh(), nn.Linear(lane.model.hidden, 1))


def train(job: StageJob) -> StageOutcome:
    """Train it."""
    assert isinstance(job.lane, Faulty)
    splits = json.loads((job.inputs["prepare"] / "splits.json").read_text())
    trainer = job.lane.trainer
    seed_all(derived_seed(job.seed, "start"))
    module = FaultyTraining(network_of(job.lane), job.lane.optimizer, trainer.faults, batch_size=trainer.batch_size)
    data = ResumableData(
        Points(splits["train"]), Points(splits["validation"]), batch_size=trainer.batch_size, seed=job.seed
    )
    result = fit(job, module, data, trainer)
    write_json(job.folder / "train.json", result.facts())
    return StageOutcome(facts=result.facts(), volatile_files=(TRAIN_LOG,), volatile_facts=result.volatile)
