"""A job on disk, `<home>/jobs/<id>/`. What stands here is what nobody else records; the work itself is read elsewhere.

card.yaml            as it was submitted, to the byte
job.json             digest of the card, lane, where the stages are; never changes
params.yaml          the composed configuration; never changes
managers/*.yaml      the manager cards
journal.jsonl        what happened, hash-chained; the job's state follows from it
logs/*.log           what the workers said
lane_report.yaml     the answer
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, JsonValue, ValidationError

from interlock.contracts.base import Contract
from interlock.contracts.job import ManagerCard
from interlock.contracts.measurement import Sha256
from interlock.errors import ProvenanceError, UsageError
from interlock.provenance.attempts import run_lock
from interlock.provenance.canonical import sha256_json
from interlock.provenance.chain import append, read_chain
from interlock.provenance.files import write_atomic, write_json
from interlock.provenance.locks import is_locked
from interlock.runs.jobs.managers import card_yaml
from interlock.runs.jobs.nearest import nearest
from interlock.runs.jobs.plan import Plan, stage_folder
from interlock.runs.jobs.settings import Composed
from interlock.runs.jobs.states import JobEvent, JobState, advance, state_after
from interlock.runs.runner import work_place
from interlock.stages.place import Place

JOB, CARD, PARAMS, JOURNAL, REPORT = "job.json", "card.yaml", "params.yaml", "journal.jsonl", "lane_report.yaml"


class DemandRecord(Contract):
    """A check of the card and who answers it."""

    check: str
    """As it was written."""
    gate: str | None
    """Name of the gate; None where the prepare record answers."""


class PlaceRecord(Contract):
    """Where the stages of a lane run."""

    lane: str
    """Name of the lane."""
    work: str
    """Folder of the stages, relative to INTERLOCK_HOME."""
    params: str
    """The composed configuration, relative to the job's folder."""
    needs: dict[str, "PlaceRecord"] = Field(default_factory=dict)
    """Lanes that it is made from, by the name of the input."""


class JobRecord(Contract):
    """`job.json`."""

    id: str
    """The card's id."""
    card_sha256: Sha256
    """Digest of the card's content."""
    place: PlaceRecord
    """Where it runs."""
    demands: tuple[DemandRecord, ...]
    """The card's checks."""
    prerequisites: tuple[tuple[str, str], ...]
    """Director and path that must be there first."""
    expected_artifacts: tuple[str, ...]
    """Paths with `{RUN_ID}`."""
    hours_max: dict[str, float] = Field(default_factory=dict)
    """Wall hours of managers by the id of their card; none where the card gives no budget. Training is bounded by the
    configuration's own ceiling, over all of its attempts."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of the journal."""

    event: JobEvent
    at: float
    """Seconds since 1970."""
    details: Mapping[str, Any]


@dataclass(frozen=True)
class JobFolder:
    """One job."""

    home: Path
    id: str

    @property
    def path(self) -> Path:
        """Its folder."""
        return jobs_folder(self.home) / self.id

    def create(self, plan: Plan, data: bytes, *, at: float) -> bool:
        """Write a planned job down; False when the same card is there already.

        Raises UsageError when the id belongs to another card.
        """
        with run_lock(self.home, f"jobfolder-{self.id}", wait_s=30.0):
            if (self.path / JOB).is_file():
                self._require_same(plan)
                return False
            write_atomic(self.path / CARD, data)
            for name, text in _texts(plan.composed, PARAMS).items():
                write_atomic(self.path / name, text)
            for card in plan.managers:
                write_atomic(self.path / "managers" / f"{card.id}.yaml", card_yaml(card))
            (self.path / JOURNAL).unlink(missing_ok=True)  # of an attempt to create it that was cut short
            record = _record(plan, self.home)
            told = {"card_sha256": plan.card_sha256, "record_sha256": sha256_json(record)}
            append(self.path / JOURNAL, _payload(JobEvent.SUBMITTED, at, told))
            write_json(self.path / JOB, record)  # last: its presence means that all is there
            return True

    def record(self) -> JobRecord:
        """What the job is. Raises UsageError for an unknown id, ProvenanceError for a damaged record."""
        path = self.path / JOB
        try:
            found = JobRecord.model_validate_json(path.read_bytes())
        except FileNotFoundError as error:
            known = job_ids(self.home)
            near = nearest(self.id, known)
            hint = f"did you mean {near}?" if near else "interlock job status lists all jobs"
            raise UsageError("there is no such job", key="job", value=self.id, hint=hint) from error
        except ValidationError as error:
            problem = f"the job's record is not valid: {error.errors()[0]['msg']}"
            raise ProvenanceError(problem, path=path, hint="restore the folder from a backup") from error
        if self.journal()[0].details.get("record_sha256") not in (None, sha256_json(found)):
            problem = "the job's record is not the one that it was submitted with"
            raise ProvenanceError(problem, path=path, hint="restore the file, or submit the card under a new id")
        return found

    def place(self, workspace: Path) -> Place:
        """Where its stages run; brings back configurations that were cleaned away."""
        return self._place(self.record().place, workspace)

    def _place(self, record: PlaceRecord, workspace: Path) -> Place:
        needs = {name: self._place(need, workspace) for name, need in record.needs.items()}
        composed = (self.path / record.params).read_text()
        place = work_place(workspace, lane=record.lane, composed=composed, needs=needs)
        if place.folder != self.home / record.work:
            raise ProvenanceError(
                "the job's configuration is not the one that it was submitted with",
                path=self.path / record.params,
                hint="restore the file from a backup, or submit the card under a new id",
            )
        return place

    def journal(self) -> tuple[Entry, ...]:
        """Everything that happened, oldest first. Raises ProvenanceError when it was changed."""
        return tuple(
            Entry(
                event=JobEvent(line.payload["event"]),
                at=float(line.payload["at"]),
                details={name: value for name, value in line.payload.items() if name not in ("event", "at")},
            )
            for line in read_chain(self.path / JOURNAL)
        )

    def state(self) -> JobState:
        """Where it stands, as the journal says."""
        state = state_after(entry.event for entry in self.journal())
        assert state is not None
        return state

    def write(self, event: JobEvent, *, at: float, **details: JsonValue) -> JobState:
        """Append an event. Raises ProvenanceError for one that cannot happen now."""
        with run_lock(self.home, f"jobjournal-{self.id}", wait_s=30.0):
            state = advance(self.state(), event)
            append(self.path / JOURNAL, _payload(event, at, details))
            return state

    @contextmanager
    def running(self) -> Iterator[None]:
        """Be its only runner for the block. Raises BusyError."""
        with run_lock(self.home, self._lock):
            yield

    @property
    def has_runner(self) -> bool:
        """Whether a runner is at work on it, this process included."""
        return is_locked(self.home / "state" / "locks" / f"{self._lock}.lock")

    @property
    def _lock(self) -> str:
        return f"job-{self.id}"

    def log(self, name: str) -> Path:
        """The log of a manager's workers."""
        return self.path / "logs" / f"{name}.log"

    def _require_same(self, plan: Plan) -> None:
        found = self.record()
        if found.card_sha256 != plan.card_sha256:
            raise UsageError(
                "this id belongs to another card; a job never changes what it is",
                path=self.path / CARD,
                key="id",
                value=self.id,
                hint="give the card a new id",
            )


def jobs_folder(home: Path) -> Path:
    """Where jobs are kept."""
    return home / "jobs"


def job_ids(home: Path) -> tuple[str, ...]:
    """Ids of all jobs, sorted."""
    return tuple(sorted(path.parent.name for path in jobs_folder(home).glob(f"*/{JOB}")))


def _record(plan: Plan, home: Path) -> JobRecord:
    return JobRecord(
        id=plan.card.id,
        card_sha256=plan.card_sha256,
        place=_place_record(plan.lane, plan.composed, home, PARAMS),
        demands=tuple(DemandRecord(check=item.check.text, gate=item.gate) for item in plan.demands),
        prerequisites=tuple((director, path) for item in plan.card.prerequisites for director, path in item.items()),
        expected_artifacts=tuple(item.path for item in plan.card.expected_artifacts),
        hours_max={item.id: hours for item in plan.managers if (hours := _own_hours(item)) is not None},
    )


def _own_hours(card: ManagerCard) -> float | None:
    """Of a manager whose work is not bounded elsewhere: training, and lanes that are made first, are."""
    is_trainer = bool(card.hyperparameters)
    return None if is_trainer else card.budget.compute_hours_max


def _place_record(lane: str, composed: Composed, home: Path, name: str) -> PlaceRecord:
    return PlaceRecord(
        lane=lane,
        work=stage_folder(home, lane, composed).relative_to(home).as_posix(),
        params=name,
        needs={
            key: _place_record(need.lane, need.composed, home, _need_file(name, key))
            for key, need in composed.needs.items()
        },
    )


def _texts(composed: Composed, name: str) -> dict[str, str]:
    """The configurations of a job by file name."""
    found = {name: composed.text}
    for key, need in composed.needs.items():
        found |= _texts(need.composed, _need_file(name, key))
    return found


def _need_file(name: str, key: str) -> str:
    """`needs/first_stage.yaml`, and of that one's own needs `needs/first_stage.baseline.yaml`."""
    outer = "" if name == PARAMS else name.removeprefix("needs/").removesuffix("yaml")
    return f"needs/{outer}{key}.yaml"


def _payload(event: JobEvent, at: float, details: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    return {"event": event.value, "at": round(at, 3), **details}
