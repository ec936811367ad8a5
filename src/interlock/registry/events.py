"""The registry's source: an append-only, hash-chained log of what happened to runs and models.

`<home>/registry/events.jsonl` holds one event per line. The SQLite index is folded from it and can be thrown away. An
event carries all that the index shows, so that the log explains itself when an archive has been moved elsewhere.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, ValidationError

from interlock.contracts.base import Contract
from interlock.errors import RegistryError
from interlock.provenance.canonical import canonical_json, plain, sha256_json
from interlock.provenance.chain import ChainWriter, read_chain
from interlock.provenance.environment import host_name

Kind = Literal["run_archived", "model_registered", "judged", "decided"]

_REPEATABLE = frozenset({"judged", "decided"})
"""Kinds whose last event is the present state: going back to an earlier judgement is news again."""


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

    The pipeline's judgement is compared with its own last one, so that a judgement made by hand stays the newest
    until the pipeline judges anew. Lanes that differ in their gates alone share a run, and each has its own judgement:
    were they compared with each other, every sync would find both of them new.
    """
    detail = {"judged": "source", "decided": "judgement_id"}.get(event.kind)
    told = (event.body.get(detail), event.body.get("lane")) if detail else ()
    return event.kind, event.subject, canonical_json(told)


def events_path(home: Path) -> Path:
    """The log of this home."""
    return home / "registry" / "events.jsonl"


def read_events(home: Path) -> tuple[tuple[Event, str], ...]:
    """Every event with the digest of its line, in order; line `n` of the log is item `n - 1`.

    Raises ProvenanceError for a broken chain, RegistryError for a line that is no event.
    """
    path = events_path(home)
    return tuple((_event(path, line.seq, line.payload), line.sha256) for line in read_chain(path))


def append_new(home: Path, proposals: Iterable[Proposal], *, once: bool = False) -> tuple[Event, ...]:
    """Write down what is news, in order, in one go with other processes kept out; returns what was written.

    A thing is news unless it was written before. A judgement is also news when another one of the same run came after
    it, and a decision likewise; with `once` they are not, for taking up old records.
    """
    wanted = list(proposals)
    if not wanted:
        return ()
    written = []
    with ChainWriter(events_path(home), shared=True) as writer:
        known = [event for event, _ in read_events(home)]
        ever = {event.key for event in known}
        last = {_slot(event): event.key for event in known}
        for proposal in wanted:
            slot = _slot(proposal)
            repeatable = proposal.kind in _REPEATABLE and not once
            if last.get(slot) == proposal.key if repeatable else proposal.key in ever:
                continue
            event = Event(
                kind=proposal.kind,
                subject=proposal.subject,
                key=proposal.key,
                at=datetime.now(UTC).isoformat(timespec="seconds"),
                host=host_name(),
                body=plain(proposal.body),
            )
            writer.append(plain(event))
            written.append(event)
            last[slot] = proposal.key
            ever.add(proposal.key)
    return tuple(written)


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
