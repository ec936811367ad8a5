"""The event logs: each chain, what the logs read of each other, and what they say of one run.

A log with a broken line is still read up to that line, so that the first broken link is told with what came before it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from interlock.contracts.verification import Link
from interlock.errors import InterlockError, RegistryError
from interlock.provenance import chain
from interlock.registry.events import Event, Line, check_seen, events_path, logs, merged, read_log, verified
from interlock.registry.verification.findings import Findings

_RESTORE = "restore the log from a backup or from a teammate's home; interlock registry rebuild makes a lost one anew"


@dataclass(frozen=True, kw_only=True)
class Logs:
    """All logs of a home, as far as their chains hold."""

    lines: tuple[Line, ...]
    """In the order that every home arrives at."""
    by_writer: Mapping[str, tuple[Line, ...]]
    links: tuple[Link, ...]
    """Whether the chains hold."""
    names: Mapping[str, str]
    """Where the log of each writer stands, relative to the home."""
    own: str
    """Writer of this home's own log."""

    def of_run(self, run_id: str) -> tuple[Line, ...]:
        """Lines about a run, of all writers."""
        return tuple(line for line in self.lines if line.event.run_id == run_id)

    def of_copy(self, run_id: str, card_sha256: str | None) -> tuple[Line, ...]:
        """Lines about this copy of a run: this home's own, and those of homes that archived the same card.

        Another home may have executed the same run itself; what it says of its own attempts and judgements is kept
        there.
        """
        lines = self.of_run(run_id)
        writers = {line.writer for line in lines if line.event.body.get("card_sha256") == card_sha256} | {self.own}
        return tuple(line for line in lines if line.writer in writers)

    def place(self, line: Line) -> str:
        """A line for a sentence: `event 12`, with the log's name where it is not this home's own."""
        name = self.names.get(line.writer, "")
        return f"event {line.seq}" if line.writer == self.own else f"event {line.seq} of {name}"


def read_logs(home: Path) -> Logs:
    """Read and check every log. Never raises for what a log says."""
    findings = Findings(section="event log", home=home)
    found: dict[str, tuple[Line, ...]] = {}
    names: dict[str, str] = {}
    if not logs(home):
        findings.broken("event log", "there is none", path=events_path(home), way_out=_RESTORE)
    for path in logs(home):
        lines = _checked(path, findings)
        writer = lines[0].writer if lines else path.stem
        found[writer], names[writer] = lines, path.relative_to(home).as_posix()
    try:
        own = next((writer for writer, name in names.items() if name.endswith("/events.jsonl")), "")
        check_seen({writer: lines for writer, lines in found.items() if lines}, own=own)
    except InterlockError as error:
        findings.failed("event logs -> what they read of each other", error)
    own = next((writer for writer, name in names.items() if name == "registry/events.jsonl"), "")
    believed = [verified(home, path, lines) for path, lines in zip(logs(home), found.values(), strict=True)]
    return Logs(lines=merged(believed), by_writer=found, links=tuple(findings.links), names=names, own=own)


def _checked(path: Path, findings: Findings) -> tuple[Line, ...]:
    name = path.relative_to(findings.home).as_posix()
    broken = chain.verify(path)
    if broken is not None:
        detail = f"the chain is broken: {broken.reason}"
        findings.broken(f"{name} line {broken.number}", detail, path=path, way_out=_RESTORE)
        return _before(path, broken.number)
    try:
        lines = read_log(path)
    except (RegistryError, ValidationError) as error:
        findings.failed(name, error if isinstance(error, RegistryError) else RegistryError(str(error), path=path))
        return ()
    head = f"{len(lines)} lines, head {lines[-1].sha256[:12]}..." if lines else "no lines"
    findings.holds(f"{name}: the chain", head, path=path)
    if _is_torn(path):
        findings.unchecked(f"{name}: last line", "it was never finished, and does not count", path=path)
    return lines


def _before(path: Path, number: int) -> tuple[Line, ...]:
    """The lines before a broken one."""
    found: list[Line] = []
    with path.open("rb") as file:
        for seq, data in enumerate(file, start=1):
            if seq >= number:
                break
            try:
                raw = json.loads(data)
                event = Event.model_validate(raw["payload"])
            except (ValidationError, ValueError, KeyError, TypeError, RecursionError):
                break
            clock = max(event.clock, found[-1].clock + 1 if found else 1)
            found.append(Line(event, str(raw.get("sha256")), event.writer, seq, clock))
    return tuple(found)


def _is_torn(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(0, 2)
        if file.tell() == 0:
            return False
        file.seek(-1, 2)
        return file.read(1) != b"\n"
