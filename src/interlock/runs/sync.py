"""`interlock sync`: archive what has finished, write down what is news, bring the index up to date. Safe to repeat.

Reads finished stage folders and never runs anything, so it works alike after `dvc repro`, after a cache hit, and on
another machine after `dvc pull`. Stages that are missing, or older than the ones before them, are left for later.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from interlock.contracts.attempt import AttemptEnd
from interlock.contracts.stage import STAGE_INPUTS, STAGES, Observations, StageName, StageRecord
from interlock.contracts.verdict import Judgement
from interlock.decisions import journal
from interlock.errors import InterlockError, ProvenanceError, StageError, UsageError
from interlock.lanes.catalog import find_lane
from interlock.provenance.attempts import list_attempts, run_lock
from interlock.provenance.canonical import pretty_json, sha256_json
from interlock.provenance.digest import sha256_file
from interlock.provenance.dotted import lookup
from interlock.provenance.signing import configured_key
from interlock.registry.archive import Change, archive_attempt, archive_models, archive_statement, archive_volatile
from interlock.registry.derive import (
    BY_HAND,
    DECISION,
    DECISIONS,
    JUDGEMENT,
    JUDGEMENTS,
    PIPELINE,
    WHEN,
    decided_proposal,
    has_lost_log,
    news,
    read_decision,
    rebuild,
    run_proposals,
    source_of,
    statement_proposal,
    statements,
)
from interlock.registry.events import Proposal, read_events
from interlock.registry.kept import kept_proposals
from interlock.registry.layout import CARD, FinishedRun, StageFiles, run_folder, safe_name
from interlock.registry.spending import spent_proposals
from interlock.registry.statement import envelopes
from interlock.runs.healing.lineage import note_verdict
from interlock.stages.place import OBSERVATIONS, OUTPUTS, RECORD, read_composed

LOCK_WAIT_S = 120.0
"""How long to wait for another sync of the same run."""
_MEASUREMENTS = "measurements.json"
_STATEMENTS: tuple[tuple[StageName, str, str, str], ...] = (
    ("judge", JUDGEMENTS, JUDGEMENT, "judgement_id"),
    ("decide", DECISIONS, DECISION, "decision_id"),
)
_MEASURED: tuple[tuple[StageName, str], ...] = (("evaluate", ""), ("export", "export/"))
_USUAL_MODEL_FILES = ("train/model.safetensors", "export/model.onnx")


@dataclass(frozen=True, kw_only=True)
class LaneSync:
    """What became of one lane's folder."""

    folder: str
    """The folder, relative to the workspace."""
    run_id: str | None
    """Its run; None before training has finished."""
    change: Change
    """What the archive took up."""
    events: int = 0
    """Events written down."""
    missing: tuple[StageName, ...] = ()
    """Stages that have not finished, or are older than the ones before them."""
    tracking: str = ""
    """Where trackers show the run, or why they do not; never a reason to fail."""


@dataclass(frozen=True, kw_only=True)
class SyncReport:
    """What a sync did. Faults of one lane do not keep the others from being archived."""

    lanes: tuple[LaneSync, ...] = ()
    problems: Mapping[str, InterlockError] = field(default_factory=dict)
    """Errors by folder; a caller answers with the first one's exit code."""


def sync(workspace: Path, home: Path) -> SyncReport:
    """Archive every lane that DVC keeps for the workspace; `interlock run` archives its own when it ends."""
    lanes: list[LaneSync] = []
    problems: dict[str, InterlockError] = {}
    if has_lost_log(home):
        try:
            rebuild(home)  # first, so that what the archive holds comes before what is news
        except InterlockError as error:
            problems[_shown(home / "runs", workspace)] = error
    for folder in _lane_folders(workspace):
        try:
            lanes.append(sync_lane(folder, workspace=workspace, home=home))
        except InterlockError as error:
            problems[_shown(folder, workspace)] = error
    return SyncReport(lanes=tuple(lanes), problems=problems)


def sync_lane(folder: Path, *, workspace: Path, home: Path, track: bool = True) -> LaneSync:
    """Archive one lane's folder and bring the registry up to date; with `track` tell the trackers, too.

    Raises ProvenanceError for a file or record that was changed, RegistryError when a complete model would change,
    BusyError when another sync of this run does not end.
    """
    stages = finished_stages(folder)
    missing = tuple(stage for stage in STAGES if stage not in stages)
    where = _shown(folder, workspace)
    if "train" not in stages:
        return LaneSync(folder=where, run_id=None, change="unfinished", missing=missing)
    record = stages["train"].record
    run = FinishedRun(
        run_id=_run_id(stages["train"]), lane=record.lane, stages=stages, model_files=_model_files(record),
        parent_run=_parent_run(folder),
    )  # fmt: skip
    with run_lock(home, f"archive-{run.run_id}", wait_s=LOCK_WAIT_S):
        change = archive_models(home, run)
        archive_volatile(home, run)
        _archive_attempts(home, run)
        proposals = [] if change == "unfinished" else run_proposals(home, run.run_id)
        proposals += [*spent_proposals(home, run.run_id), *_interrupted(home, run.run_id)]
        proposals += _archive_statements(home, run)
        events = news(home, [*proposals, *kept_proposals(home, run.run_id)])
        _journal(home, run.run_id)
        sign_archived(home, run.run_id, is_news=bool(events))
        _count_verdict(home, run)
    said = "" if change == "unfinished" or not track else _track(folder, run, workspace=workspace, home=home)
    return LaneSync(folder=where, run_id=run.run_id, change=change, events=events, missing=missing, tracking=said)


def finished_stages(folder: Path) -> dict[StageName, StageFiles]:
    """Finished stages that belong together: each one read what the ones before it hand over now, for the same run.

    Raises ProvenanceError for a record that does not fit its own folder, StageError for one that cannot be read.
    """
    found: dict[StageName, StageFiles] = {}
    for stage in STAGES:
        path = folder / stage
        if not (path / RECORD).is_file():
            continue
        files = read_stage(path)
        if files.record.stage != stage:
            raise ProvenanceError("the record is of another stage", path=path / RECORD, value=files.record.stage)
        if _belongs(files.record, folder, found):
            found[stage] = files
    return found


def read_stage(folder: Path) -> StageFiles:
    """Read a finished stage and check its small files against each other; its artifacts are checked when copied."""
    record_text, observations_text = _text(folder / RECORD), _text(folder / OBSERVATIONS)
    try:
        record = StageRecord.model_validate_json(record_text)
        observations = Observations.model_validate_json(observations_text)
    except ValidationError as error:
        raise StageError(
            f"a record is not valid: {error.title}: {error.errors()[0]['msg']}",
            path=folder,
            hint=f"delete {folder} and run dvc repro",
        ) from error
    if _text(folder / OUTPUTS) != pretty_json(record.outputs()):
        raise _changed(folder / OUTPUTS, "it does not say what the record says")
    if record.params and sha256_json(record.params) != record.params_sha256:
        raise _changed(folder / RECORD, "its configuration differs from the digest beside it")
    if set(record.volatile) != set(observations.volatile_artifacts):
        raise _changed(folder / OBSERVATIONS, "it lists other volatile files than the record")
    return StageFiles(
        folder=folder,
        record=record,
        record_text=record_text,
        observations=observations,
        observations_text=observations_text,
    )


def _belongs(record: StageRecord, folder: Path, found: Mapping[StageName, StageFiles]) -> bool:
    """Whether the stage is newer than its inputs. DVC leaves a later stage's files while an earlier one runs again."""
    wanted = STAGE_INPUTS[record.stage]
    if set(record.inputs) != set(wanted) or any(stage not in found for stage in wanted):
        return False
    if any(record.inputs[stage] != sha256_file(folder / stage / OUTPUTS) for stage in wanted):
        return False
    return "train" not in found or record.run_id == found["train"].record.run_id


def _run_id(train: StageFiles) -> str:
    if train.record.run_id is None:
        raise _changed(train.folder / RECORD, "a training record without a run id")
    return train.record.run_id


def _parent_run(folder: Path) -> str | None:
    """The run whose decision led to this one; lanes of DVC have their configuration elsewhere, and no such run."""
    params = folder / "params.yaml"
    parent = lookup(read_composed(params), "lineage.parent_run") if params.is_file() else None
    return parent if isinstance(parent, str) else None


def _model_files(record: StageRecord) -> tuple[str, ...]:
    """The lane's declaration, or the usual names where its package is not installed on this machine."""
    lane = record.params.get("lane")
    try:
        return find_lane(str(lane.get("kind") if isinstance(lane, dict) else "")).model_files
    except (UsageError, ImportError):
        return _USUAL_MODEL_FILES


def _archive_attempts(home: Path, run: FinishedRun) -> None:
    """Keep what is known of executions: from this home's records, and from the stages, which other machines made."""
    for files in list_attempts(home, lane=run.lane, run_id=run.run_id, skip_damaged=True):
        texts = {"start.json": pretty_json(files.start)}
        if isinstance(files.end, AttemptEnd):
            texts["end.json"] = pretty_json(files.end)
        archive_attempt(home, run.run_id, files.start.attempt, texts)
    for found in run.stages.values():
        texts = {f"{found.record.stage}.observations.json": found.observations_text}
        archive_attempt(home, run.run_id, found.observations.attempt, texts)


def _archive_statements(home: Path, run: FinishedRun) -> list[Proposal]:
    proposals = []
    for stage, kind, main, key in _STATEMENTS:
        found = run.stages.get(stage)
        if found is None:
            continue
        texts = _statement_texts(found)
        if main not in texts or not isinstance(identity := found.record.facts.get(key), str):
            raise StageError(
                f"the stage names no {key}, or lacks {main}", path=found.folder, hint="run the stage again: dvc repro"
            )
        texts |= _measurement_texts(run) if stage == "judge" else {}
        folder = archive_statement(home, run.run_id, kind, identity, main=main, files=texts)
        if main == DECISION:
            proposals.append(decided_proposal(home, run.run_id, folder, source=PIPELINE))
        else:
            proposals.append(statement_proposal(run.run_id, folder, main, source=PIPELINE))
    return proposals


def _interrupted(home: Path, run_id: str) -> list[Proposal]:
    """Decisions of `interlock decide` that were archived, and whose command was cut off before anybody was told."""
    said = {event.key for event, _ in read_events(home) if event.subject == run_id}
    folders = [folder for folder in statements(home, run_id, DECISIONS) if source_of(folder) == BY_HAND]
    found = [decided_proposal(home, run_id, folder, source=BY_HAND) for folder in folders]
    return [proposal for proposal in found if proposal.key not in said]


def _journal(home: Path, run_id: str) -> None:
    """Write down every decision of the run that the journal does not have."""
    folders = statements(home, run_id, DECISIONS)
    known = {entry.decision_id for entry in journal.read(home)} if folders else set()
    for folder in folders:
        if (decision := read_decision(folder)).decision_id not in known:
            journal.write(home, decision)


def _count_verdict(home: Path, run: FinishedRun) -> None:
    """A failed verdict counts against the run's lineage, one that passes ends the row."""
    if "judge" in run.stages:
        facts = {name: str(value) for name, value in run.stages["judge"].record.facts.items()}
        identity, verdict = facts.get("judgement_id", ""), facts.get("verdict", "")
        note_verdict(home, run.run_id, lane=run.lane, judgement_id=identity, verdict=verdict)


def keep_judgement(home: Path, judgement: Judgement, *, made_at: str, files: Mapping[str, str]) -> int:
    """Archive a judgement that `interlock judge` made of an archived run; returns how many events it was.

    `made_at` is when (UTC, ISO 8601); `files` are further texts by name, e.g. the verdict page.
    """
    texts = {**files, JUDGEMENT: pretty_json(judgement), WHEN: pretty_json({"at": made_at, "source": BY_HAND})}
    with run_lock(home, f"archive-{judgement.run_id}", wait_s=LOCK_WAIT_S):
        identity = judgement.judgement_id
        folder = archive_statement(home, judgement.run_id, JUDGEMENTS, identity, main=JUDGEMENT, files=texts)
        said = statement_proposal(judgement.run_id, folder, JUDGEMENT, source=BY_HAND)
        events = news(home, [said, *kept_proposals(home, judgement.run_id)])
        sign_archived(home, judgement.run_id, is_news=bool(events))
        return events


def sign_archived(home: Path, run_id: str, *, is_news: bool) -> None:
    """Sign what is archived when a key is configured; again only when there is something new to sign."""
    key = configured_key()
    if key is None or not (run_folder(home, run_id) / "models" / CARD).is_file():
        return
    from interlock.runs.proof.prove import sign_run  # judging again loads the judge, which sync alone never needs

    if is_news or not envelopes(home, run_id):
        sign_run(home, run_id, key)


def _statement_texts(found: StageFiles) -> dict[str, str]:
    """All files of a judge or decide stage, checked, with its record and when it was made."""
    artifacts = {**found.record.artifacts, **found.observations.volatile_artifacts}
    texts = {}
    for name, artifact in artifacts.items():
        path = found.folder / safe_name(name, found.folder)
        texts[name] = _text(path)
        if sha256_file(path) != artifact.sha256:
            raise _changed(path, "file differs from its recorded digest")
    when = pretty_json({"at": found.observations.started_at, "source": PIPELINE})
    return {**texts, RECORD: found.record_text, WHEN: when}


def _measurement_texts(run: FinishedRun) -> dict[str, str]:
    """What was judged: `measurements.json` of evaluate, and of export in a folder of its own, as the model keeps them.

    A judgement keeps its own, because measurements such as latencies differ between executions of one run.
    """
    texts = {}
    for stage, prefix in _MEASURED:
        found = run.stages.get(stage)
        if found is not None and (found.folder / _MEASUREMENTS).is_file():
            texts[prefix + _MEASUREMENTS] = _text(found.folder / _MEASUREMENTS)
    return texts


def _track(folder: Path, run: FinishedRun, *, workspace: Path, home: Path) -> str:
    """Tell the trackers, when everything else is settled; whatever happens there is a sentence and no error."""
    from interlock.runs.tracked.results import track_again

    own = folder / "params.yaml"  # of `interlock run`; DVC's lanes have theirs in the workspace
    params = own if own.is_file() else workspace / "params" / f"{run.lane}.yaml"
    return track_again(home, run.run_id, params=params, workspace=workspace)


def _lane_folders(workspace: Path) -> list[Path]:
    """Folders that DVC fills. Those of `interlock run` are judged by other gates, so they never speak here."""
    folders = sorted((workspace / "artifacts" / "lanes").glob("*"))
    return [folder for folder in folders if any((folder / stage / RECORD).is_file() for stage in STAGES)]


def _shown(folder: Path, workspace: Path) -> str:
    return folder.relative_to(workspace).as_posix() if folder.is_relative_to(workspace) else str(folder)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ProvenanceError("file is missing", path=path, hint="dvc checkout, or run the stage again") from error
    except UnicodeDecodeError as error:
        raise _changed(path, "it is not text") from error


def _changed(path: Path, problem: str) -> ProvenanceError:
    return ProvenanceError(
        problem, path=path, hint="it was changed after it was written; dvc checkout, or run the stage again: dvc repro"
    )
