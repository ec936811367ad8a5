"""Attempts: one execution of a stage on a host. A run has as many as it took; none of this enters an identity."""

from typing import Annotated, Literal

from pydantic import Field

from interlock.contracts.base import Contract
from interlock.contracts.measurement import Sha256
from interlock.contracts.stage import StageName

Exit = Literal["completed", "failed", "halted", "timeout", "interrupted", "killed", "pruned"]
"""How an execution ended.

`halted`: stopped by a halting fault such as NaN. `interrupted`: by a person or SIGTERM, with time to say so.
`killed`: the process vanished; found by a later attempt. `pruned`: a sweep gave the training up, which is no failure.
"""


class AttemptStart(Contract):
    """Written before anything runs."""

    attempt: str
    """Id: UTC time of the start and random digits, so that ids sort by time."""
    lane: str
    """Name of the lane."""
    stage: StageName
    """Which stage."""
    run_id: str | None
    """The run; None in prepare."""
    params_sha256: Sha256
    """Digest of the configuration that the stage read."""
    started_at: str
    """UTC, ISO 8601."""
    host: str
    """Machine name."""
    boot_id: str
    """Which start of the machine; process ids mean nothing across two of them."""
    pid: Annotated[int, Field(ge=1)]
    """Process id."""
    process_started_s: float
    """When the process started, in seconds since 1970; tells a reused process id apart."""
    device: str = ""
    """Device class, where it is known at the start."""
    price_usd_per_hour: Annotated[float, Field(ge=0.0)] | None = None
    """What the machine costs; None when unknown."""
    labels: dict[str, str] = {}
    """What it was started for, where something says so: `sweep`, `dvc_experiment`, `purpose`."""
    follows: str | None = None
    """The last attempt of the same run and stage, when it did not complete: this one can resume from it."""


class AttemptEnd(Contract):
    """Written when the execution ends, or by a later attempt that finds it gone."""

    attempt: str
    """Id of the attempt that ended."""
    exit: Exit
    """How it ended."""
    ended_at: str
    """UTC, ISO 8601; of a killed attempt, when that was found."""
    duration_s: Annotated[float, Field(ge=0.0)] | None = None
    """Wall time; None when nobody measured it."""
    error: str = ""
    """What went wrong, without secrets."""
    found_by: str | None = None
    """The attempt that found this one gone."""
