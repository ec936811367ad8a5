"""Asking a person, and what the person said: more attempts, or a decision upon the run.

    root = ask_for_more(home, path, because="...")        # interlock approvals list shows it
    interlock approve <root> --for more_attempts --attempts 5 --by NAME --reason "..."
    allowed(home, path)                                   # Allowed(attempts_max=5, by="NAME")

A request stands under the run that the lineage began with, where strikes are counted. A person may instead decide upon
the run itself (`interlock decide RUN --as NAME`), inside the same set of actions.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from interlock.contracts.approval import Facts, Need
from interlock.contracts.decision import Decision
from interlock.contracts.drive import DrivePath
from interlock.decisions.actions import PERSON
from interlock.provenance.digest import sha256_file
from interlock.registry import approvals
from interlock.registry.approving import ask
from interlock.registry.derive import DECISION, DECISIONS, read_decision, statements
from interlock.registry.events import read_events
from interlock.runs.healing.lineage import lineage_of


@dataclass(frozen=True, kw_only=True)
class Allowed:
    """What a person allowed."""

    attempts_max: int
    """Attempts in all."""
    by: str
    """Who."""


def ask_for_more(home: Path, path: DrivePath, *, because: str) -> str:
    """Write down that a person is asked for one more attempt, once; returns the run that the request stands under."""
    last = path.attempts[-1]
    assert last.run_id
    root = lineage_of(home, last.run_id).root_run
    said = f"drive {path.record.id} stopped at run {last.run_id}, attempt {last.attempt}: {because}"
    need = Need(purpose="more_attempts", scope=_wanted(path), because=said)
    ask(home, need, subject=root, lane=path.record.lane, run=root)
    return root


def allowed(home: Path, path: DrivePath) -> Allowed | None:
    """What a person allowed since the drive asked; None while nobody has answered, or denied it."""
    if path.asked_run is None:
        return None
    found = approvals.standing(
        home, subject=path.asked_run, purpose="more_attempts", now=datetime.now(UTC), asked=_wanted(path)
    )
    number = found.scope.get("max_attempts") if found else None
    if found is None or not isinstance(number, int) or number <= path.attempts_max:
        return None
    return Allowed(attempts_max=number, by=found.by)


def decided_by_person(home: Path, path: DrivePath) -> Decision | None:
    """A person's decision upon the last run and its present judgement that the drive has not followed yet.

    One that no event records is nobody's. Raises RegistryError for a decision that is not valid.
    """
    last = path.attempts[-1]
    if last.run_id is None:
        return None
    said = {event.body.get("sha256") for event, _ in read_events(home) if event.kind == "decided"}
    folders = statements(home, last.run_id, DECISIONS)
    found = [read_decision(folder) for folder in folders if sha256_file(folder / DECISION) in said]
    known = {item.decision_id for item in last.decisions}
    fits = [
        item
        for item in found
        if item.policy == PERSON and item.judgement_id == last.judgement_id and item.decision_id not in known
    ]
    return fits[-1] if fits else None


def _wanted(path: DrivePath) -> Facts:
    return {"max_attempts": max(path.attempts_max, path.attempts[-1].attempt) + 1}
