"""What is signed about a run: an in-toto Statement v1 that pins every byte of its folder and its place in the logs.

    subject      the model files and the card, by sha256
    predicate    `urn:interlock:run-card:v1`: the card's identity, results and verdict, the digests of all other files
                 (judgements, decisions, attempts), the events about the run, and how far each log had come

The position in the logs makes later dropping or backdating visible: the log must still hold that line. Nothing here
depends on the clock, so that an unchanged run gives the same statement. The predicate's type is a URN: it names a
format and points to no host.
"""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, JsonValue, ValidationError

from interlock.contracts.base import Contract
from interlock.contracts.card import RunCard
from interlock.contracts.measurement import Sha256
from interlock.errors import RegistryError
from interlock.provenance.canonical import canonical_json, sha256_json
from interlock.provenance.signing import SignatureError, envelope_payload, read_envelope
from interlock.registry.derive import DECISIONS, JUDGEMENTS
from interlock.registry.events import Head, Line
from interlock.registry.kept import COMPLETE_BY
from interlock.registry.layout import CARD, run_folder
from interlock.registry.verification.archived import Archived
from interlock.registry.verification.logs import Logs

STATEMENT_TYPE: Literal["https://in-toto.io/Statement/v1"] = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Literal["urn:interlock:run-card:v1"] = "urn:interlock:run-card:v1"
SIGNATURES = "signatures"
SUFFIX = ".dsse.json"
PINNED_KINDS = ("run_archived", "model_registered", "judged", "decided", "files_kept")
"""Events that speak of what the run is and what was found; where it was promoted or copied to comes and goes."""

PINNED_FOLDERS = ("models", *COMPLETE_BY)
"""Folders of a run whose files a signature pins."""


class Digests(Contract):
    """Digests of a subject."""

    sha256: Sha256
    """SHA-256 of its bytes."""


class Subject(Contract):
    """A file that the statement is about."""

    name: str
    """Name relative to the run's folder."""
    digest: Digests
    """Its digest."""


class RunPredicate(Contract):
    """What is said of the run."""

    run_id: str
    """The run."""
    model_type: str
    """Kind of the lane."""
    dataset: str
    """Name of the dataset."""
    dataset_sha256: Sha256
    """Digest of its content."""
    git_commit: str
    """Commit; empty without git."""
    code_sha256: Sha256
    """Digest of the training code."""
    lock_sha256: Sha256
    """Digest of the locked dependencies."""
    export: Literal["completed", "skipped"]
    """A card whose export was skipped is provisional: a finished export may complete it once."""
    card_identity_sha256: Sha256
    """Digest of everything on the card that is not observed."""
    results: dict[str, JsonValue]
    """Measured values that every execution gives."""
    verdict: str | None
    """Verdict of the newest judgement; None when it was never judged."""
    judgement_id: str | None
    """That judgement."""
    judgements: tuple[str, ...]
    """Folders of all judgements, sorted."""
    decisions: tuple[str, ...]
    """Folders of all decisions, sorted."""
    attempts: tuple[str, ...]
    """Ids of all archived executions, sorted."""
    files: dict[str, Sha256]
    """Digest of every file of the run that is no subject, by name relative to the run's folder."""
    events: tuple[Sha256, ...]
    """Keys of the events about the run, in the common order."""
    logs: dict[str, Head]
    """The last line, when this was made, of every log that speaks of the run, by writer."""


class Statement(Contract):
    """An in-toto Statement v1 (https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md)."""

    type_: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type", serialization_alias="_type")
    """Version of the layout."""
    subject: tuple[Subject, ...]
    """The model files and the card."""
    predicateType: Literal["urn:interlock:run-card:v1"]
    """Version of the predicate."""
    predicate: RunPredicate
    """What is said of them."""

    def to_json(self) -> str:
        """Canonical JSON."""
        return canonical_json(self.model_dump(mode="json", by_alias=True))


def make_statement(archived: Archived, logs: Logs) -> Statement:
    """The statement about a run as it stands; verify it first. Raises RegistryError for a run without a card."""
    card = archived.card
    if card is None:
        path = run_folder(archived.home, archived.run_id) / "models" / CARD
        raise RegistryError("this run has no card, so nothing can be said of it", path=path, hint="interlock sync")
    subjects = {f"models/{name}" for name in (*card.model_files, CARD)}
    files = {name: item.sha256 for name, item in archived.files.items() if name.partition("/")[0] in PINNED_FOLDERS}
    return Statement(
        _type=STATEMENT_TYPE,
        subject=tuple(
            Subject(name=name, digest=Digests(sha256=sha256)) for name, sha256 in files.items() if name in subjects
        ),
        predicateType=PREDICATE_TYPE,
        predicate=_predicate(archived, card, logs, {key: files[key] for key in files if key not in subjects}),
    )


def _predicate(archived: Archived, card: RunCard, logs: Logs, files: dict[str, str]) -> RunPredicate:
    lines = pinned_lines(logs, archived)
    judged = next((line.event.body for line in reversed(lines) if line.event.kind == "judged"), {})
    return RunPredicate(
        run_id=archived.run_id,
        model_type=card.model_type,
        dataset=card.dataset,
        dataset_sha256=card.dataset_sha256,
        git_commit=card.git_commit,
        code_sha256=card.code_sha256,
        lock_sha256=card.lock_sha256,
        export=card.export,
        card_identity_sha256=sha256_json(card.identity()),
        results=card.results,
        verdict=_text(judged.get("verdict")),
        judgement_id=_text(judged.get("judgement_id")),
        judgements=tuple(archived.entries(JUDGEMENTS)),
        decisions=tuple(archived.entries(DECISIONS)),
        attempts=tuple(archived.entries("attempts")),
        files=files,
        events=tuple(line.event.key for line in lines),
        logs={
            line.writer: Head(seq=len(logs.by_writer[line.writer]), sha256=logs.by_writer[line.writer][-1].sha256)
            for line in lines
        },
    )


def pinned_lines(logs: Logs, archived: Archived) -> list[Line]:
    """The events about this copy of a run that a signature pins."""
    lines = logs.of_copy(archived.run_id, archived.card_sha256)
    return [line for line in lines if line.event.kind in PINNED_KINDS]


def read_statement(payload: bytes) -> Statement:
    """Parse a statement. Raises SignatureError."""
    try:
        return Statement.model_validate_json(payload)
    except ValidationError as error:
        raise SignatureError(f"the signed statement is not about a run: {error.errors()[0]['msg']}") from error


def read_envelope_statement(path: Path) -> Statement:
    """The statement inside an envelope, unverified. Raises SignatureError."""
    return read_statement(envelope_payload(read_envelope(path.read_bytes())))


def same_but_for_position(one: Statement, other: Statement) -> bool:
    """Whether two statements differ in nothing but how far the logs had come."""
    return one.subject == other.subject and _unplaced(one) == _unplaced(other)


def _unplaced(statement: Statement) -> RunPredicate:
    return statement.predicate.model_copy(update={"logs": {}})


def envelope_path(home: Path, run_id: str, keyid: str) -> Path:
    """Where the signature of a key stands."""
    return run_folder(home, run_id) / SIGNATURES / f"{keyid[:16]}{SUFFIX}"


def envelopes(home: Path, run_id: str) -> list[Path]:
    """All signatures of a run, by name."""
    folder = run_folder(home, run_id) / SIGNATURES
    return sorted(Path(folder, name) for name in os.listdir(folder) if name.endswith(SUFFIX)) if folder.is_dir() else []


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
