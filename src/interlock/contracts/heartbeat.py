"""Heartbeats: what an agent at work says of itself every `control.heartbeat_s` seconds.

The first eight fields are the source's; the others tell how far the work is and what it uses. A heartbeat is news, not
history: nothing is proven by it, and old ones are removed.
"""

from typing import Annotated, Literal

from pydantic import Field

from interlock.contracts.base import Contract
from interlock.contracts.stage import StageName

State = Literal[
    "preparing", "training", "evaluating", "exporting", "judging", "deciding", "completed", "failed", "interrupted"
]

STATE_OF_STAGE: dict[StageName, State] = {
    "prepare": "preparing",
    "train": "training",
    "evaluate": "evaluating",
    "export": "exporting",
    "judge": "judging",
    "decide": "deciding",
}
"""What an agent does while a stage runs."""

Count = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0.0)]


class Heartbeat(Contract):
    """One sign of life."""

    agent: Annotated[str, Field(min_length=1, max_length=100)]
    """Who, in the source's spelling, e.g. `Mgr-Models-02`."""
    run_id: Annotated[str, Field(max_length=100)] | None
    """The run; None before training has given it one."""
    timestamp: Amount
    """When, in seconds since 1970 (UTC)."""
    state: State
    """What it is doing, or how its stage ended."""
    message: Annotated[str, Field(max_length=500)] = ""
    """One line for people."""
    llm_model: Annotated[str, Field(max_length=200)] | None = None
    """Language model assigned to it; None under rules."""
    parent_agent: Annotated[str, Field(max_length=100)] | None = None
    """Agent it reports to."""
    children_agents: tuple[Annotated[str, Field(max_length=100)], ...] = ()
    """Agents that report to it."""

    lane: Annotated[str, Field(max_length=100)] = ""
    """Name of the lane."""
    stage: StageName | None = None
    """Stage it works on; None for an agent that owns no stage."""
    job: Annotated[str, Field(max_length=100)] | None = None
    """Job card that it works for; None outside of a job."""
    epoch: Count | None = None
    """Passes over the training data that are finished."""
    epochs: Count | None = None
    """Passes that are planned at most."""
    step: Count | None = None
    """Optimiser steps, or items of another loop, that are done."""
    steps: Count | None = None
    """How many there will be, as far as that is known."""
    loss: float | None = None
    """Last training loss, in the loss's own unit."""
    time_remaining_s: Amount | None = None
    """Estimated seconds to the end of the current loop."""
    progress_at: Amount | None = None
    """When the work last moved on, in seconds since 1970: a worker may live and yet hang."""
    cpu_percent: Amount | None = None
    """Processor use since the last heartbeat, in percent of one core."""
    memory_bytes: Count | None = None
    """Resident memory of the process and its children."""
    gpu_percent: Amount | None = None
    """Use of the GPU in percent; None without one."""
    gpu_memory_bytes: Count | None = None
    """Memory in use on the GPU; None without one."""
    tokens: Count = 0
    """Language-model tokens spent so far."""
    host: Annotated[str, Field(max_length=200)] = ""
    """Machine name."""
    pid: Count = 0
    """Process id on that machine; 0 when unknown."""
