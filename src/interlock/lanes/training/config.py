"""Configuration that every trained lane shares: loop, optimiser, convergence rule. Torch-free.

A lane subclasses `TrainerConfig` for what its own loss needs (negatives, temperature). Does not cover the model.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from interlock.contracts.base import Contract


class ConvergenceRule(Contract):
    """When a finished training counts as converged, and when a running one counts as stalled."""

    window_epochs: Annotated[int, Field(ge=1, le=1000)] = 10
    """Epochs looked at; half the run where the run is shorter than twice this."""
    tolerance: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.01
    """Change of the smoothed training loss over the window, as a share of the first epoch's loss, that is none."""
    loss_under: float | None = None
    """Training loss (in the loss's own unit) under which the run has converged; null for no such threshold."""


class TrainerConfig(Contract):
    """The training loop."""

    epochs: Annotated[int, Field(ge=1, le=100_000)]
    """Passes over the training data at most; early stopping may end sooner."""
    batch_size: Annotated[int, Field(ge=2, le=1_000_000)]
    """Examples of one optimiser step."""
    micro_batch: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Examples of one forward pass: less memory for the same `batch_size`, at the same result up to the order in which
    floats are added. null passes the whole batch at once."""
    early_stop_patience: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Epochs without a better validation loss before training stops; null never stops early."""
    early_stop_min_delta: Annotated[float, Field(ge=0.0)] = 0.0
    """A validation loss counts as better when it falls by more than this (in the loss's own unit)."""
    final_weights: Literal["best", "last"] = "best"
    """Which weights become the model: of the best validation loss, or of the last epoch."""
    gradient_clip: Annotated[float, Field(gt=0.0)] | None = None
    """Largest L2 norm of the gradient; null does not clip."""
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    """Arithmetic of the forward pass; weights stay float32."""
    num_workers: Annotated[int, Field(ge=0, le=256)] = 0
    """Processes that prepare batches; does not change the result."""
    log_every_steps: Annotated[int, Field(ge=1)] = 10
    """Optimiser steps between two lines of `train_log.jsonl`."""
    resume_every_s: Annotated[float, Field(ge=0.0)] = 30.0
    """Seconds between two resumable states; saving takes at most about 5 % of the time. 0 saves after every step."""
    checkpoint_every_epochs: Annotated[int, Field(ge=1)] = 10
    """Epochs between two kept sets of weights."""
    keep_checkpoints: bool = False
    """Keep the periodic checkpoints after training instead of best and last alone."""
    converged: ConvergenceRule = ConvergenceRule()
    """The rule behind `training_loss_converged`."""

    @model_validator(mode="after")
    def _micro_batch_fits(self) -> "TrainerConfig":
        if self.micro_batch is not None and self.micro_batch > self.batch_size:
            raise ValueError(
                f"micro_batch {self.micro_batch} is more than batch_size {self.batch_size}: "
                "lower it, or set it to null to pass the whole batch at once"
            )
        return self


class AdamW(Contract):
    """AdamW with a learning-rate schedule over the whole run."""

    kind: Literal["adamw"]
    lr: Annotated[float, Field(gt=0.0, le=10.0)]
    """Peak learning rate."""
    weight_decay: Annotated[float, Field(ge=0.0, le=10.0)] = 0.0
    """Decoupled decay per step, times the learning rate."""
    beta1: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.9
    """Decay of the gradient's running mean."""
    beta2: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.999
    """Decay of the squared gradient's running mean."""
    eps: Annotated[float, Field(gt=0.0, le=1.0)] = 1e-8
    """Added to the root of the squared gradient's mean; small ones let rarely seen rows move as fast as others."""
    schedule: Literal["constant", "linear", "cosine"] = "cosine"
    """Shape of the learning rate after the warm-up."""
    warmup: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.05
    """Share of all steps during which the rate rises linearly from 0."""
    lr_floor: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    """Rate at the end of the run as a share of the peak; ignored by `constant`."""

    @model_validator(mode="after")
    def _floor_needs_decay(self) -> "AdamW":
        if self.schedule == "constant" and self.lr_floor:
            raise ValueError(
                f"lr_floor {self.lr_floor:g} has no effect with schedule: constant; remove it or use cosine"
            )
        return self
