"""The journal of decisions: `<home>/registry/decisions.jsonl`, hash-chained, one line for each decision.

    write(home, decision)       once for each decision id, whoever calls it and how often
    read(home)                  all lines, verified
    check(home, decision)       whether the journal says of it what it says of itself

A line is what somebody needs who asks later how it was decided: prompts, models, calls, cost, what was proposed, what
was refused and why, and what came of it. It is derived from the decision; reasons and evidence stand in its own file.
Does not say who may read it, and is not taken over by other homes: each keeps the journal of what was decided there.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from interlock.contracts.decision import Decision, Step
from interlock.contracts.journal import JournalEntry, Tried
from interlock.errors import ProvenanceError
from interlock.provenance.canonical import canonical_json, plain
from interlock.provenance.chain import ChainLine, ChainWriter, read_chain

_RESTORE = "it was changed after it was written; restore it from a backup"


def journal_path(home: Path) -> Path:
    """Where the journal stands."""
    return home / "registry" / "decisions.jsonl"


def write(home: Path, decision: Decision) -> JournalEntry:
    """Add the decision unless it stands there; the line that stands there then.

    Raises ProvenanceError for a journal that was changed, and for one that says something else of this decision.
    """
    path = journal_path(home)
    with ChainWriter(path, shared=True) as writer:
        for entry in read(home):
            if entry.decision_id == decision.decision_id:
                _same(path, entry, decision)
                return entry
        entry = _entry(decision, at=datetime.now(UTC).isoformat(timespec="milliseconds"))
        writer.append(plain(entry))
    return entry


def read(home: Path) -> tuple[JournalEntry, ...]:
    """All lines, oldest first; none where nothing was decided. Raises ProvenanceError for one that was changed."""
    path = journal_path(home)
    return tuple(_parsed(path, line) for line in read_chain(path))


def check(home: Path, decision: Decision) -> JournalEntry:
    """The line about a decision. Raises ProvenanceError where there is none or it says something else."""
    path = journal_path(home)
    for entry in read(home):
        if entry.decision_id == decision.decision_id:
            _same(path, entry, decision)
            return entry
    raise ProvenanceError(
        "the journal does not know this decision", path=path, value=decision.decision_id, hint="interlock sync"
    )


def _same(path: Path, entry: JournalEntry, decision: Decision) -> None:
    expected = _entry(decision, at=entry.at)
    if entry != expected:
        fields = [name for name in JournalEntry.model_fields if getattr(entry, name) != getattr(expected, name)]
        raise ProvenanceError(
            f"the journal says something else of decision {decision.decision_id[:12]}: {', '.join(fields)}",
            path=path,
            hint="one of the two was changed after it was written; restore it from a backup",
        )


def _entry(decision: Decision, *, at: str) -> JournalEntry:
    return JournalEntry(
        decision_id=decision.decision_id,
        kind=decision.kind,
        agent=decision.agent,
        run_id=decision.run_id,
        lane=decision.lane,
        job=decision.job,
        judgement_id=decision.judgement_id,
        verdict=decision.verdict,
        tried=tuple(_tried(decision)),
        usage=decision.usage,
        votes={vote.agent: vote.action for vote in decision.votes},
        action=decision.action,
        overrides=decision.proposed_overrides,
        policy=decision.policy,
        person=decision.person,
        at=at,
    )


def _tried(decision: Decision) -> Iterator[Tried]:
    for step in decision.trail:
        yield Tried(**{name: getattr(step, name) for name in Tried.model_fields.keys() & Step.model_fields.keys()})


def _parsed(path: Path, line: ChainLine) -> JournalEntry:
    try:
        return JournalEntry.model_validate_json(canonical_json(line.payload))
    except ValidationError as error:
        raise ProvenanceError(
            f"not a valid line: {error.errors()[0]['msg']}", path=path, key=f"line {line.seq}", hint=_RESTORE
        ) from error
