"""The archive of runs: what the registry points to, and what survives every workspace.

Everything is copied atomically and checked against its recorded digest while it is copied; the card comes last, so a
run with a card is complete. A complete run never changes: a copy that would change a byte of its model is refused by
name. Whatever was interrupted is taken up again by the next call. The caller holds the run's archive lock.

Not kept: the prepared data (DVC has it) and resume states.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from interlock.contracts.card import RunCard
from interlock.contracts.stage import Artifact, StageName, StageRecord
from interlock.errors import ProvenanceError, RegistryError
from interlock.provenance.canonical import pretty_json
from interlock.provenance.digest import files_under, sha256_file, verify_files
from interlock.provenance.files import atomic_file, write_atomic
from interlock.registry.cards import make_card
from interlock.registry.layout import (
    CARD,
    MODEL_STAGES,
    RECORDS,
    RESTORE,
    FinishedRun,
    StageFiles,
    id_folder,
    placed_model_files,
    placements,
    run_folder,
    safe_name,
)
from interlock.registry.recorded import refuse_unrecorded
from interlock.registry.spending import ANSWERS, spend

Change = Literal["unfinished", "archived", "completed", "revised", "unchanged"]
"""`unfinished`: there is no card yet. `completed`: a provisional card got its export. `revised`: a stage ran again with
other code; the model stays, what differs is kept beside it."""

_BLOCK_BYTES = 1 << 20


def archive_models(home: Path, run: FinishedRun) -> Change:
    """Bring `models/` of the run up to date.

    Raises RegistryError when a complete model would change, ProvenanceError when a file differs from its record, or
    the card from what the event logs recorded.
    """
    folder = run_folder(home, run.run_id) / "models"
    _sweep(folder.parent)
    card = read_card(home, run.run_id) if (folder / CARD).is_file() else None
    if card is None:
        return _first_time(folder, run)
    refuse_unrecorded(home, [run.run_id], may_be_new=True)  # else what somebody changed would be recorded as news
    if card.export == "skipped" and "export" in run.stages and run.stages["export"].record.status == "completed":
        _refuse_changed_model(folder, run, card)
        _write_models(folder, run)
        return "completed"
    seal(folder, (*card.artifacts, *card.observations.artifacts, CARD))
    return _later_time(folder, run, card)


def archive_volatile(home: Path, run: FinishedRun) -> None:
    """Keep the logs of executions whose results were archived before: `models/` holds those of the first one."""
    folder = run_folder(home, run.run_id)
    first = read_card(home, run.run_id).observations.attempts if (folder / "models" / CARD).is_file() else None
    for stage, found in _covered(run):
        attempt = found.observations.attempt
        if first is None or first.get(stage) == attempt:
            continue
        for name, artifact in found.observations.volatile_artifacts.items():
            target = id_folder(folder / "attempts", attempt) / "files" / safe_name(name, found.folder)
            _copy(found.folder / name, target, artifact)


def archive_attempt(home: Path, run_id: str, attempt: str, files: Mapping[str, str]) -> None:
    """Keep records of an execution; a file that is there already stays as it is."""
    folder = id_folder(run_folder(home, run_id) / "attempts", attempt)
    for name, text in files.items():
        if not (folder / name).exists():
            write_atomic(folder / name, text)


def archive_statement(
    home: Path, run_id: str, kind: str, identity: str, *, main: str, files: Mapping[str, str]
) -> Path:
    """Keep a judgement or a decision: `files` by name, `main` written last. Returns its folder.

    The same one again changes nothing. One with the same id but other words (its code was changed) gets a folder of
    its own, named by id and digest.
    """
    parent = run_folder(home, run_id) / kind
    folder = id_folder(parent, identity)
    kept = _read(folder / main)
    if kept is not None and kept != files[main]:
        digest = hashlib.sha256(files[main].encode()).hexdigest()
        folder = id_folder(parent, f"{identity}-{digest[:8]}")
        kept = _read(folder / main)
    if kept is None:
        for name in sorted(files, key=lambda name: (name == main, name)):
            write_atomic(folder / name, files[name])
    return folder


def read_card(home: Path, run_id: str, *, verify: bool = False) -> RunCard:
    """The card of an archived run; with `verify` also compare it with the event logs, and every file with it.

    Raises RegistryError when there is none or it is not valid, ProvenanceError when it or a file differs.
    """
    folder = run_folder(home, run_id) / "models"
    text = _read(folder / CARD)
    if text is None:
        raise RegistryError("this run has no card", path=folder / CARD, hint="finish it with dvc repro, then sync")
    try:
        card = RunCard.model_validate_json(text)
    except ValidationError as error:
        raise RegistryError(
            f"the run card is not valid: {error.errors()[0]['msg']}",
            path=folder / CARD,
            hint="restore the file from a backup, or move the run's folder away and sync again",
        ) from error
    if card.run_id != run_id:
        raise RegistryError("the card belongs to another run", path=folder / CARD, value=card.run_id)
    if verify:
        refuse_unrecorded(home, [run_id])
        _verify_archived(folder, {**card.artifacts, **card.observations.artifacts})
    return card


def _verify_archived(folder: Path, artifacts: dict[str, Artifact]) -> None:
    """`verify_files` with the way out of an archive, which no stage and no DVC brings back."""
    try:
        verify_files(folder, artifacts)
    except ProvenanceError as error:
        raise ProvenanceError(error.message, path=error.path, value=error.value, hint=RESTORE) from None


def _first_time(folder: Path, run: FinishedRun) -> Change:
    """Copy what is finished; write the card when everything up to export is."""
    placed = placements(run)
    wanted = {*placed, *(_record_name(found.record) for _, found in _covered(run))}
    for name in files_under(folder) if folder.is_dir() else []:
        if name not in wanted:  # left by an execution that never got its card
            (folder / name).unlink()
    return _write_models(folder, run)


def _write_models(folder: Path, run: FinishedRun) -> Change:
    placed = placements(run)
    for target, item in placed.items():
        _copy(run.stages[item.stage].folder / item.name, folder / target, item.artifact)
    records = {}
    for _, found in _covered(run):
        name = _record_name(found.record)
        write_if_other(folder / name, found.record_text)
        data = found.record_text.encode()
        records[name] = Artifact(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))
    if any(stage not in run.stages for stage in MODEL_STAGES):
        return "unfinished"
    seal(folder, (*placed, *records))
    card = make_card(folder, run, placed=placed, records=records, spent=spend(folder.parent))
    write_atomic(folder / CARD, pretty_json(card))
    seal(folder, (CARD,))
    return "archived"


def _later_time(folder: Path, run: FinishedRun, card: RunCard) -> Change:
    changed = [
        (stage, found)
        for stage, found in _covered(run)
        if _read(folder / _record_name(found.record)) != found.record_text
        and not (stage == "export" and found.record.status == "skipped")  # a shipped model stays shipped
    ]
    if not changed:
        return "unchanged"
    _refuse_changed_model(folder, run, card)
    for stage, found in changed:
        _keep_revision(folder, run, stage, found, card)
    return "revised"


def _refuse_changed_model(folder: Path, run: FinishedRun, card: RunCard) -> None:
    """Raise unless all files of train, and all model files that the card has, are the archived bytes."""
    placed = placements(run)
    models = {*placed_model_files(run, placed)}
    for target, item in placed.items():
        kept = card.artifacts.get(target)
        is_new_export = kept is None and item.stage == "export" and card.export == "skipped"
        if item.volatile or is_new_export or not (item.stage == "train" or target in models):
            continue
        if kept is None or kept.sha256 != item.artifact.sha256:
            raise RegistryError(
                f"run {run.run_id} is complete, and {item.stage} now gives other bytes for this file",
                path=folder / target,
                value=item.artifact.sha256,
                hint="the archived model stays as it is; a changed model needs a run of its own, e.g. another seed",
            )


def _keep_revision(folder: Path, run: FinishedRun, stage: StageName, found: StageFiles, card: RunCard) -> None:
    """Keep what a stage with other code, configuration or inputs gave. Raises when none of these differs."""
    name = _record_name(found.record)
    _verify_archived(folder, {name: card.artifacts[name]})
    kept = StageRecord.model_validate_json((folder / name).read_text())
    if _cause(kept) == _cause(found.record) and kept.artifacts != found.record.artifacts:
        names = sorted(
            name
            for name in {*kept.artifacts, *found.record.artifacts}
            if kept.artifacts.get(name) != found.record.artifacts.get(name)
        )
        raise RegistryError(
            f"{stage} gave other bytes from the same code, configuration and inputs",
            path=found.folder / names[0],
            hint="something in it is not reproducible; the lane must declare such a file volatile",
        )
    digest = hashlib.sha256(found.record_text.encode()).hexdigest()[:16]
    target = folder.parent / "revisions" / digest / stage
    for place, item in placements(run).items():
        if item.stage == stage and not item.volatile and card.artifacts.get(place) != item.artifact:
            _copy(found.folder / item.name, target / item.name, item.artifact)
    write_if_other(target / "record.json", found.record_text)


def _cause(record: StageRecord) -> tuple[str, str, str, dict[str, str]]:
    return record.code_sha256, record.params_sha256, record.lock_sha256, dict(record.inputs)


def _record_name(record: StageRecord) -> str:
    """A skipped stage's record has a name of its own, so that completing a card replaces nothing but the card."""
    return f"{RECORDS}/{record.stage}{'.skipped' if record.status == 'skipped' else ''}.json"


def _covered(run: FinishedRun) -> list[tuple[StageName, StageFiles]]:
    return [(stage, run.stages[stage]) for stage in MODEL_STAGES if stage in run.stages]


def _copy(source: Path, target: Path, artifact: Artifact) -> None:
    """Copy, checking the digest on the way; a target that is right already is left alone."""
    if target.is_file() and target.stat().st_size == artifact.size_bytes and sha256_file(target) == artifact.sha256:
        return
    hint = "it was changed after it was written; restore it with dvc checkout or run the stage again"
    try:
        checked_copy(source, target, artifact.sha256, hint=hint)
    except FileNotFoundError as error:
        raise ProvenanceError("file is missing", path=source, hint="dvc checkout, or run the stage again") from error


def checked_copy(source: Path, target: Path, sha256: str, *, hint: str) -> None:
    """Copy a file atomically; raises ProvenanceError with this hint, and leaves nothing, when its digest differs."""
    digest = hashlib.sha256()
    with source.open("rb") as incoming, atomic_file(target) as outgoing:
        while block := incoming.read(_BLOCK_BYTES):
            digest.update(block)
            outgoing.write(block)
        if digest.hexdigest() != sha256:
            raise ProvenanceError("file differs from its recorded digest", path=source, value=sha256, hint=hint)


def write_if_other(path: Path, text: str) -> None:
    """Write atomically unless the file has this text already."""
    if _read(path) != text:
        write_atomic(path, text)


def seal(folder: Path, names: Iterable[str]) -> None:
    """Take away the right to write: a reminder for people, the digests are the proof."""
    for name in names:
        if (folder / name).is_file():
            os.chmod(folder / name, 0o444)


def _sweep(folder: Path) -> None:
    """Remove what a killed process left of unfinished writes; answers may be coming in this very moment."""
    for path in folder.rglob(".*.part") if folder.is_dir() else ():
        if path.relative_to(folder).parts[0] != ANSWERS:
            path.unlink(missing_ok=True)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
