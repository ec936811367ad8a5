"""Tracking: where runs are shown, and what is told of them.

These records are the files that `interlock.tracking` writes and the calls that every tracker takes, so one run reads
the same wherever it is shown. None of this enters an identity: changing it never trains or judges again.
"""

from typing import Annotated, Literal

from pydantic import Field, JsonValue, model_validator

from interlock.contracts.base import Contract
from interlock.contracts.measurement import Sha256

WandbMode = Literal["online", "offline", "disabled"]
JobType = Literal["train", "sweep", "drive", "reproduce"]
Cell = str | float | int | bool | None
"""What a table's cell holds."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]
"""Usable as a file's name and as a name in W&B."""


class JsonlTracking(Contract):
    """Curves and records as local files only."""

    kind: Literal["jsonl"]


class WandbTracking(Contract):
    """The local files, and Weights & Biases as a mirror of them: one W&B run per run id.

    The key comes from WANDB_API_KEY or a netrc file, never from here.
    """

    kind: Literal["wandb"]
    project: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]
    """Name of the project in W&B."""
    entity: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,128}$")] | None = None
    """User or team; null: the key's own."""
    base_url: Annotated[str, Field(pattern=r"^https?://[^\s@]+$")] | None = None
    """Address of a W&B server of one's own; null: WANDB_BASE_URL, else the public one."""
    mode: Literal["auto", "online", "offline", "disabled"] = "auto"
    """`auto`: what WANDB_MODE says, else online with a key and offline without one. `offline`: W&B's files only."""
    wait_s: Annotated[float, Field(ge=0.0, le=3600.0)] = 20.0
    """Longest time in seconds that a command waits for W&B when a run has ended; the mirror goes on behind it."""
    timeout_s: Annotated[float, Field(gt=0.0, le=86400.0)] = 600.0
    """Seconds without progress after which the mirror process is ended; what is missing is sent the next time."""
    item_rows: Annotated[int, Field(ge=0, le=10000)] = 300
    """Most rows of the table of single queries; the most telling ones are chosen. 0: no such table."""
    models: Literal["exported", "all", "none"] = "exported"
    """Which runs' model files become artifacts: those that passed and were exported, all, or none."""


Tracking = Annotated[JsonlTracking | WandbTracking, Field(discriminator="kind")]


class TrackedRun(Contract):
    """What a run is, for a tracker: `run.json`."""

    run_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]
    """The run; also its id in W&B."""
    name: str
    """Short name for lists."""
    group: str
    """The sweep or the drive that it is a job of, else the experiment."""
    job_type: JobType
    """What it was run for."""
    tags: tuple[Annotated[str, Field(min_length=1, max_length=64)], ...] = ()
    """Words to filter by, e.g. `verdict:pass`."""
    notes: str = ""
    """The experiment's hypothesis and notes."""
    config: dict[str, JsonValue]
    """Composed configuration, nested as in the file, and under `interlock` the identity."""


class Table(Contract):
    """Rows under named columns."""

    name: Name
    """Its name."""
    columns: tuple[str, ...]
    """Column names, each once."""
    rows: tuple[tuple[Cell, ...], ...]
    """As many cells as columns."""

    @model_validator(mode="after")
    def _is_rectangular(self) -> "Table":
        if len(set(self.columns)) != len(self.columns) or any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"{self.name}: every row needs one cell for each of {len(self.columns)} different columns")
        return self


class Chart(Contract):
    """Lines over one axis."""

    name: Name
    """Its name."""
    title: str
    """Above the chart."""
    x_name: str
    """Label of the horizontal axis."""
    series: dict[str, tuple[tuple[float, float], ...]]
    """Points (x, y) by the line's name."""


class TrackedFile(Contract):
    """A file of the archive."""

    path: str
    """Relative to INTERLOCK_HOME."""
    sha256: Sha256
    """Digest of its bytes."""
    size_bytes: Annotated[int, Field(ge=0)]
    """Size."""


class TrackedArtifact(Contract):
    """A dataset or a model, for a tracker."""

    name: Name
    """Versions under one name form a series."""
    type: Literal["dataset", "model"]
    """What it is."""
    aliases: tuple[Name, ...] = ()
    """Names of this version, e.g. `candidate`, `verdict-pass`."""
    files: dict[str, TrackedFile]
    """By name inside the artifact."""
    metadata: dict[str, JsonValue] = {}
    """Digests and facts."""


class Lineage(Contract):
    """What a run was made from, and what it made: `lineage.json`."""

    inputs: tuple[TrackedArtifact, ...] = ()
    """Read by the run."""
    outputs: tuple[TrackedArtifact, ...] = ()
    """Made by the run."""


class Alert(Contract):
    """Something that a person should hear of."""

    name: Name
    """An alert of one name is sent once."""
    title: str
    """One line."""
    text: str
    """What happened and why."""
    level: Literal["INFO", "WARN", "ERROR"] = "WARN"
    """How urgent."""


class Sent(Contract):
    """What one destination has of a run."""

    files: dict[str, Sha256] = {}
    """Digest of each file of the run's tracking folder when it was sent."""
    last_step: int = -1
    """Last step of the curves that it has; -1: none."""
    begun: str = ""
    """Folder (relative to INTERLOCK_HOME) of an offline W&B run that has not been completed."""
    where: str = ""
    """Address of the W&B run, or the folder of an offline one relative to INTERLOCK_HOME."""
    error: str = ""
    """Why the last try failed, without secrets."""


class MirrorState(Contract):
    """`mirror.json`: what each destination has, e.g. `offline` or a project on a server."""

    destinations: dict[str, Sent] = {}
    """By destination."""
