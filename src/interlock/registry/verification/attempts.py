"""Attempts: their own records, their order, and the copies that this home still has of them."""

from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from interlock.contracts.attempt import AttemptEnd, AttemptStart
from interlock.contracts.stage import Observations
from interlock.contracts.verification import Link
from interlock.errors import InterlockError
from interlock.provenance.attempts import list_attempts
from interlock.registry.verification.archived import Archived, read_contract
from interlock.registry.verification.findings import Findings

_START, _END, _OBSERVED = "start.json", "end.json", ".observations.json"


def check_attempts(archived: Archived) -> list[Link]:
    """Every archived execution of the run."""
    findings = Findings(section="attempts", home=archived.home)
    entries = archived.entries("attempts")
    for entry in entries:
        _check_attempt(archived, entry, set(entries), findings)
    _check_copies(archived, findings)
    if entries and not findings.has_broken:
        findings.holds("attempts -> their records", f"{len(entries)} executions")
    return findings.links


def _check_attempt(archived: Archived, entry: str, entries: set[str], findings: Findings) -> None:
    folder, name = archived.folder / "attempts" / entry, f"attempts/{entry}"
    files = {file.rpartition("/")[2] for file in archived.files if file.rpartition("/")[0] == name}
    if _START in files:
        start = read_contract(folder / _START, AttemptStart, f"{name}/{_START}", findings)
        if start is not None:
            _check_start(start, archived, entry, entries, findings)
    if _END in files:
        end = read_contract(folder / _END, AttemptEnd, f"{name}/{_END}", findings)
        if end is not None and end.attempt != entry:
            findings.broken(f"{name}/{_END}", f"it is of attempt {end.attempt}", path=folder / _END)
    for file in sorted(files):
        if file.endswith(_OBSERVED):
            observed = read_contract(folder / file, Observations, f"{name}/{file}", findings)
            if observed is not None and observed.attempt != entry:
                findings.broken(f"{name}/{file}", f"it is of attempt {observed.attempt}", path=folder / file)


def _check_start(start: AttemptStart, archived: Archived, entry: str, entries: set[str], findings: Findings) -> None:
    name, path = f"attempts/{entry}/{_START}", archived.folder / "attempts" / entry / _START
    if start.attempt != entry:
        findings.broken(name, f"it is of attempt {start.attempt}", path=path)
    if start.run_id not in (None, archived.run_id):
        findings.broken(name, f"it is of run {start.run_id}", path=path)
    if _second_of(entry) != _second(start.started_at):
        findings.broken(name, f"its name was given at another time than {start.started_at}", path=path)
    if start.follows is not None and start.follows not in entries:
        findings.broken(f"{name} -> {start.follows}", "the attempt that it follows is missing", path=path)


def _check_copies(archived: Archived, findings: Findings) -> None:
    """The home that executed an attempt keeps its own record of it."""
    for found in list_attempts(archived.home, run_id=archived.run_id, skip_damaged=True):
        folder = archived.folder / "attempts" / found.start.attempt
        for file, kept in ((_START, found.start), (_END, found.end)):
            other = _read(folder / file, type(kept)) if kept is not None else None
            if other is not None and other != kept:
                name = f"attempts/{found.start.attempt}/{file} -> state/attempts"
                findings.broken(name, "the record that the execution left says something else", path=folder / file)


def _read(path: Path, contract: type[AttemptStart] | type[AttemptEnd]) -> AttemptStart | AttemptEnd | None:
    try:
        return contract.model_validate_json(path.read_bytes())
    except (OSError, ValidationError, InterlockError):
        return None


def _second_of(attempt: str) -> str:
    """The second in an attempt's id, `20260301T100000.000001Z-aaaaaa`."""
    return attempt.partition(".")[0]


def _second(text: str) -> str:
    try:
        return f"{datetime.fromisoformat(text):%Y%m%dT%H%M%S}"
    except ValueError:
        return ""
