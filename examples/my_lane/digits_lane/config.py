"""What `lane.*` may say: strict, closed, with units and bounds. No torch here, so that composing stays fast."""

from typing import Annotated, Literal

from pydantic import Field

from interlock.contracts.base import Contract
from interlock.contracts.lane import LaneBody

Share = Annotated[float, Field(gt=0.0, lt=0.5)]


class Digits(Contract):
    """The 1,797 images of 8 x 8 pixels that come with scikit-learn."""

    kind: Literal["digits"]
    validation_fraction: Share = 0.15
    """Share of the images that decides when to stop."""
    test_fraction: Share = 0.3
    """Share of the images that is only looked at to measure."""
    split_seed: Annotated[int, Field(ge=0)] = 0
    """Chooses the images of each share; apart from the run's seed, so that all seeds are measured on the same ones."""


class Perceptron(Contract):
    """One hidden layer."""

    kind: Literal["perceptron"]
    hidden: Annotated[int, Field(ge=1, le=4096)] = 64
    """Units of the hidden layer."""


class Momentum(Contract):
    """Stochastic gradient descent with momentum."""

    kind: Literal["momentum"]
    lr: Annotated[float, Field(gt=0.0, le=10.0)] = 0.1
    """Step size."""
    momentum: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.9
    """Share of the last step that is taken again."""


class Epochs(Contract):
    """How long, and in which portions."""

    epochs: Annotated[int, Field(ge=1)] = 30
    """Passes over the training images."""
    batch_size: Annotated[int, Field(ge=1)] = 64
    """Images of one step."""


class DigitsLane(LaneBody):
    """Everything that the weights depend on."""

    kind: Literal["digits"]
    data: Digits
    """What is learned from."""
    model: Perceptron
    """What learns."""
    optimizer: Momentum
    """How it takes steps."""
    trainer: Epochs
    """How many."""
