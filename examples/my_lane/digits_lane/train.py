"""Stage train: a plain loop that can be killed at any moment and ends in the same bits.

After each epoch everything that the next one needs is in `job.state`, which survives kills: weights, momentum, and the
losses so far. The order of the images follows from seed and epoch alone, so no random state has to be kept.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from digits_lane.config import DigitsLane
from digits_lane.data import read_split
from digits_lane.network import Network
from interlock.errors import NonFiniteError
from interlock.lanes.exporting.weights import read_weights, write_weights
from interlock.lanes.spec import StageJob, StageOutcome
from interlock.lanes.training.device import prepared_device
from interlock.lanes.training.seeds import derived_seed
from interlock.provenance.files import write_atomic

_STATE = "state.safetensors"
CONVERGED_EPOCHS, CONVERGED_CHANGE = 5, 0.05
"""Converged: over so many last epochs the training loss fell by less than this share of the first epoch's."""


@dataclass
class Training:
    """Everything that changes while training goes on."""

    network: Network
    velocity: dict[str, Tensor]
    losses: list[tuple[float, float]] = field(default_factory=list)
    """Mean loss of each epoch on training and validation images, in nats."""


def train(job: StageJob) -> StageOutcome:
    """Write `model.safetensors` and `loss.csv`. Raises NonFiniteError when the loss is no number any more."""
    lane = cast(DigitsLane, job.lane)
    with prepared_device(job.hardware) as device:
        pixels, labels = _tensors(job, "train", device)
        training = _begin(job, lane, device)
        epochs = range(len(training.losses), lane.trainer.epochs)
        for epoch in job.progress.track(epochs, "epochs"):
            order = np.random.default_rng(derived_seed(job.seed, "order", epoch)).permutation(len(pixels))
            mean = np.mean([_step(training, lane, pixels[rows], labels[rows]) for rows in _batches(order, lane)])
            training.losses.append((float(mean), _loss(training.network, *_tensors(job, "validation", device))))
            _keep(job.state / _STATE, training)
            _report(job, training)
    write_weights(job.folder / "model.safetensors", training.network.state_dict(), {"hidden": lane.model.hidden})
    rows = [f"{epoch},{loss!r},{held!r}\n" for epoch, (loss, held) in enumerate(training.losses, start=1)]
    write_atomic(job.folder / "loss.csv", "epoch,train,validation\n" + "".join(rows))
    best = min(held for _, held in training.losses)
    facts = {"epochs": len(rows), "converged": _has_converged(training.losses), "validation_loss_best": round(best, 6)}
    return StageOutcome(facts=facts)


def _begin(job: StageJob, lane: DigitsLane, device: torch.device) -> Training:
    """A new network, or the one that an interrupted attempt of this run left behind."""
    torch.manual_seed(derived_seed(job.seed, "weights"))
    network = Network(lane.model.hidden).to(device)
    training = Training(network, {name: torch.zeros_like(value) for name, value in network.state_dict().items()})
    if (job.state / _STATE).is_file():
        tensors, about = read_weights(job.state / _STATE, device=str(device))
        network.load_state_dict({name.removeprefix("w."): value for name, value in tensors.items() if name[0] == "w"})
        training.velocity = {name.removeprefix("v."): value for name, value in tensors.items() if name[0] == "v"}
        training.losses = [(loss, held) for loss, held in about["losses"]]
        job.progress.message(f"resumed after epoch {len(training.losses)}")
    return training


def _keep(path: Path, training: Training) -> None:
    """Atomic: a kill leaves this epoch's state or the one before."""
    weights = {f"w.{name}": value for name, value in training.network.state_dict().items()}
    velocity = {f"v.{name}": value for name, value in training.velocity.items()}
    write_weights(path, {**weights, **velocity}, {"losses": training.losses})


def _step(training: Training, lane: DigitsLane, pixels_NP: Tensor, labels_N: Tensor) -> float:
    """One step of gradient descent; returns the loss before it."""
    loss = nn.functional.cross_entropy(training.network(pixels_NP), labels_N)
    if not torch.isfinite(loss):
        raise NonFiniteError("the loss is no number any more", key="lane.optimizer.lr", value=lane.optimizer.lr)
    parameters = dict(training.network.named_parameters())
    gradients = torch.autograd.grad(loss, list(parameters.values()))
    with torch.no_grad():
        for (name, parameter), gradient in zip(parameters.items(), gradients, strict=True):
            training.velocity[name].mul_(lane.optimizer.momentum).add_(gradient)
            parameter.sub_(training.velocity[name], alpha=lane.optimizer.lr)
    return loss.item()


def _loss(network: Network, pixels_NP: Tensor, labels_N: Tensor) -> float:
    with torch.no_grad():
        return float(nn.functional.cross_entropy(network(pixels_NP), labels_N))


def _report(job: StageJob, training: Training) -> None:
    """One point of the curves that W&B shows and a sweep may prune by."""
    epoch, (loss, held) = len(training.losses), training.losses[-1]
    job.progress.curve(epoch, {"epoch": epoch, "train/epoch_loss": loss, "validation/loss": held})


def _tensors(job: StageJob, split: str, device: torch.device) -> tuple[Tensor, Tensor]:
    pixels, labels, _ = read_split(job.inputs["prepare"], split)  # type: ignore[arg-type]
    return torch.from_numpy(pixels).to(device), torch.from_numpy(labels).to(device)


def _batches(order: "np.ndarray[tuple[int], np.dtype[np.int64]]", lane: DigitsLane) -> list[Tensor]:
    size = lane.trainer.batch_size
    return [torch.from_numpy(order[start : start + size]) for start in range(0, len(order), size)]


def _has_converged(losses: list[tuple[float, float]]) -> bool:
    if len(losses) <= CONVERGED_EPOCHS:
        return False
    return losses[-1 - CONVERGED_EPOCHS][0] - losses[-1][0] < CONVERGED_CHANGE * losses[0][0]
