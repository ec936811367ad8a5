"""A drive on disk, `<home>/drives/<id>/`. What stands here is what nobody else records.

drive.json       what was asked for; never changes
journal.jsonl    what happened, hash-chained; the drive's state follows from it

Runs, verdicts, decisions and answers stand in the archive, under their runs; the journal repeats what a table of the
path shows of them, so that it reads by itself.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from interlock.contracts.drive import DrivePath, DriveRecord, DriveState
from interlock.errors import ProvenanceError, UsageError
from interlock.provenance.attempts import run_lock
from interlock.provenance.canonical import plain, sha256_json
from interlock.provenance.chain import append, read_chain
from interlock.provenance.files import write_json
from interlock.provenance.locks import is_locked
from interlock.runs.drive.path import Entry, path_of
from interlock.runs.drive.states import DriveEvent, advance, state_after

DRIVE, JOURNAL = "drive.json", "journal.jsonl"
ID_DIGITS = 12


@dataclass(frozen=True)
class DriveFolder:
    """One drive."""

    home: Path
    id: str

    @property
    def path(self) -> Path:
        """Its folder."""
        return drives_folder(self.home) / self.id

    @property
    def exists(self) -> bool:
        """Whether it was ever begun."""
        return (self.path / DRIVE).is_file()

    def create(self, record: DriveRecord, **details: Any) -> None:
        """Begin it; a beginning that was cut short is begun again. The caller holds its lock."""
        (self.path / JOURNAL).unlink(missing_ok=True)
        told = {"record_sha256": sha256_json(record), **details}
        append(self.path / JOURNAL, _payload(DriveEvent.BEGUN, told))
        write_json(self.path / DRIVE, record)  # last: its presence means that all is there

    def record(self) -> DriveRecord:
        """What was asked for. Raises UsageError for an unknown id, ProvenanceError for a damaged record."""
        path = self.path / DRIVE
        try:
            found = DriveRecord.model_validate_json(path.read_bytes())
        except FileNotFoundError as error:
            hint = "interlock drives lists all of them"
            raise UsageError("there is no such drive", key="drive", value=self.id, hint=hint) from error
        except ValidationError as error:
            problem = f"the drive's record is not valid: {error.errors()[0]['msg']}"
            raise ProvenanceError(problem, path=path, hint="restore the folder from a backup") from error
        if self.entries()[0].details.get("record_sha256") != sha256_json(found):
            problem = "the drive's record is not the one that it was begun with"
            raise ProvenanceError(problem, path=path, hint="restore the file from a backup")
        return found

    def entries(self) -> tuple[Entry, ...]:
        """Everything that happened, oldest first. Raises ProvenanceError for a journal that was changed or is gone."""
        path = self.path / JOURNAL
        found = tuple(Entry.of(line.payload) for line in read_chain(path))
        if not found:
            raise ProvenanceError("the drive has no journal", path=path, hint="restore the file from a backup")
        state_after(entry.event for entry in found)
        return found

    def read(self) -> DrivePath:
        """Where it stands, and how it came there."""
        return path_of(self.record(), self.entries())

    def write(self, event: DriveEvent, **details: Any) -> DriveState:
        """Append an event. Raises ProvenanceError for one that cannot happen now. The caller holds its lock."""
        state = advance(state_after(entry.event for entry in self.entries()), event)
        append(self.path / JOURNAL, _payload(event, details))
        return state

    @contextmanager
    def driving(self, *, wait_s: float = 0.0) -> Iterator[None]:
        """Be its only driver for the block. Raises BusyError when another one is still at work after `wait_s`."""
        with run_lock(self.home, self.lock, wait_s=wait_s):
            yield

    @property
    def is_driven(self) -> bool:
        """Whether a process is at work on it, this one included."""
        return is_locked(self.home / "state" / "locks" / f"{self.lock}.lock")

    @property
    def lock(self) -> str:
        """Key of its lock."""
        return f"drive-{self.id}"


def drives_folder(home: Path) -> Path:
    """Where drives are kept."""
    return home / "drives"


def list_drives(home: Path) -> tuple[DriveFolder, ...]:
    """All drives, the one that something last happened to first."""
    found = [path.parent for path in drives_folder(home).glob(f"*/{DRIVE}")]
    ordered = sorted(found, key=lambda path: (-_changed_ns(path), path.name))
    return tuple(DriveFolder(home, path.name) for path in ordered)


def _changed_ns(path: Path) -> int:
    newest = path / JOURNAL if (path / JOURNAL).is_file() else path / DRIVE
    return newest.stat().st_mtime_ns


def find_drive(home: Path, text: str) -> DriveFolder:
    """The drive that a beginning of its id means. Raises UsageError for none or several."""
    known = [drive.id for drive in list_drives(home)]
    found = [name for name in known if text and name.startswith(text)]
    if len(found) == 1:
        return DriveFolder(home, found[0])
    listed = ", ".join((found or known)[:6]) or "there is none yet: interlock drive lane=NAME max_attempts=4"
    problem = "begins the id of more than one drive" if found else "there is no such drive"
    raise UsageError(problem, key="drive", value=text, hint=f"known: {listed}")


def path_of_run(home: Path, run_id: str) -> DrivePath | None:
    """The path of the newest drive that the run is an attempt of; None for a run that no drive led to.

    A drive that was changed afterwards is passed over: `interlock drives` names it, and it says nothing of the run.
    """
    for drive in list_drives(home):
        with suppress(ProvenanceError, FileNotFoundError):
            if run_id.encode() in (drive.path / JOURNAL).read_bytes():  # quick; the path decides
                path = drive.read()
                if any(attempt.run_id == run_id for attempt in path.attempts):
                    return path
    return None


def newest_of_command(home: Path, command: tuple[str, ...]) -> DriveRecord | None:
    """What the newest drive that these words began was asked for; drives that were changed are passed over."""
    for drive in list_drives(home):
        with suppress(ProvenanceError):
            if (record := drive.record()).command == command:
                return record
    return None


def _payload(event: DriveEvent, details: Mapping[str, Any]) -> dict[str, Any]:
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    return {"event": event.value, "at": at, **{name: plain(value) for name, value in details.items()}}
