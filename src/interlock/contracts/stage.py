"""What a stage leaves behind: `record.json` (identity, hashed) and `observations.json` (volatile)."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from interlock.contracts.base import Contract
from interlock.contracts.input import InputUse
from interlock.contracts.measurement import Sha256

StageName = Literal["prepare", "train", "evaluate", "export", "judge", "decide"]

STAGE_INPUTS: dict[StageName, tuple[StageName, ...]] = {
    "prepare": (),
    "train": ("prepare",),
    "evaluate": ("prepare", "train"),
    "export": ("prepare", "train", "evaluate"),
    "judge": ("train", "evaluate", "export"),
    "decide": ("prepare", "train", "evaluate", "export", "judge"),
}
"""Whose records each stage reads, in pipeline order."""

_BODY = ("lane.kind", "lane.data", "lane.model", "lane.optimizer", "lane.trainer", "lane.inputs", "seed", "hardware")

STAGE_PARAMS: dict[StageName, tuple[str, ...]] = {
    "prepare": ("lane.kind", "lane.data", "lane.inputs", "lane.allow_unpassed"),
    "train": _BODY,
    "evaluate": _BODY,
    "export": (*_BODY, "lane.gates"),
    "judge": ("lane.kind", "lane.gates"),
    "decide": (
        *_BODY,
        "lane.search_space",
        "agents",
        "llm",
        "max_attempts",
        "lineage",
        "recovery.gate_failures_max",
    ),
}
"""Which keys of the composed configuration each stage may see. DVC tracks the same ones.

`budget.compute_hours_max` is read by train but tracked by nobody: raising a ceiling must not train again.
"""

STAGES: tuple[StageName, ...] = tuple(STAGE_INPUTS)


class Artifact(Contract):
    """One file of a stage, by content."""

    sha256: Sha256
    """Digest of the bytes."""
    size_bytes: Annotated[int, Field(ge=0)]
    """Size of the file."""


class StageRecord(Contract):
    """The identity of a finished stage. Written last: its presence means that the stage is complete.

    Holds nothing volatile, so that running a stage again with the same inputs writes the same bytes and
    later stages stay cached.
    """

    stage: StageName
    """Which stage."""
    lane: str
    """Name of the lane."""
    status: Literal["completed", "skipped"]
    """`skipped`: the stage had a reason not to act; the reason is a result."""
    reason: str = ""
    """Why it was skipped."""
    run_id: str | None
    """Identity of the run; None in prepare, which many runs share."""
    params_sha256: Sha256
    """Digest of the configuration that this stage read."""
    params: dict[str, JsonValue] = {}
    """That configuration itself, so that the archive does not depend on files that are composed again."""
    asked_params_sha256: Sha256 | None = None
    """Digest of the composed configuration, where a healed training used another one; None where they are the same."""
    warm_start_sha256: Sha256 | None = None
    """Digest of the weights that training began with, part of the run's identity; None where it began afresh."""
    code_sha256: Sha256
    """Digest of the stage's import closure."""
    lock_sha256: Sha256
    """Digest of the locked dependencies, and of what is installed where that differs."""
    sources_sha256: Sha256 | None = None
    """Digest of the files outside the project that prepare read, or of the runs that the gates of export or judge are
    pinned to; None where there are none."""
    inputs: dict[str, Sha256]
    """Digest of the `outputs.json` of each upstream stage."""
    lane_inputs: dict[str, InputUse] = {}
    """Other runs that the stage read, by the name of the input."""
    artifacts: dict[str, Artifact]
    """Every reproducible file of the folder by relative path."""
    volatile: tuple[str, ...] = ()
    """Files whose bytes may differ between executions (logs with timestamps)."""
    facts: dict[str, JsonValue] = {}
    """Reproducible facts of the lane, e.g. epochs completed."""

    def outputs(self) -> dict[str, JsonValue]:
        """What the stage hands over, without how it came about: the content of `outputs.json`."""
        kept = {"stage", "lane", "status", "reason", "run_id", "artifacts", "facts"}
        return self.model_dump(mode="json", include=kept)


class Observations(Contract):
    """What may differ between two executions of the same stage."""

    attempt: str
    """Id of the execution."""
    started_at: str
    """UTC, ISO 8601."""
    duration_s: float
    """Wall time of the stage."""
    host: str
    """Machine name."""
    git_commit: str | None
    """Commit of the workspace; None without git."""
    git_dirty: bool | None
    """True when tracked files differ from the commit."""
    environment: dict[str, str] = {}
    """Versions and machine of this execution, as `interlock.provenance.environment` tells them."""
    volatile_artifacts: dict[str, Artifact] = {}
    """Digests of the volatile files of this execution."""
    facts: dict[str, JsonValue] = {}
    """Measured durations, rates and the like."""
