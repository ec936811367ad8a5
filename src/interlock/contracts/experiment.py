"""The root of a composed configuration: one experiment with one lane.

`interlock.config.validate` narrows `lane` to the named lane's own model. Stages read slices of it, so that a stage
only depends on the keys it uses.
"""

from typing import Annotated, Literal

from pydantic import Field

from interlock.contracts.agent import Agent
from interlock.contracts.base import Contract
from interlock.contracts.hardware import Hardware
from interlock.contracts.lane import LaneBody, Seed
from interlock.contracts.tracking import Tracking


class ExperimentBlock(Contract):
    """What the experiment is about; written before training and outside every identity."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]
    """Short name, used to group runs."""
    hypothesis: str = ""
    """What the experiment is expected to show."""
    notes: str = ""
    """Anything a reader should know."""


class NoModel(Contract):
    """No language model is asked; rules decide."""

    kind: Literal["none"]


class Budget(Contract):
    """Ceilings that no agent may raise."""

    compute_hours_max: Annotated[float, Field(gt=0.0)]
    """Wall hours of one training attempt; above it training stops at a checkpoint."""


class Control(Contract):
    """Where the control API answers; null means the store is used directly."""

    url: str | None = None
    """Base address of the control API."""


class Experiment(Contract):
    """A composed experiment."""

    experiment: ExperimentBlock
    """Name and purpose."""
    seed: Seed
    """Seed of every random choice."""
    lane: LaneBody
    """The lane; narrowed to its own model when validated."""
    hardware: Hardware
    """Where it runs."""
    agents: dict[str, Agent]
    """Roles by snake_case id."""
    llm: NoModel
    """Which language model the agents may ask."""
    tracking: Tracking
    """Where curves and results go besides the run's own files."""
    budget: Budget
    """Ceilings."""
    control: Control
    """Control API."""
