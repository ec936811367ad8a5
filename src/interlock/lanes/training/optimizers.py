"""From an optimiser's configuration to torch: the optimiser and its per-step schedule."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch

from interlock.lanes.training.config import AdamW


def learning_rate_factor(config: AdamW, total_steps: int) -> Callable[[int], float]:
    """Factor on the peak rate as a function of the step (0-based): linear warm-up, then the schedule.

    The last step of the run still has a positive rate; `lr_floor` would be reached one step later.
    """
    warmup = math.ceil(config.warmup * total_steps)

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        done = min(1.0, (step - warmup) / max(1, total_steps - warmup))
        if config.schedule == "constant":
            return 1.0
        shape = 1.0 - done if config.schedule == "linear" else 0.5 * (1.0 + math.cos(math.pi * done))
        return config.lr_floor + (1.0 - config.lr_floor) * shape

    return factor


def build_optimizer(parameters: Iterable[Any], config: AdamW, *, total_steps: int) -> dict[str, Any]:
    """What `LightningModule.configure_optimizers` returns. `parameters` may be groups with a `lr` of their own.

    The scheduler steps after each batch: an epoch-wise one is not restored exactly from a state at an epoch's end.
    """
    optimizer = torch.optim.AdamW(
        parameters,
        lr=config.lr,
        betas=(config.beta1, config.beta2),
        eps=config.eps,
        weight_decay=config.weight_decay,
        fused=True,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, learning_rate_factor(config, total_steps))
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
