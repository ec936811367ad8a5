"""The run card, `run_card.json`: what a run is, what it was made of, what it reached, and what its execution cost.

Top-level names are those that the card's readers expect. `OBSERVED` names the fields that may differ between two
executions of one run; all others are its identity and are covered by `identity()`. Paths are relative to the card.
"""

import re
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from interlock.contracts.base import Contract
from interlock.contracts.measurement import Sha256
from interlock.contracts.stage import Artifact, StageName

OBSERVED = frozenset({"git_commit", "env", "parent_run", "observations"})
"""Fields of a card that are not identity."""


class Spend(Contract):
    """What the run has cost, as far as it is known when the card is written."""

    compute_hours: Annotated[float, Field(ge=0.0)]
    """Wall hours of the executions whose results the run consists of."""
    cost_usd: Annotated[float, Field(ge=0.0)] | None = None
    """What was paid to language models by then; None where none was asked. The machine's own price is unknown."""
    tokens: Annotated[int, Field(ge=0)] = 0
    """Tokens of language models by then, in and out; later ones stand in the event log."""


class CardObservations(Contract):
    """The volatile part of a card."""

    created_at: Annotated[int, Field(ge=0)]
    """Start of training, in seconds since 1970 (UTC)."""
    git_dirty: bool | None
    """True when tracked files differed from the commit; the code digest covers them either way."""
    duration_mins: Annotated[float, Field(ge=0.0)]
    """Wall time of all stages up to export."""
    hosts: tuple[str, ...]
    """Machines that took part, sorted."""
    attempts: dict[StageName, str]
    """The execution of each stage whose files are archived."""
    machine_class: str
    """Class of machines inside which equal bits are promised; empty when unknown."""
    results: dict[str, JsonValue] = Field(default_factory=dict)
    """Measured values that differ between executions, such as latencies."""
    artifacts: dict[str, Artifact] = Field(default_factory=dict)
    """Files whose bytes may differ between executions."""
    unpassed_inputs: dict[str, str] = Field(default_factory=dict)
    """Verdicts of inputs that were allowed although they were no pass, by input name, as they were then."""
    recovery: tuple[str, ...] = ()
    """Every fault on the way to this run and what was done about it, in sentences; `recovery.json` says it in full."""
    spend: Spend
    """Cost."""


class CardStage(Contract):
    """One stage of the run."""

    status: Literal["completed", "skipped"]
    """Whether it acted."""
    reason: str = ""
    """Why it was skipped."""
    code_sha256: Sha256
    """Digest of its code, uncommitted changes included."""
    params_sha256: Sha256
    """Digest of the configuration it read."""


class RunCard(Contract):
    """A run that can be checked: digests lead from the model back to the data, the code and the lock."""

    card_version: Literal[1] = 1
    """Version of this layout."""
    run_id: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    """The run."""
    model_type: str
    """Kind of the lane."""
    lane: str
    """Name of the lane."""
    dataset: str
    """Name of the dataset."""
    dataset_sha256: Sha256
    """Digest of its content."""
    seed: Annotated[int, Field(ge=0)]
    """Seed of every random choice."""
    git_commit: str
    """Commit of the workspace when training began; empty without git."""
    hyperparameters: dict[str, JsonValue]
    """`learning_rate`, `batch_size`, `epochs`, `optimizer` and `scheduler` where the lane has them, and under `config`
    the full configuration that training read."""
    env: dict[str, str]
    """Versions and machine of the training execution."""
    results: dict[str, JsonValue]
    """Measured values that every execution of the run gives."""
    hardware: dict[str, JsonValue]
    """Target the run was made for."""
    config_sha256: Sha256
    """Digest of `hyperparameters.config`."""
    code_sha256: Sha256
    """Digest of the training code, uncommitted changes included."""
    lock_sha256: Sha256
    """Digest of the locked dependencies."""
    inputs: dict[str, str] = Field(default_factory=dict)
    """Other runs it was made from, by input name: `run:<id>@sha256:<digest of what was used of it>`."""
    parent_run: str | None = None
    """Run whose decision, or whose fault, led to this one; lineage only."""
    reproducibility: Literal["bit_exact", "seeded"]
    """`bit_exact`: equal bits within the machine class named in the observations. `seeded`: the same random choices,
    but operations that are not deterministic."""
    export: Literal["completed", "skipped"]
    """A card whose export was skipped is provisional: a finished export may complete it once."""
    stages: dict[StageName, CardStage]
    """Stages from prepare to export."""
    model_files: tuple[str, ...]
    """Names of the model's own files, the main one first."""
    artifacts: dict[str, Artifact]
    """Every reproducible file beside the card, by relative name."""
    observations: CardObservations
    """The volatile part."""

    def identity(self) -> dict[str, JsonValue]:
        """Everything but the observed fields."""
        return self.model_dump(mode="json", exclude=set(OBSERVED))

    @property
    def name(self) -> str:
        """Name in the registry: `{model_type}_{dataset}_{YYYYMMDD}_{commit7}_{run_id}`, `nogit00` without git.

        Anything in the dataset's name that a file name could not hold becomes a dash.
        """
        day = datetime.fromtimestamp(self.observations.created_at, UTC)
        model_type, dataset = (re.sub(r"[^A-Za-z0-9._-]+", "-", text) for text in (self.model_type, self.dataset))
        return f"{model_type}_{dataset}_{day:%Y%m%d}_{self.git_commit[:7] or 'nogit00'}_{self.run_id}"
