"""The files that a decision about a run rests on, by their names among the stage folders, and the checks between them.

    stage_sources(folder)                              of the stage folders of a lane
    archived.archived_sources(home, run_id)            the same bytes, of an archived run

What the stages hand over (`outputs.json`) is read and not how it came about (`record.json`): a stage that ran again
with other code and gave the same changes no decision, as it makes no later stage run. What may differ between two
executions of one run (logs, faults that were healed, durations) is left out for the same reason; measurements that
may, such as latencies, are those that were judged: the judgement names their digest. Pure but for the reading.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from interlock.contracts.stage import StageName, StageRecord
from interlock.contracts.verdict import Judgement
from interlock.decisions.evidence import document
from interlock.errors import ProvenanceError
from interlock.provenance.canonical import pretty_json, sha256_json

JUDGEMENT = "judge/judgement.json"
BASELINES = "judge/baselines.json"
"""Measurements of other runs that were judged with; only where a gate is pinned to one."""
CURVE = "train/loss.csv"
MEASUREMENTS = ("evaluate/measurements.json", "export/measurements.json")
HANDING: tuple[StageName, ...] = ("prepare", "train", "evaluate", "export")
"""Stages whose facts may be cited."""

_AGAIN = "run the stages again: dvc repro"


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Files by name, e.g. `judge/judgement.json`, that belong together; make them with `checked`."""

    files: Mapping[str, bytes]
    judgement: Judgement
    facts: Mapping[StageName, Mapping[str, Any]]
    """What each stage says of its work, as its `outputs.json` has it."""
    trained: Mapping[str, Any]
    """Configuration that training used."""

    def sha256(self, name: str) -> str:
        """Digest of a file."""
        return hashlib.sha256(self.files[name]).hexdigest()

    def document(self, name: str) -> Any:
        """A file's content."""
        return document(name, self.files[name])

    def read(self, name: str) -> bytes:
        """A file's bytes, as `evidence.resolve` asks for them. Raises ProvenanceError for one that is not there."""
        if name not in self.files:
            raise ProvenanceError("no such file among the sources of this decision", path=name, hint=_AGAIN)
        return self.files[name]


def handed_over(stage: str) -> str:
    """Name of what a stage hands over."""
    return f"{stage}/outputs.json"


def handed(record: StageRecord) -> bytes:
    """The bytes of it."""
    return pretty_json(record.outputs()).encode()


def stage_sources(folder: Path) -> Sources:
    """Of a lane's stage folders. Raises ProvenanceError for files that are missing or do not belong together."""
    records = {stage: read_record(folder / stage / "record.json") for stage in HANDING}
    for stage, record in records.items():
        if _bytes(folder / handed_over(stage)) != handed(record):
            problem = "does not say what the stage's record says"
            raise ProvenanceError(problem, path=folder / handed_over(stage), hint=_AGAIN)
    files = {JUDGEMENT: _bytes(folder / JUDGEMENT)}
    for name in (BASELINES, CURVE, *MEASUREMENTS):
        if (folder / name).is_file():
            files[name] = _bytes(folder / name)
    return checked(files, records)


def checked(files: Mapping[str, bytes], records: Mapping[StageName, StageRecord]) -> Sources:
    """Files that belong together, beside what each stage's record hands over; an export may be missing.

    Raises ProvenanceError naming the first that is not valid, or does not belong to the others.
    """
    judgement = _judgement(files[JUDGEMENT])
    for stage, record in records.items():
        if record.run_id != judgement.run_id and stage != "prepare":
            problem = f"is of another run than the judgement of {judgement.run_id}"
            raise ProvenanceError(problem, path=handed_over(stage), value=record.run_id, hint=_AGAIN)
        _require_listed(files, record)
    told = {stage: record for stage, record in records.items() if record.status != "skipped"}  # those say nothing
    curve = CURVE.partition("/")[2]
    sources = Sources(
        # A curve that training does not hand over may differ between executions, so it is no evidence.
        files={name: data for name, data in files.items() if name != CURVE or curve in records["train"].artifacts}
        | {handed_over(stage): handed(record) for stage, record in told.items()},
        judgement=judgement,
        facts={stage: record.facts for stage, record in told.items()},
        trained=records["train"].params,
    )
    _require_judged(sources)
    return sources


def read_record(path: Path) -> StageRecord:
    """A stage's record. Raises ProvenanceError."""
    try:
        return StageRecord.model_validate_json(_bytes(path))
    except ValidationError as error:
        problem = f"the record is not valid: {error.errors()[0]['msg']}"
        raise ProvenanceError(problem, path=path, hint=_AGAIN) from error


def _judgement(data: bytes) -> Judgement:
    try:
        return Judgement.model_validate_json(data)
    except ValidationError as error:
        problem = f"the judgement is not valid: {error.errors()[0]['msg']}"
        raise ProvenanceError(problem, path=JUDGEMENT, hint=_AGAIN) from error


def _require_listed(files: Mapping[str, bytes], record: StageRecord) -> None:
    for name, listed in record.artifacts.items():
        data = files.get(f"{record.stage}/{name}")
        if data is not None and hashlib.sha256(data).hexdigest() != listed.sha256:
            problem = "differs from what its stage handed over"
            raise ProvenanceError(problem, path=f"{record.stage}/{name}", value=listed.sha256, hint=_AGAIN)


def _require_judged(sources: Sources) -> None:
    """Measurements are those of the judgement: it names the digest of all of them together."""
    found: dict[str, Any] = {}
    for name in (*MEASUREMENTS, BASELINES):
        if name in sources.files:
            found |= {item["name"]: item for item in sources.document(name)["items"]}
    if sha256_json(found) != sources.judgement.measurements_sha256:
        stages = " and ".join(name for name in MEASUREMENTS if name in sources.files) or MEASUREMENTS[0]
        hint = "judge again: dvc repro --force --single-item judge@LANE"
        raise ProvenanceError("these measurements are not those that were judged", path=stages, hint=hint)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ProvenanceError("file is missing", path=path, hint=_AGAIN) from error
