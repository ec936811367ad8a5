"""Signatures: whose they are, and that they pin the run as it stands and the logs as they were.

With a public key everything must be covered: an unsigned run, a file, an event or a verdict that came after the
signature is broken until it is signed again. Every signature of that key in the home pins a position in the logs, so
taking a run back to an earlier signed state needs a log that the others no longer fit. Not seen: a whole home that is
put back to an earlier state of itself; whoever fears that notes the log's head elsewhere.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from interlock.contracts.verification import Link
from interlock.errors import InterlockError
from interlock.provenance.signing import envelope_payload, key_id, read_envelope, verified_payload
from interlock.registry.events import Head
from interlock.registry.layout import CARD
from interlock.registry.statement import (
    PINNED_FOLDERS,
    SIGNATURES,
    SUFFIX,
    RunPredicate,
    Statement,
    envelope_path,
    envelopes,
    make_statement,
    pinned_lines,
    read_statement,
)
from interlock.registry.verification.archived import Archived
from interlock.registry.verification.findings import Findings, shown, shown_path
from interlock.registry.verification.logs import Logs

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_SIGN = "look at what changed; if it is right, interlock sign RUN --key PRIVATE_KEY"


class Growth(StrEnum):
    """What to think of things that came after a signature."""

    BROKEN = "broken"
    """The key must cover everything."""
    TOLD = "told"
    """Nobody asked for a key: it is said."""
    EXPECTED = "expected"
    """The run is about to be signed again."""


Positions = Mapping[str, Mapping[str, Head]]
"""By run, how far each log had come when the run was signed."""


def signed_positions(home: Path, key: "Ed25519PublicKey | None") -> Positions:
    """What the signatures of `key` saw of the logs, whichever runs they are of; each is read once for a whole home."""
    found: dict[str, Mapping[str, Head]] = {}
    if key is None:
        return found
    for folder in sorted((home / "runs").glob(f"*/{SIGNATURES}")):
        path = folder / f"{key_id(key)[:16]}{SUFFIX}"
        try:
            found[folder.parent.name] = read_statement(verified_payload(path.read_bytes(), key)).predicate.logs
        except (InterlockError, OSError):
            continue  # told when that run is verified
    return found


def check_signature(
    archived: Archived, logs: Logs, key: "Ed25519PublicKey | None", *, growth: Growth, positions: Positions
) -> tuple[list[Link], tuple[str, ...]]:
    """Links of the section `signature`, and the ids of keys whose signature was verified and covers everything."""
    findings = Findings(section="signature", home=archived.home)
    folder = archived.folder / SIGNATURES
    known = {path.name for path in envelopes(archived.home, archived.run_id)}
    for name in archived.entries(SIGNATURES):
        if name not in known:
            findings.broken(f"{SIGNATURES}/{name}", "it is no signature", path=folder / name, way_out="remove the file")
    if key is None:
        _compare_unverified(archived, logs, findings)
        return findings.links, ()
    keyid = key_id(key)
    path = envelope_path(archived.home, archived.run_id, keyid)
    name = f"signature {keyid[:12]}..."
    if path.is_file():
        try:
            statement = read_statement(verified_payload(path.read_bytes(), key))
        except InterlockError as error:
            findings.broken(name, str(error), path=path)
            return findings.links, ()
        _Comparison(archived, logs, statement, name, findings, growth).run()
    elif growth is Growth.BROKEN:
        _say_unsigned(name, known, path, findings)
    for other, pins in positions.items():
        if other != archived.run_id:
            _check_pins(logs, pins.items(), f"signature of run {other}", findings)
    is_covered = growth is Growth.BROKEN and not findings.has_broken
    return findings.links, (keyid,) if is_covered else ()


def _say_unsigned(name: str, known: set[str], path: Path, findings: Findings) -> None:
    others = ", ".join(item.removesuffix(SUFFIX) for item in sorted(known))
    signed = f" with this key; it is signed with {others}" if others else ""
    way_out = "interlock sign RUN --key PRIVATE_KEY"
    findings.broken(name, f"the run is not signed{signed}", path=path, way_out=way_out)


def _compare_unverified(archived: Archived, logs: Logs, findings: Findings) -> None:
    """Without a key a signature proves nothing, but what it states must still be so."""
    paths = envelopes(archived.home, archived.run_id)
    if not paths:
        detail = "the run is not signed: somebody who recomputes every digest would not be found out"
        findings.unchecked("signature", detail, way_out="interlock sign RUN --key PRIVATE_KEY")
    for path in paths:
        name = f"signature {path.name.partition('.')[0]}"
        try:
            statement = read_statement(envelope_payload(read_envelope(path.read_bytes())))
        except InterlockError as error:
            findings.broken(name, str(error), path=path)
            continue
        before = len(findings.links)
        _Comparison(archived, logs, statement, name, findings, Growth.TOLD).run()
        if all(link.state == "holds" for link in findings.links[before:]):
            del findings.links[before:]
            detail = "what it states is so; whose it is was not checked"
            findings.unchecked(name, detail, way_out="give --key PUBLIC_KEY")


@dataclass(frozen=True)
class _Comparison:
    """A statement beside the run as it stands."""

    archived: Archived
    logs: Logs
    signed: Statement
    name: str
    findings: Findings
    growth: Growth

    def run(self) -> None:
        """Add what differs, or that all of it holds."""
        predicate = self.signed.predicate
        if predicate.run_id != self.archived.run_id:
            path = self.archived.folder / SIGNATURES
            self.findings.broken(f"{self.name} -> run", f"it was made for run {predicate.run_id}", path=path)
            return
        try:
            now = make_statement(self.archived, self.logs)
        except InterlockError as error:
            self.findings.failed(f"{self.name} -> run card", error)
            return
        before = len(self.findings.links)
        self._files(now)
        self._events()
        _check_pins(self.logs, predicate.logs.items(), self.name, self.findings)
        if len(self.findings.links) == before:
            self._fields(now.predicate)
        if len(self.findings.links) == before:
            verdict = predicate.verdict or "not judged"
            detail = f"{len(_all_files(self.signed))} files, {len(predicate.events)} events, {verdict}"
            self.findings.holds(self.name, detail)

    def _files(self, now: Statement) -> None:
        stated, found = _all_files(self.signed), _all_files(now)
        for file in sorted({*stated, *found}, key=lambda name: (PINNED_FOLDERS.index(name.partition("/")[0]), name)):
            path, link = self.archived.folder / file, f"{self.name} -> {shown_path(file)}"
            if file not in found:
                self.findings.broken(link, "the file is missing", path=path)
            elif file not in stated:
                self._grown(link, "it is not covered: it came after the signature", path)
            elif stated[file] != found[file] and self._may_complete(file, now):
                self._grown(link, "it is not covered: the export was finished after the signature", path)
            elif stated[file] != found[file]:
                detail = f"sha256 is {shown(found[file])}, the signature says {shown(stated[file])}"
                self.findings.broken(link, detail, path=path)

    def _may_complete(self, file: str, now: Statement) -> bool:
        """A provisional card is completed by an export; the model that was trained stays as it is."""
        was_open = (self.signed.predicate.export, now.predicate.export) == ("skipped", "completed")
        model = {item.name for item in self.signed.subject} - {f"models/{CARD}"}
        return was_open and file.startswith("models/") and file not in model

    def _events(self) -> None:
        """The same events, each as often: a judgement said again would bring back an old verdict."""
        lines = pinned_lines(self.logs, self.archived)
        stated, found = Counter(self.signed.predicate.events), Counter(line.event.key for line in lines)
        for key in (stated - found).elements():
            self.findings.broken(f"{self.name} -> event log", f"it no longer holds the event with key {shown(key)}")
        extra = found - stated
        for line in lines:
            if extra[line.event.key] and not _says_again(line.event.kind, line.event.key, stated):
                detail = f"{line.event.kind} is not covered: it came after the signature"
                self._grown(f"{self.name} -> {self.logs.place(line)}", detail, None)

    def _fields(self, now: RunPredicate) -> None:
        for field in RunPredicate.model_fields:
            stated, found = getattr(self.signed.predicate, field), getattr(now, field)
            if field not in ("files", "events", "logs") and stated != found:
                detail = f"it is {shown(found)}, the signature says {shown(stated)}"
                self.findings.broken(f"{self.name} -> {field}", detail, way_out=_SIGN)

    def _grown(self, link: str, detail: str, path: Path | None) -> None:
        if self.growth is Growth.BROKEN:
            self.findings.broken(link, detail, path=path, way_out=_SIGN)
        else:
            self.findings.unchecked(link, detail, path=path, way_out=_SIGN)


def _all_files(statement: Statement) -> dict[str, str]:
    return {**statement.predicate.files, **{item.name: item.digest.sha256 for item in statement.subject}}


def _says_again(kind: str, key: str, stated: Counter[str]) -> bool:
    """Another home may write down that it archived the same run; a verdict or decision said again is news."""
    return kind not in ("judged", "decided") and key in stated


def _check_pins(logs: Logs, pins: Iterable[tuple[str, Head]], name: str, findings: Findings) -> None:
    for writer, head in pins:
        log = logs.by_writer.get(writer, ())
        place = logs.names.get(writer, f"the log of {writer or 'this home'}")
        if len(log) < head.seq:
            detail = f"it saw {head.seq} lines, the log has {len(log)}"
        elif log[head.seq - 1].sha256 != head.sha256:
            detail = f"line {head.seq} is not the one that it saw"
        else:
            continue
        findings.broken(f"{name} -> {place}", detail, way_out="restore the log from a backup")
