"""The root of a composed configuration: one experiment with one lane.

`interlock.config.validate` narrows `lane` to the named lane's own model. Stages read slices of it, so that a stage
only depends on the keys it uses.
"""

from typing import Annotated

from pydantic import Field, model_validator

from interlock.contracts.agent import Agent
from interlock.contracts.base import Contract
from interlock.contracts.hardware import Hardware
from interlock.contracts.lane import LaneBody, Seed
from interlock.contracts.lineage import LineageBlock
from interlock.contracts.llm import LanguageModels, NoModel, Price, by_model
from interlock.contracts.quotas import Quotas
from interlock.contracts.recovery import RecoverySettings
from interlock.contracts.release import ReleaseSettings
from interlock.contracts.tracking import Tracking


class ExperimentBlock(Contract):
    """What the experiment is about; written before training and outside every identity."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]
    """Short name, used to group runs."""
    hypothesis: str = ""
    """What the experiment is expected to show."""
    notes: str = ""
    """Anything a reader should know."""


class Budget(Contract):
    """Ceilings that no agent may raise."""

    compute_hours_max: Annotated[float, Field(gt=0.0)]
    """Wall hours of a training over all attempts since one ended well; above it training stops at a checkpoint."""
    calls: Annotated[int, Field(ge=0)] | None = None
    """Requests to language models of one decision, or of one whole drive, over all agents; null is no ceiling."""
    tokens: Annotated[int, Field(ge=0)] | None = None
    """Tokens, in and out, likewise."""
    usd: Annotated[float, Field(ge=0.0)] | None = None
    """Money for language models, likewise."""
    seconds: Annotated[float, Field(ge=0.0)] | None = None
    """Waiting for language models, likewise."""


class Service(Contract):
    """A production service that answers with a lane's model."""

    port: Annotated[int, Field(ge=1, le=65535)]
    """Where it listens."""
    lane: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    """Lane whose production model it serves."""


class Control(Contract):
    """How running work is watched, limited and allowed. Never part of a run's identity."""

    url: str | None = None
    """Base address of the control API; null means the store is used directly."""
    heartbeat_s: Annotated[float, Field(gt=0.0)] = 60.0
    """Seconds between the heartbeats of work that runs; who misses two is replaced."""
    quotas: Quotas = Quotas()
    """What all jobs of this machine may hold together."""
    services: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")], Service] = Field(default_factory=dict)
    """Production services by name; putting a model behind one needs a person's approval."""
    production_datasets: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Names of datasets that hold production data, as their cards say; training on a large one needs an approval."""


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
    llm: Annotated[NoModel | LanguageModels, Field(discriminator="kind")]
    """Which language models the agents may ask."""
    prices: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], Price]
    """What models cost, by short names of their own."""
    tracking: Tracking
    """Where curves and results go besides the run's own files."""
    budget: Budget
    """Ceilings."""
    recovery: RecoverySettings
    """Bounds inside which a training that fails is healed."""
    max_attempts: Annotated[int, Field(ge=1, le=100)] | None = None
    """Judged runs of one lineage before a person is asked; null: `recovery.gate_failures_max`. A person who sets it
    approves that many."""
    lineage: LineageBlock = LineageBlock()
    """The run before this one."""
    control: Control
    """Heartbeats, quotas, production services, control API."""
    release: ReleaseSettings = ReleaseSettings()
    """What a release is judged by, besides the gates of its lane."""

    @model_validator(mode="after")
    def _each_model_has_one_price(self) -> "Experiment":
        by_model(self.prices)
        return self
