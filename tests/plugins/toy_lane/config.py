"""Configuration of the toy lane."""

from typing import Annotated, Literal

from pydantic import Field

from interlock.contracts.base import Contract
from interlock.contracts.lane import LaneBody


class Numbers(Contract):
    """Evenly spread numbers around a centre."""

    kind: Literal["numbers"]
    count: Annotated[int, Field(ge=2)] = 400
    """How many."""
    centre: float = 0.7
    """Their mean."""


class Offset(Contract):
    """A constant."""

    kind: Literal["offset"]
    value: float = 0.0
    """Added to the estimate."""


class Plain(Contract):
    """Nothing to tune but a rate."""

    kind: Literal["plain"]
    lr: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5
    """Share of the remaining distance that one step covers."""


class Steps(Contract):
    """How long."""

    steps: Annotated[int, Field(ge=1)] = 20
    """Number of steps."""
    sleep_s: Annotated[float, Field(ge=0.0)] = 0.0
    """Seconds to wait in each step, so that tests can interrupt it."""


class Toy(LaneBody):
    """The toy lane."""

    kind: Literal["toy"]
    data: Numbers
    """What is estimated."""
    model: Offset
    """The model."""
    optimizer: Plain
    """The optimiser."""
    trainer: Steps
    """The loop."""
