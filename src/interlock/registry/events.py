"""The registry's source: append-only, hash-chained logs of what happened to runs and models, one for each writer.

`<home>/registry/events.jsonl` is this home's own log, one event per line; `others/<writer>.jsonl` beside it are logs of
other homes, taken over by `interlock pull` and never written here. What they say of runs whose files were verified
here, in one order that everybody arrives at (`union`), is folded into the SQLite index, which can be thrown away. An
event carries all that the index shows, so that the logs explain themselves when an archive has been moved elsewhere.

A writer is a home. Its random name is made with the first event and stands in every one, so a log that was lost and
made again is another writer's. Each event states how far its writer had read the other logs: so it is known which of
two events could answer the other, and a log that was cut or rewritten after somebody read it is found out.
"""

import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, JsonValue, ValidationError

from interlock.contracts.base import Contract
from interlock.contracts.measurement import Sha256
from interlock.errors import RegistryError
from interlock.provenance.canonical import canonical_json, plain, sha256_json
from interlock.provenance.chain import ChainWriter, read_chain
from interlock.provenance.environment import host_name
from interlock.registry.taken import read_taken

Kind = Literal[
    "run_archived",
    "model_registered",
    "judged",
    "decided",
    "spent",
    "files_kept",
    "promoted",
    "withdrawn",
    "removed",
    "waived",
    "approval_requested",
    "approval_granted",
    "approval_denied",
]
"""`spent`: what one recorded answer of a language model cost. `files_kept`: digests of the files beside the model, that
the card does not list. `promoted`: a model entered a stage, `withdrawn`: it left one backwards. `removed`: this home
gave up its own copy of a run. `waived`: a person goes on after an inconclusive verdict. `approval_...`: what a person
was asked and said of a run or an artifact."""
WRITER_PATTERN = r"^[0-9a-f]{16}$"

_DETAILS = {"judged": ("source", "lane"), "decided": ("judgement_id", "source", "lane")}
"""What tells present states of these kinds apart."""
_REPEATABLE = frozenset(_DETAILS)
"""Kinds whose last event is the present state: going back to an earlier judgement is news again."""
OF_PEOPLE = frozenset({"approval_requested", "approval_granted", "approval_denied"})
"""Kinds that rest on no files: an approval may come before the run that it is about."""
OF_MODELS = frozenset({"model_registered", "promoted", "withdrawn"})
"""Kinds whose subject is a model."""
_ALWAYS = frozenset({"promoted", "withdrawn", "removed", "waived"}) | OF_PEOPLE
"""Kinds whose every event is news: whoever proposes one has looked at the present state."""


class Head(Contract):
    """How far a log was read."""

    seq: Annotated[int, Field(ge=1)]
    """Its last line that was known, counted from 1."""
    sha256: Sha256
    """Digest of that line."""


class Event(Contract):
    """One thing that happened."""

    kind: Kind
    """What."""
    subject: Annotated[str, Field(min_length=1)]
    """The run or the model it happened to."""
    key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Digest of kind, subject and body: the same thing has the same key."""
    at: str
    """When it was written down (UTC, ISO 8601)."""
    host: str
    """Machine that wrote it down."""
    body: dict[str, JsonValue]
    """What the index shows of it."""
    writer: Annotated[str, Field(pattern=r"^([0-9a-f]{16})?$")] = ""
    """The home that wrote it down; empty where homes had no names yet."""
    clock: Annotated[int, Field(ge=0)] = 0
    """Larger than that of every event which its writer knew then; 0 where logs did not count yet."""
    seen: dict[str, Head] = Field(default_factory=dict)
    """How far the logs of others were known, by writer."""

    @property
    def run_id(self) -> str:
        """The run whose files this rests on, also where the subject is a model; empty for what rests on none."""
        if self.kind in OF_PEOPLE:
            return ""
        return str(self.body["run_id"]) if self.kind in OF_MODELS else self.subject


class Line(NamedTuple):
    """An event where it stands."""

    event: Event
    sha256: str
    """Digest of the line."""
    writer: str
    """Whose log."""
    seq: int
    """Line of that log, counted from 1."""
    clock: int
    """The event's own, or one more than the line before where that is larger."""

    def knows(self, writer: str, seq: int) -> bool:
        """Whether this line's writer knew that line when it wrote this one."""
        if writer == self.writer:
            return seq <= self.seq
        head = self.event.seen.get(writer)
        return head is not None and seq <= head.seq


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """An event that has not been written down."""

    kind: Kind
    subject: str
    body: dict[str, Any]

    @property
    def key(self) -> str:
        """Digest of kind, subject and body."""
        return sha256_json({"kind": self.kind, "subject": self.subject, "body": self.body})


def _slot(event: Event | Proposal) -> tuple[str, str, str]:
    """What an event tells the present state of: a run's judgement in its pipeline or by hand, a judgement's decision.

    The pipeline's judgement or decision is compared with its own last one, so that one made by hand stays the newest
    until the pipeline comes to another. Lanes that differ in their gates alone share a run, and each has its own
    judgement: were they compared with each other, every sync would find both of them new.
    """
    details = _DETAILS.get(event.kind, ())
    told = tuple(event.body.get(detail) for detail in details)
    return event.kind, event.subject, canonical_json(told)


def events_path(home: Path) -> Path:
    """This home's own log."""
    return home / "registry" / "events.jsonl"


def others_folder(home: Path) -> Path:
    """Folder of the logs that were taken over from other homes."""
    return home / "registry" / "others"


def logs(home: Path) -> list[Path]:
    """Every log that is there: this home's own first, then those of others by name."""
    own = events_path(home)
    return [*([own] if own.exists() else []), *sorted(others_folder(home).glob("*.jsonl"))]


def read_log(path: Path) -> tuple[Line, ...]:
    """One log, verified; line `n` is item `n - 1`.

    Its writer is the one that its events name; one that began before homes had names is named after its first line.

    Raises ProvenanceError for a broken chain, RegistryError for a line that is no event or is another writer's.
    """
    found = [(_event(path, line.seq, line.payload), line) for line in read_chain(path)]
    writer = next((event.writer for event, _ in found if event.writer), found[0][1].sha256[:16] if found else "")
    lines: list[Line] = []
    for event, line in found:
        if event.writer != writer and (event.writer or (lines and lines[-1].event.writer)):
            raise RegistryError(
                "this line was written by another home than the lines before it",
                path=path,
                key=f"line {line.seq}",
                value=event.writer,
                hint="restore the log from a backup",
            )
        clock = max(event.clock, lines[-1].clock + 1 if lines else 1)
        lines.append(Line(event, line.sha256, writer, line.seq, clock))
    return tuple(lines)


def union(home: Path) -> tuple[Line, ...]:
    """What is believed of all logs, in the one order that every home arrives at: causes first, ties by writer.

    Raises ProvenanceError for a broken chain, RegistryError for a line that is no event, and for a log that no longer
    says what another one read in it.
    """
    return merged(_believed(home, _read_all(home)))


def merged(found: Iterable[tuple[Line, ...]]) -> tuple[Line, ...]:
    """Lines of several logs in the common order; within a log they stay in theirs, because clocks only grow."""
    return tuple(sorted((line for log in found for line in log), key=lambda line: (line.clock, line.writer, line.seq)))


def check_seen(found: Mapping[str, tuple[Line, ...]], *, own: str = "") -> None:
    """Raise RegistryError unless every log still holds what the others read in it.

    A log that is not here passes, and so does one that is merely behind what a third home read; `own` names the home
    that had read what it says itself, and whose log nobody but itself writes.
    """
    for blamed, witness, head in contradictions(found):
        is_behind = len(found[blamed]) < head.seq
        if not is_behind or own in (blamed, witness.writer):
            raise RegistryError(
                f"the log of {blamed} was cut or rewritten: {witness.writer} read another line {head.seq} in it",
                key=f"log {blamed}",
                hint=f"restore that log from a backup; {witness.writer} knew it at {witness.event.at}",
            )


def contradictions(found: Mapping[str, tuple[Line, ...]]) -> Iterator[tuple[str, Line, Head]]:
    """Every place where a log lacks what another one read in it: whose log, the line that read it, and what it read."""
    for log in found.values():
        checked: dict[str, Head] = {}
        for line in log:
            for writer, head in line.event.seen.items():
                if writer not in found or checked.get(writer) == head:
                    continue
                checked[writer] = head
                if len(found[writer]) < head.seq or found[writer][head.seq - 1].sha256 != head.sha256:
                    yield writer, line, head


def read_events(home: Path) -> tuple[tuple[Event, str], ...]:
    """Every event with the digest of its line, in the common order. Raises as `union` does."""
    return tuple((line.event, line.sha256) for line in union(home))


def own_writer(home: Path) -> str:
    """Name of this home as a writer; '' before its first event."""
    return next((line.writer for line in read_log(events_path(home))), "")


def append_new(home: Path, proposals: Iterable[Proposal], *, once: bool = False) -> tuple[Event, ...]:
    """Write down what is news, in order, in one go with other processes kept out; returns what was written.

    A thing is news unless it was written before, here or in a log that was taken over. A judgement is also news when
    another one of the same run came after it, and a decision likewise; with `once` they are not, for taking up old
    records.
    """
    wanted = list(proposals)
    if not wanted:
        return ()
    written: list[Event] = []
    with ChainWriter(events_path(home), shared=True) as log:
        found = _read_all(home)
        believed = _believed(home, found)
        known, origin = merged(believed), _origin(found, believed)
        ever = {line.event.key for line in known}
        last = {_slot(line.event): line.event.key for line in known}
        for proposal in wanted:
            slot = _slot(proposal)
            repeatable = proposal.kind in _REPEATABLE and not once
            old = last.get(slot) == proposal.key if repeatable else proposal.key in ever
            if old and proposal.kind not in _ALWAYS:
                continue
            event = _made(proposal, origin, clock=origin.clock + len(written) + 1)
            log.append(plain(event))
            written.append(event)
            last[slot] = proposal.key
            ever.add(proposal.key)
    return tuple(written)


class _Origin(NamedTuple):
    """Who writes, knowing what."""

    writer: str
    clock: int
    seen: dict[str, Head]


def _origin(found: list[tuple[Line, ...]], believed: list[tuple[Line, ...]]) -> _Origin:
    """This home, whose log stands first, as a writer.

    A log without events gets a new name, so that the name of one that was lost is never used again. What is not
    believed was not seen, and neither was what follows it.
    """
    whole = [_unbroken(lines) for lines in believed[1:]]
    seen = {lines[-1].writer: Head(seq=lines[-1].seq, sha256=lines[-1].sha256) for lines in whole if lines}
    clock = max((log[-1].clock for log in found if log), default=0)
    return _Origin(found[0][0].writer if found[0] else secrets.token_hex(8), clock, seen)


def _unbroken(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    """The lines up to the first gap in their numbers."""
    in_order = sorted(lines, key=lambda line: line.seq)
    return tuple(line for number, line in enumerate(in_order, start=1) if line.seq == number)


def _made(proposal: Proposal, origin: _Origin, *, clock: int) -> Event:
    return Event(
        kind=proposal.kind,
        subject=proposal.subject,
        key=proposal.key,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        host=host_name(),
        body=plain(proposal.body),
        writer=origin.writer,
        clock=clock,
        seen=origin.seen,
    )


def _read_all(home: Path) -> list[tuple[Line, ...]]:
    """Every log in the order of `logs`, checked against each other."""
    found = [_read_named(home, path) for path in logs(home)]
    own = found[0][0].writer if found and found[0] and logs(home)[0] == events_path(home) else ""
    check_seen({log[0].writer: log for log in found if log}, own=own)
    return found


def _believed(home: Path, found: list[tuple[Line, ...]]) -> list[tuple[Line, ...]]:
    """This home's own log, and of the others what they say of runs that were verified here."""
    return [
        (*verified(home, path, log), *_of_twins(home, path, log)) for path, log in zip(logs(home), found, strict=True)
    ]


def verified(home: Path, path: Path, log: tuple[Line, ...]) -> tuple[Line, ...]:
    """What a log says of runs whose files were verified here, and of no files; all of it where it is this home's."""
    if path.parent != others_folder(home):
        return log
    runs = read_taken(path).runs
    return tuple(line for line in log if line.event.kind in OF_PEOPLE or line.seq <= runs.get(line.event.run_id, 0))


def _of_twins(home: Path, path: Path, log: tuple[Line, ...]) -> tuple[Line, ...]:
    """What a log says of models that were made here too, with the same bytes: their names and stages."""
    if path.parent != others_folder(home):
        return ()
    twins = read_taken(path).twins
    return tuple(line for line in log if line.event.kind in OF_MODELS and line.seq <= twins.get(line.event.run_id, 0))


def _read_named(home: Path, path: Path) -> tuple[Line, ...]:
    """A log; one that was taken over must be its writer's whose name it has."""
    log = read_log(path)
    if log and path.parent == others_folder(home) and log[0].writer != path.stem:
        raise RegistryError(
            "this log is not the one that its name says",
            path=path,
            value=log[0].writer,
            hint="delete it, then interlock pull",
        )
    return log


def _event(path: Path, seq: int, payload: Any) -> Event:
    try:
        return Event.model_validate(payload)
    except ValidationError as error:
        raise RegistryError(
            f"not an event: {error.errors()[0]['msg']}",
            path=path,
            key=f"line {seq}",
            hint="this log was written by a newer version, or by something else",
        ) from error
