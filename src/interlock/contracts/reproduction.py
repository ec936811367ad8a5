"""What came out when an archived run was run again from its card: the level reached, and where the first byte differs.

Kept beside the run as `reproductions/<when>-<digest>/reproduction.json`; nothing in it changes the run. Levels:

    bit_exact          every reproducible file of every stage that ran again is equal, byte for byte
    within_tolerance   bytes differ, but the data is equal and no weight and no metric differs by more than stated
    differs            anything else
"""

from typing import Annotated, Literal

from pydantic import Field

from interlock.contracts.base import Contract
from interlock.contracts.measurement import Sha256
from interlock.contracts.stage import StageName

Level = Literal["bit_exact", "within_tolerance", "differs"]


class Tolerances(Contract):
    """How far two executions may lie apart and still count as the same result."""

    weights: Annotated[float, Field(ge=0.0)] = 1e-3
    """Largest difference of a weight, as a share of the largest magnitude in its tensor."""
    metrics: Annotated[float, Field(ge=0.0)] = 1e-3
    """Largest difference of any other number (metrics, losses): absolute below 1, as a share of it above."""


class FirstDifference(Contract):
    """The first place, in the order in which a run comes about, where the bytes part."""

    stage: StageName
    """The stage."""
    file: str
    """The file in the stage's folder."""
    where: str
    """Line, key, tensor, column or byte, with both values where they can be shown."""


class WeightsDifference(Contract):
    """Weights of one file, compared tensor by tensor."""

    stage: StageName
    """The stage that wrote the file."""
    file: str
    """The safetensors file."""
    largest_absolute: float
    """Largest difference of a single weight."""
    largest_relative: float
    """The same as a share of the largest magnitude in its tensor."""


class MetricDifference(Contract):
    """One measurement, compared item by item where it has per-item scores."""

    name: str
    """Name of the measurement."""
    archived: float | None
    """Its value in the archive; None when it was not measured."""
    reproduced: float | None
    """Its value now."""
    absolute: float | None
    """Difference of the values; None when one is missing."""
    relative: float | None
    """The same as a share of the archived value; None when that is missing or 0."""
    items: int = 0
    """Items that were paired; 0 without per-item scores."""
    items_changed: int = 0
    """Items that score differently."""
    largest_item: float | None = None
    """Largest difference of an item's score."""


class StageComparison(Contract):
    """One stage that ran again."""

    stage: StageName
    """The stage."""
    files: Annotated[int, Field(ge=0)]
    """Reproducible files of the archived stage."""
    differing: tuple[str, ...] = ()
    """Those that differ, are missing or are new; `record.json` stands for the stage's status and facts."""
    tolerated: bool
    """All that differs lies within the tolerances, or renders numbers that do."""
    code: str
    """Whose code ran: `workspace`, or the commit."""
    code_sha256: Sha256
    """Digest of that code."""


class Reproduction(Contract):
    """One attempt to reproduce a run."""

    run_id: str
    """The archived run."""
    level: Level
    """What was reached."""
    reproduced_run_id: str | None
    """The run id that training gave now; another one when code or environment differ."""
    is_promised: bool
    """True when code, environment, machine class and determinism are those of the run, so that equal bits are due."""
    caveats: tuple[str, ...] = ()
    """Why equal bits are not promised."""
    first_difference: FirstDifference | None = None
    """Where the bytes part first; None when they do not."""
    stages: tuple[StageComparison, ...]
    """The stages that ran again, in order."""
    weights: tuple[WeightsDifference, ...] = ()
    """Files of weights that differ."""
    metrics: tuple[MetricDifference, ...] = ()
    """Every reproducible measurement, when the evaluation's bytes differ."""
    tolerances: Tolerances
    """What counted as the same."""
    with_current_code: bool = False
    """The code of the workspace was run on purpose, although it is not the run's."""
    started_at: str
    """UTC, ISO 8601."""
    duration_s: float
    """Wall time."""
    host: str
    """Machine name."""
    environment: dict[str, str]
    """Versions and machine of this reproduction."""
