"""Job cards and manager cards: what an architect asks of the director of the Models lane, and how it is split.

People write these by hand as YAML, so the field names are those of the source. What a card means for a lane (which
metrics exist, what a hyperparameter is called) is decided in `interlock.runs.jobs`; here stands what can be said
of a card alone.
"""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, JsonValue, ValidationInfo, field_validator, model_validator

from interlock.contracts.acceptance import parse_check
from interlock.contracts.base import Contract
from interlock.contracts.spelling import agent_id
from interlock.errors import UsageError

RUN_ID = "{RUN_ID}"
"""Stands for the run's id in the paths of a card."""
DIRECTORS_LANE = "Models"
ARCHIVE = f"artifacts/runs/{RUN_ID}/"
"""Where the artifacts of a run are archived; `artifacts/` stands for INTERLOCK_HOME."""

_PLACEHOLDER = re.compile(r"\{[^{}]*\}?|\}")
_PARENTS = "name a file or folder below the project, without .., or data://NAME in the data folder"


def _relative(path: str) -> str:
    parts = path.removeprefix("data://").split("/")
    if not path.strip() or "\0" in path or "\\" in path:
        raise ValueError(f"is no path; {_PARENTS}")
    if path.startswith(("/", "~")) or ".." in parts or re.match(r"^[A-Za-z]:", path):
        raise ValueError(f"is not a safe path: it leads out of the project; {_PARENTS}")
    return path


def _without_placeholder(path: str) -> str:
    if found := _PLACEHOLDER.search(path):
        raise ValueError(f"holds the placeholder {found[0]}, but what is read has no run id yet; write the path itself")
    return path


def _archived(path: str) -> str:
    _relative(path)
    unknown = [found for found in _PLACEHOLDER.findall(path) if found != RUN_ID]
    if unknown:
        raise ValueError(f"holds the unknown placeholder {unknown[0]}; only {RUN_ID} is filled in")
    if RUN_ID not in path:
        raise ValueError(f"lacks {RUN_ID}, so that two runs would write the same file; write {ARCHIVE}models/NAME")
    if not path.startswith(ARCHIVE):
        raise ValueError(f"lies outside the run's archive; write {ARCHIVE}models/NAME")
    return path


def _parsed(check: str) -> str:
    try:
        parse_check(check)
    except UsageError as error:
        raise ValueError(f"{error.message}; {error.hint}") from error
    return check


def _models(lane: str) -> str:
    if agent_id(lane) != DIRECTORS_LANE.lower():
        raise ValueError(f"is not this director's lane; write `lane: {DIRECTORS_LANE}` and choose a `model_type`")
    return lane


CardId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,79}$")]
"""Also the name of a folder: letters, digits, `_`, `.` and `-`."""
Location = Annotated[str, AfterValidator(_relative), AfterValidator(_without_placeholder)]
"""A path below the project, `data://NAME`, or the name of a data choice."""


class CardInput(Contract):
    """One thing that the work starts from; exactly one key."""

    dataset: Location | None = None
    """Data to train, validate and test on."""
    val_dataset: Location | None = None
    """Data to validate on, where a lane takes it apart from the rest."""
    baseline_model: Annotated[str, AfterValidator(_without_placeholder)] | None = None
    """Model to start from: `run:<id>`, `registry:<name>@<stage>`, `lane:<name>` or the path of an archived model."""
    first_stage: Annotated[str, AfterValidator(_without_placeholder)] | None = None
    """For a reranker, whose candidates it orders: the path of another job card, whose work comes first where it is not
    done yet, or one of the forms of `baseline_model`."""

    @model_validator(mode="after")
    def _one_key(self) -> "CardInput":
        if len(self.given()) != 1:
            raise ValueError(
                "needs exactly one of dataset, val_dataset, baseline_model and first_stage; begin a new `- ` per input"
            )
        return self

    def given(self) -> dict[str, str]:
        """The keys that are set."""
        return {key: value for key, value in self.model_dump().items() if value is not None}


class ExpectedArtifact(Contract):
    """A file or folder that the work must leave behind."""

    path: Annotated[str, AfterValidator(_archived)]
    """Its path, with `{RUN_ID}`; a folder ends with `/`."""


class Acceptance(Contract):
    """One acceptance check."""

    check: Annotated[str, AfterValidator(_parsed)]
    """A comparison such as `echo_loop>=0.82` or a named check."""


class CardBudget(Contract):
    """What the work may cost; what is not given is left to the configuration."""

    tokens_target_ratio: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    """Share of the assigned model's context window at which a warning is given."""
    tokens_hard_ratio: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    """Share at which it stops."""
    compute_hours_max: Annotated[float, Field(gt=0.0, le=100_000.0)] | None = None
    """Wall hours of the whole job."""

    @field_validator("tokens_hard_ratio")
    @classmethod
    def _warning_comes_first(cls, hard: float | None, info: ValidationInfo) -> float | None:
        target = info.data.get("tokens_target_ratio")
        if target is not None and hard is not None and hard < target:
            raise ValueError(f"is under tokens_target_ratio {target:g}: work would stop before it is warned; raise it")
        return hard


class _Card(Contract):
    id: CardId
    """Name of the card; one id is one piece of work for ever."""
    parent_id: CardId | None = None
    """Card or request that it comes from."""
    role: str
    """Whose card it is."""
    lane: Annotated[str, AfterValidator(_models)]
    """The director's lane, `Models`; which kind of model stands in `model_type`."""
    task: Annotated[str, Field(min_length=1, max_length=4000)]
    """What is to be done, in words."""
    inputs: tuple[CardInput, ...] = ()
    """What the work starts from; nothing means the lane's own default data."""
    expected_artifacts: tuple[ExpectedArtifact, ...] = ()
    """What it must leave behind."""
    acceptance: tuple[Acceptance, ...] = ()
    """What must hold, beside the lane's own gates."""
    risks: tuple[str, ...] = ()
    """What may go wrong, in words."""
    budget: CardBudget = CardBudget()
    """What it may cost."""
    model_type: str | None = None
    """Kind of model, e.g. `query_tower`; without it the task's words decide."""
    hyperparameters: dict[str, JsonValue] = {}
    """Settings of the training, by the names that `interlock.runs.jobs.hyperparameters` lists."""


class JobCard(_Card):
    """What the architect hands to the director."""

    role: Literal["director"]
    """Always `director`."""
    prerequisites: tuple[dict[str, Location], ...] = ()
    """What other directors must have made first, one `Dir-Data: PATH` each; the job waits for these."""

    @model_validator(mode="after")
    def _prerequisites_name_a_director(self) -> "JobCard":
        for item in self.prerequisites:
            if len(item) != 1 or not agent_id(next(iter(item))).startswith("dir_"):
                raise ValueError("each prerequisite is one `Dir-NAME: PATH`, the director and what it must have made")
        return self


class ManagerCard(_Card):
    """What the director hands to a manager."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,79}-mgr[0-9]{2}$")]
    """`<job id>-mgrNN`."""
    role: Literal["manager"]
    """Always `manager`."""
    agent: str
    """The manager, in the source's spelling, e.g. `Mgr-Models-02`."""
    depends_on: tuple[str, ...] = ()
    """Ids of the manager cards that must be done first."""
