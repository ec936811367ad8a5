"""The stages of a model: which moves there are, and who holds a stage after the moves folded so far.

    candidate --> shadow --> staging --> canary(p) --> production      forward: a pass, live stages with an approval
        ^           |  ^       |  ^         |              |
        +-----------+  +-------+  +---------+              |           demoted: one step back
                                            v              v
                               retired <-- rolled_back <---+           rolled back, retired; `retired` from anywhere

`shadow`, `staging`, `canary` and `production` hold one model of a lane each; the one that is replaced is `retired`, or
`rolled_back` when the model before it was put back in its place. Two moves that were made without knowledge of each
other both hold until somebody moves again: the stage is contested. The later one in the common order of events is what
everybody sees there meanwhile.

Whether a model may move is checked by `interlock.registry.promotion` before the event is written.
"""

import sqlite3
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from interlock.contracts.base import Contract
from interlock.contracts.measurement import Sha256
from interlock.registry.events import Line

Stage = Literal["candidate", "shadow", "staging", "canary", "production", "rolled_back", "retired"]
Target = Literal["shadow", "staging", "canary", "production"]
Way = Literal["promote", "demote", "rollback", "retire"]

TRANSITIONS: Mapping[Stage, Mapping[Stage, Way]] = {
    "candidate": {"shadow": "promote", "staging": "promote", "retired": "retire"},
    "shadow": {"staging": "promote", "candidate": "demote", "retired": "retire"},
    "staging": {"canary": "promote", "production": "promote", "shadow": "demote", "retired": "retire"},
    "canary": {
        "canary": "promote",
        "production": "promote",
        "staging": "demote",
        "rolled_back": "rollback",
        "retired": "retire",
    },
    "production": {"rolled_back": "rollback", "retired": "retire"},
    "rolled_back": {"shadow": "promote", "staging": "promote", "production": "rollback", "retired": "retire"},
    "retired": {"shadow": "promote", "staging": "promote", "production": "rollback"},
}
"""Every move that there is, and the command that makes it. Into production by `rollback`: the model that stood there
before is put back. From canary to canary with another share."""
HELD: tuple[Target, ...] = ("production", "canary", "staging", "shadow")
"""Stages that one model of a lane holds, the highest first."""
LIVE: tuple[Target, ...] = ("production", "canary")
"""Stages whose model answers live requests."""

Share = Annotated[float, Field(gt=0.0, lt=100.0)]


class Promoted(Contract):
    """What an event `promoted` says; its subject is the model."""

    lane: Annotated[str, Field(min_length=1)]
    """Lane whose stage it is."""
    before: Stage | Literal["archived"]
    """Stage of the model until then; `archived` was once the name of `retired`."""
    to: Target
    """Stage that it entered."""
    by: Annotated[str, Field(min_length=1)]
    """Who promoted it."""
    reason: Annotated[str, Field(min_length=1)]
    """Why."""
    run_id: str
    """The model's run."""
    judgement_id: Sha256
    """The judgement that it rests on: a pass, or under a waiver an inconclusive one."""
    sha256: Sha256
    """Digest of the model's main file."""
    replaces: tuple[str, ...] = ()
    """Models that held the stage, as far as it was known."""
    share_percent: Share | None = None
    """Share of live requests that it answers; only of a canary."""
    approval: Sha256 | None = None
    """The approval that allowed it; None where none was needed, and in events of versions that knew none."""
    waiver: Sha256 | None = None
    """The waiver under which an inconclusive model went into shadow."""
    rolls_back: str = ""
    """The model in whose place this one was put back; empty for a promotion."""


class Withdrawn(Contract):
    """What an event `withdrawn` says: a model went back, or out; its subject is the model."""

    lane: Annotated[str, Field(min_length=1)]
    """Lane whose stages they are."""
    before: Stage
    """Stage of the model until then."""
    to: Literal["candidate", "shadow", "staging", "rolled_back", "retired"]
    """Stage after."""
    by: Annotated[str, Field(min_length=1)]
    """Who did it."""
    reason: Annotated[str, Field(min_length=1)]
    """Why."""
    run_id: str
    """The model's run."""
    sha256: Sha256
    """Digest of the model's main file."""
    replaces: tuple[str, ...] = ()
    """Models that held the stage that it went back to, as far as it was known."""


def shown_stage(stage: str, share_percent: float | None) -> str:
    """A stage as people read it: `canary(5%)`."""
    return f"{stage}({share_percent:g}%)" if share_percent is not None else stage


_COLUMNS = (
    "lane, stage, event, model_id, sha256, at, promoted_by, reason, host, writer, seq, share_percent, approval, "
    "rolls_back"
)


def fold_promotion(database: sqlite3.Connection, line: Line, number: int) -> None:
    """Take a promotion into the index: it answers those before it that its writer knew."""
    body, model = line.event.body, line.event.subject
    lane, stage = str(body["lane"]), str(body["to"])
    touched = {model}
    for answered in sorted({stage, *_stood_in(database, lane, model)}):
        touched |= _answer(database, line, lane=lane, stage=answered)
    _enter(database, line, number, stage=stage)
    _move(database, line, number, lane=lane, models=touched)


def fold_withdrawal(database: sqlite3.Connection, line: Line, number: int) -> None:
    """Take into the index that a model went back or out: it leaves, and others who contested its stage stay."""
    body, model = line.event.body, line.event.subject
    lane, stage = str(body["lane"]), str(body["to"])
    touched = {model}
    for left in sorted(_stood_in(database, lane, model)):
        touched |= _answer(database, line, lane=lane, stage=left, only=model)
    if stage in HELD:
        touched |= _answer(database, line, lane=lane, stage=stage)
        _enter(database, line, number, stage=stage)
    _move(database, line, number, lane=lane, models=touched)


def _stood_in(database: sqlite3.Connection, lane: str, model: str) -> set[str]:
    rows = database.execute("SELECT stage FROM holders WHERE lane = ? AND model_id = ?", (lane, model))
    return {str(name) for (name,) in rows}


def _enter(database: sqlite3.Connection, line: Line, number: int, *, stage: str) -> None:
    body = line.event.body
    told = (line.event.at, body["by"], body["reason"], line.event.host, line.writer, line.seq)
    more = (body.get("share_percent"), body.get("approval"), body.get("rolls_back", ""))
    database.execute(
        f"INSERT INTO holders ({_COLUMNS}) VALUES (?{', ?' * 13})",
        (body["lane"], stage, number, line.event.subject, body["sha256"], *told, *more),
    )


def _answer(database: sqlite3.Connection, line: Line, *, lane: str, stage: str, only: str | None = None) -> set[str]:
    """Take away the stage's holders that the line's writer knew; returns every model that stood there."""
    found = database.execute(
        "SELECT event, model_id, writer, seq FROM holders WHERE lane = ? AND stage = ?", (lane, stage)
    ).fetchall()
    for event, model, writer, seq in found:
        if line.knows(writer, seq) and only in (None, model):
            database.execute("DELETE FROM holders WHERE lane = ? AND stage = ? AND event = ?", (lane, stage, event))
    return {model for _, model, _, _ in found}


def _move(database: sqlite3.Connection, line: Line, number: int, *, lane: str, models: set[str]) -> None:
    """Bring the models' stages up to date and write down each change."""
    held = _held(database, lane)
    for model in sorted(models, key=lambda name: (name != line.event.subject, name)):
        row = database.execute("SELECT stage, share_percent FROM models WHERE id = ?", (model,)).fetchone()
        before, share_before = row or ("candidate", None)
        now, share = held.get(model) or (_resting(line, model, before), None)
        if (before, share_before) == (now, share):
            continue
        is_subject = model == line.event.subject
        reason = line.event.body["reason"] if is_subject else f"{line.event.subject} {_did(line)}"
        database.execute("UPDATE models SET stage = ?, share_percent = ? WHERE id = ?", (now, share, model))
        told = (line.event.at, reason, line.event.body["by"], line.event.host, line.writer)
        approval = line.event.body.get("approval") if is_subject else None
        database.execute(
            "INSERT INTO stage_history (event, model_id, from_stage, to_stage, at, reason, changed_by, host, writer, "
            "share_percent, approval) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (number, model, before, now, *told, share, approval),
        )


def _resting(line: Line, model: str, before: str) -> str:
    """Where a model is that holds no stage."""
    body = line.event.body
    if model == line.event.subject and line.event.kind == "withdrawn" and body["to"] not in HELD:
        return str(body["to"])
    if model == body.get("rolls_back"):
        return "rolled_back"
    return before if before == "rolled_back" and model != line.event.subject else "retired"


def _did(line: Line) -> str:
    if line.event.kind == "withdrawn" and line.event.body["to"] not in HELD:
        return f"went to {line.event.body['to']}"
    return "took its place"


def _held(database: sqlite3.Connection, lane: str) -> dict[str, tuple[str, float | None]]:
    """The highest stage, with its share, of every model that is seen in one: the later of those that contest it."""
    found: dict[str, tuple[str, float | None]] = {}
    for stage in HELD:
        row = database.execute(
            "SELECT model_id, share_percent FROM holders WHERE lane = ? AND stage = ? ORDER BY event DESC LIMIT 1",
            (lane, stage),
        ).fetchone()
        if row:
            found.setdefault(str(row[0]), (stage, row[1]))
    return found
