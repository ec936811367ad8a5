"""A drive's journal folded into its path: attempts with their verdicts and decisions, and where it stands. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from interlock.contracts.drive import DrivenAttempt, DrivenDecision, DrivenGate, DrivePath, DriveRecord
from interlock.runs.drive.states import ENDED, DriveEvent, state_after


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of the journal."""

    event: DriveEvent
    at: str
    """UTC, ISO 8601."""
    details: Mapping[str, Any]

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> "Entry":
        """The entry that a line's payload is."""
        details = {name: value for name, value in payload.items() if name not in ("event", "at")}
        return cls(event=DriveEvent(payload["event"]), at=str(payload["at"]), details=details)


_BEGINNINGS = (DriveEvent.BEGUN, DriveEvent.REOPENED)


def path_of(record: DriveRecord, entries: Sequence[Entry]) -> DrivePath:
    """The path since the drive last began anew; `entries` begin with `begun`."""
    begun = max(index for index, entry in enumerate(entries) if entry.event in _BEGINNINGS)
    attempts: dict[int, DrivenAttempt] = {}
    for entry in entries[begun:]:
        if (number := entry.details.get("attempt")) is not None:
            before = attempts.get(number, DrivenAttempt(attempt=number))
            attempts[number] = _after(before, entry)
    state = state_after(entry.event for entry in entries)
    assert state is not None
    last = entries[-1]
    allowed = [entry for entry in entries[begun:] if entry.event is DriveEvent.APPROVED]
    ended: Mapping[str, Any] = _ending(entries) if state in ENDED else {}
    return DrivePath(
        record=record,
        state=state,
        attempts=tuple(attempts[number] for number in sorted(attempts)),
        attempts_max=max([(allowed or entries[begun : begun + 1])[-1].details["attempts_max"], *attempts]),
        why=ended.get("why", ""),
        way_out=ended.get("way_out", ""),
        asked_run=ended.get("asked_run"),
        approved_by=allowed[-1].details["by"] if allowed else "",
        exit_code=ended.get("exit_code"),
        updated_at=last.at,
    )


def _ending(entries: Sequence[Entry]) -> Mapping[str, Any]:
    return next(entry for entry in reversed(entries) if entry.event is not DriveEvent.INTERRUPTED).details


def _after(before: DrivenAttempt, entry: Entry) -> DrivenAttempt:
    """An attempt after something happened to it."""
    match entry.event:
        case DriveEvent.STARTED | DriveEvent.RETRAIN:
            return _with(before, _chosen(entry, "parent_run", "changes", "overrides"))
        case DriveEvent.JUDGED:
            return _with(before, _chosen(entry, "run_id", "judgement_id", "verdict", "gates", "seconds"))
        case DriveEvent.DECIDED:
            decision = DrivenDecision.model_validate_json(json.dumps(entry.details["decision"]))
            others = tuple(item for item in before.decisions if item.decision_id != decision.decision_id)
            return before.model_copy(update={"decisions": (*others, decision)})
        case DriveEvent.REPAIR:
            return before.model_copy(update={"is_repaired": True})
        case DriveEvent.STOPPED if before.run_id is None:
            return _with(before, {"run_id": entry.details.get("run_id")})
        case _:
            return before


def _chosen(entry: Entry, *names: str) -> dict[str, Any]:
    return {name: entry.details[name] for name in names}


def _with(before: DrivenAttempt, values: Mapping[str, Any]) -> DrivenAttempt:
    """Validated from JSON text, as everything that was read from a file."""
    return DrivenAttempt.model_validate_json(json.dumps({**before.model_dump(mode="json"), **values}))


def gates_of(rows: Sequence[Any]) -> tuple[DrivenGate, ...]:
    """What the journal keeps of a judgement's rows."""
    return tuple(DrivenGate(**{name: getattr(row, name) for name in DrivenGate.model_fields}) for row in rows)
