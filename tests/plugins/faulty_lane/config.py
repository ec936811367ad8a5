"""Configuration of the faulty lane: what an ordinary lane says, and which fault to inject under which settings.

Faults depend on the settings that healing changes, as real ones do: a rate that is too high, a batch that is too large.
"""

from typing import Annotated, Literal

from pydantic import Field

from interlock.contracts.base import Contract
from interlock.contracts.lane import LaneBody
from interlock.lanes.training.config import AdamW, TrainerConfig


class Lines(Contract):
    """Points on a noisy plane."""

    kind: Literal["lines"]
    count: Annotated[int, Field(ge=8)] = 128
    """Training examples."""
    noise: Annotated[float, Field(ge=0.0)] = 0.1
    """Standard deviation of the noise of the targets."""


class Net(Contract):
    """Two layers."""

    kind: Literal["net"]
    hidden: Annotated[int, Field(ge=1)] = 16
    """Width."""


class Faults(Contract):
    """What goes wrong. All off by default."""

    mib_per_example: Annotated[float, Field(ge=0.0)] = 0.0
    """Memory that a forward pass holds for each of its examples."""
    not_finite: Literal["never", "loss", "gradient"] = "never"
    """What becomes NaN."""
    not_finite_from_step: Annotated[int, Field(ge=0)] = 0
    """From which step on."""
    not_finite_above_lr: float = 0.0
    """Only with a learning rate above this."""
    deaf_below_lr: float = 0.0
    """With a learning rate under this nothing is learned."""
    deaf_above_batch: int = 1_000_000
    """With a larger batch nothing is learned."""
    sleep_s: Annotated[float, Field(ge=0.0)] = 0.0
    """Seconds that every step takes."""
    slow_from_step: Annotated[int, Field(ge=0)] = 0
    """Step from which on it takes that long."""
    raises: str = ""
    """A message of an error that nobody knows."""


class Trainer(TrainerConfig):
    """The loop, and its faults."""

    faults: Faults = Faults()
    """What goes wrong."""


class Faulty(LaneBody):
    """The faulty lane."""

    kind: Literal["faulty"]
    data: Lines
    """What is learned."""
    model: Net
    """The network."""
    optimizer: AdamW
    """The optimiser."""
    trainer: Trainer
    """The loop."""
