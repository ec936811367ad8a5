"""Other runs that a lane is made from: where they are, what of them is used, and whether they may be used.

    uses = input_uses("train", place, config)          from records alone: run, digest, and in prepare the verdict
    job.lane_inputs = open_inputs(uses, place, ...)    after every file was compared with its record

A lane of the same pipeline is read where DVC keeps it, an archived run in the archive. Whoever runs stages elsewhere
says where an input stands with a link `<lane folder>/inputs/<name>`; both layouts are known by what is in them.

Composing has turned names of the registry into ids and digests by now (`interlock.config.pins`); nothing is run here.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from interlock.contracts.card import RunCard
from interlock.contracts.input import NOT_JUDGED, PASSED, InputUse, taken_apart
from interlock.contracts.stage import StageName, StageRecord
from interlock.contracts.verdict import Judgement, Verdict
from interlock.errors import ProvenanceError, StageError, UnpassedInputError
from interlock.lanes.catalog import find_lane
from interlock.lanes.spec import LaneInput, load_object
from interlock.provenance.canonical import pretty_json, sha256_json
from interlock.provenance.digest import verify_files
from interlock.provenance.identity import input_sha256
from interlock.provenance.workspace import interlock_home
from interlock.stages.pinned import CARD
from interlock.stages.place import JUDGEMENT, VERDICT, Place, load_record

TAKING: tuple[StageName, ...] = ("prepare", "train", "evaluate")
"""Stages that are handed the lane's inputs."""
_RECORDED = "interlock.registry.derive:refuse_unrecorded_verdict"  # by name: the registry is in no run id
GIVEN = "inputs"
"""Folder beside the stages where a caller says which run each input is."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A run that can be an input, by its records; its files have not been looked at."""

    folder: Path
    """Where its trained files are."""
    prepare: StageRecord
    train: StageRecord
    verdict: str
    """`pass`, `fail` ..., or `not judged`."""
    is_archived: bool = False
    """Whether it stands in an archive, where files of all stages share a folder."""

    @property
    def run_id(self) -> str:
        """The run."""
        return str(self.train.run_id)

    @property
    def sha256(self) -> str:
        """Digest of all that may be used of it."""
        return input_sha256(self.prepare, self.train)

    @property
    def kind(self) -> str:
        """Kind of its lane."""
        lane = self.train.params.get("lane")
        return str(lane.get("kind")) if isinstance(lane, dict) else ""


def input_uses(stage: StageName, place: Place, config: Mapping[str, Any]) -> dict[str, InputUse]:
    """The runs that a stage would read now, by input name; empty for stages that read none.

    Raises StageError for a run that has not finished or was not judged, ProvenanceError for one that is not what it was
    pinned to.
    """
    wanted = (config.get("lane", {}).get("inputs") or {}) if stage in TAKING else {}
    return {name: _use(stage, place, name, reference) for name, reference in wanted.items()}


def require_passed(place: Place, config: Mapping[str, Any]) -> None:
    """Raise UnpassedInputError for the first input that prepare would refuse for its verdict."""
    lane = config.get("lane", {})
    for name, reference in (lane.get("inputs") or {}).items():
        found = source_of(place, name, reference)
        if refused := _unpassed(name, reference, found, lane.get("allow_unpassed") or {}):
            raise refused


def open_inputs(
    uses: Mapping[str, InputUse], place: Place, *, allowed: Mapping[str, bool], earlier: Iterable[StageRecord] = ()
) -> dict[str, LaneInput]:
    """What the lane's functions are handed; `earlier` are the records of its stages before this one.

    Raises UnpassedInputError for a verdict that is no pass unless `allowed` says so by name, StageError for another run
    than an earlier stage read, ProvenanceError for a changed file.
    """
    return {name: _open(name, use, place, allowed=allowed, earlier=tuple(earlier)) for name, use in uses.items()}


def source_of(place: Place, name: str, reference: str) -> Source:
    """The run that a composed `lane.inputs.<name>` names, read where it stands.

    The verdict of an archived one must be one that the registry's events record; a copy that was given is not asked.
    """
    given = place.folder / GIVEN / name
    if given.exists():
        return read_source(given, given=True)
    asked = taken_apart(reference)
    if asked.lane is not None:
        return read_source(Place.of_workspace(place.workspace, asked.lane).folder)
    home = interlock_home(place.workspace)
    load_object(_RECORDED)(home, asked.run_id)
    return read_source(home / "runs" / asked.run_id)


def read_source(folder: Path, *, given: bool = False) -> Source:
    """A run's records, from a lane's folder or from an archived run's.

    In a `given` archived run a `verdict.json` beside `models/` stands for its judgements. Raises StageError for a run
    that is not there or has not finished, ProvenanceError for records that do not belong together.
    """
    models = folder / "models"
    if (models / CARD).is_file():
        prepare, train = _archived_records(models)
        stated = folder / VERDICT
        verdict = _stated(stated, train) if given and stated.is_file() else _newest_verdict(folder, train)
        source = Source(folder=models, prepare=prepare, train=train, verdict=verdict, is_archived=True)
    else:
        prepare, train = load_record(folder / "prepare"), load_record(folder / "train")
        source = Source(folder=folder / "train", prepare=prepare, train=train, verdict=_judged(folder, train))
    if train.inputs.get("prepare") != _outputs_sha256(prepare):
        raise ProvenanceError("its prepared data is not what it was trained on", path=folder, hint=_repair(folder))
    return source


def _use(stage: StageName, place: Place, name: str, reference: str) -> InputUse:
    key = f"lane.inputs.{name}"
    try:
        found = source_of(place, name, reference)
    except (StageError, ProvenanceError) as error:
        raise type(error)(
            f"the input cannot be read: {error.message}", path=error.path, key=key, value=reference, hint=error.hint
        ) from error
    asked = taken_apart(reference)
    if asked.run_id and (asked.run_id, asked.sha256) != (found.run_id, found.sha256):
        raise ProvenanceError(
            f"the archived run is not what it was when this was composed: it gives {pinned_to(found)}",
            path=found.folder,
            key=key,
            value=reference,
            hint=f"interlock verify {asked.run_id} says what differs; restore it, or compose again to use it as it is",
        )
    return InputUse(
        reference=reference,
        run_id=found.run_id,
        sha256=found.sha256,
        verdict=found.verdict if stage == "prepare" else None,
    )


def verdicts_digest(config: Mapping[str, Any], home: Path) -> str | None:
    """Digest over the present verdicts of archived inputs, for the compose stage; None without such inputs.

    DVC sees the verdict of another lane in a file of its own; an archived run has none that DVC keeps.
    """
    wanted = config.get("lane", {}).get("inputs") or {}
    runs = {name: run for name, reference in wanted.items() if (run := taken_apart(reference).run_id)}
    return sha256_json({name: read_source(home / "runs" / run).verdict for name, run in runs.items()}) if runs else None


def pinned_to(source: Source) -> str:
    """The short form of a run with its digest, for messages."""
    return f"run:{source.run_id}@sha256:{source.sha256[:12]}..."


def _open(
    name: str, use: InputUse, place: Place, *, allowed: Mapping[str, bool], earlier: tuple[StageRecord, ...]
) -> LaneInput:
    key = f"lane.inputs.{name}"
    _require_same(key, name, use, earlier)
    found = source_of(place, name, use.reference)
    if refused := _unpassed(name, use.reference, found, allowed):
        raise refused
    _require_own_names(found, key)
    try:
        verify_files(found.folder, found.train.artifacts)
    except ProvenanceError as error:
        hint = _repair(found.folder.parent) if found.is_archived else "dvc checkout, or run that lane again: dvc repro"
        problem = f"a file of run {found.run_id} was changed or is gone: {error.message}"
        raise ProvenanceError(problem, path=error.path, key=key, value=error.value, hint=hint) from error
    return LaneInput(
        reference=use.reference,
        run_id=use.run_id,
        lane=find_lane(found.kind).body(dict(_lane_params(found))),
        verdict=found.verdict,
        trained=found.folder,
        facts={**found.prepare.facts, **found.train.facts},
        sha256=use.sha256,
    )


def _unpassed(name: str, reference: str, found: Source, allowed: Mapping[str, bool]) -> UnpassedInputError | None:
    if found.verdict == PASSED or allowed.get(name):
        return None
    return UnpassedInputError(
        f"may not be used: run {found.run_id} has the verdict {found.verdict}",
        key=f"lane.inputs.{name}",
        value=reference,
        hint=f"use a run that passes, or say lane.allow_unpassed.{name}=true: it is recorded and shown",
    )


def _require_same(key: str, name: str, use: InputUse, earlier: tuple[StageRecord, ...]) -> None:
    """All stages of a run are made from the same input."""
    for record in earlier:
        before = record.lane_inputs.get(name)
        if record.stage in TAKING and (before is None or (before.run_id, before.sha256) != (use.run_id, use.sha256)):
            was = f"run {before.run_id}" if before else "no run"
            raise StageError(
                f"is run {use.run_id} now, and {record.stage} read {was}, or other files of it",
                key=key,
                value=use.reference,
                hint="run the earlier stage again: dvc repro",
            )


def _require_own_names(found: Source, key: str) -> None:
    """An archived run keeps a trained file elsewhere when its name was taken; nobody would find it there."""
    moved = [name for name in found.train.artifacts if (found.folder / "train" / name).is_file()]
    if moved and found.is_archived:
        raise StageError(
            "the archive keeps this training file under another name, so the run cannot be an input",
            path=found.folder / "train" / moved[0],
            key=key,
            hint="name the file otherwise in that lane's train, or use the lane of this pipeline: lane:NAME",
        )


def _lane_params(found: Source) -> Mapping[str, Any]:
    lane = found.train.params.get("lane")
    return lane if isinstance(lane, dict) else {}


def _archived_records(models: Path) -> tuple[StageRecord, StageRecord]:
    """The records of prepare and train, as the card lists them."""
    try:
        card = RunCard.model_validate_json((models / CARD).read_bytes())
        names = {stage: f"records/{stage}.json" for stage in ("prepare", "train")}
        verify_files(models, {name: card.artifacts[name] for name in names.values()})
        prepare, train = (StageRecord.model_validate_json((models / name).read_bytes()) for name in names.values())
    except ValidationError as error:
        problem = f"{error.title} is not valid: {error.errors()[0]['msg']}"
        raise ProvenanceError(problem, path=models, hint=_repair(models.parent)) from error
    except KeyError as error:
        raise ProvenanceError(
            f"the card does not list {error}", path=models / CARD, hint=_repair(models.parent)
        ) from error
    except ProvenanceError as error:
        raise ProvenanceError(error.message, path=error.path, value=error.value, hint=_repair(models.parent)) from error
    if train.run_id != card.run_id:
        raise ProvenanceError("the card belongs to another run", path=models / CARD, value=card.run_id)
    return prepare, train


def _newest_verdict(folder: Path, train: StageRecord) -> str:
    """Verdict of the judgement that was made last, as `interlock runs` shows it."""
    found = [path.parent for path in (folder / "judgements").glob(f"*/{JUDGEMENT}")]
    if not found:
        return NOT_JUDGED
    newest = max(found, key=lambda path: (_made_at(path), path.name)) / JUDGEMENT
    try:
        judgement = Judgement.model_validate_json(newest.read_bytes())
    except ValidationError as error:
        problem = f"the judgement is not valid: {error.errors()[0]['msg']}"
        raise ProvenanceError(problem, path=newest, hint=_repair(folder)) from error
    if judgement.run_id != train.run_id:
        raise ProvenanceError("the judgement is of another run", path=newest, value=judgement.run_id)
    return judgement.verdict.value


def _made_at(judgement: Path) -> str:
    path = judgement / "when.json"
    return str(json.loads(path.read_text()).get("at", "")) if path.is_file() else ""


def _judged(folder: Path, train: StageRecord) -> str:
    """Verdict of a lane's judge stage, which must be about the training that stands beside it."""
    judged = load_record(folder / "judge", verify=True)
    if judged.inputs.get("train") != _outputs_sha256(train):
        raise StageError("it was trained again since it was judged", path=folder / "judge", hint="dvc repro")
    return _stated(folder / "judge" / VERDICT, train)


def _stated(path: Path, train: StageRecord) -> str:
    try:
        stated = json.loads(path.read_text())
        verdict = stated["verdict"] if stated["verdict"] == NOT_JUDGED else Verdict(stated["verdict"]).value
    except FileNotFoundError as error:
        raise StageError("there is no verdict", path=path, hint="judge that lane again: dvc repro") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ProvenanceError(
            "the verdict cannot be read", path=path, hint="judge that lane again: dvc repro"
        ) from error
    if stated.get("run_id") != train.run_id:
        raise ProvenanceError("the verdict is of another run", path=path, value=stated.get("run_id"))
    return verdict


def _outputs_sha256(record: StageRecord) -> str:
    """Digest of the `outputs.json` that belongs to a record."""
    return hashlib.sha256(pretty_json(record.outputs()).encode()).hexdigest()


def _repair(folder: Path) -> str:
    return f"interlock verify {folder.name} says what differs; restore the run, or use another one"
