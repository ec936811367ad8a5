"""The stages of a model: which moves there are, and who holds a stage after the promotions folded so far.

    candidate --> staging --> production
                    |  ^          |
                    v  |          v
                   archived <-----+       archived --> production is a rollback

`staging` and `production` hold one model of a lane each; the one that is replaced becomes `archived`. Two promotions
that were made without knowledge of each other both hold until somebody promotes again: the stage is contested. The
later one in the common order of events is what everybody sees there meanwhile.

Whether a model may be promoted is checked by `interlock.registry.promotion` before the event is written.
"""

import sqlite3
from typing import Annotated, Literal

from pydantic import Field

from interlock.contracts.base import Contract
from interlock.contracts.measurement import Sha256
from interlock.registry.events import Line

Stage = Literal["candidate", "staging", "production", "archived"]
Target = Literal["staging", "production"]

TRANSITIONS: dict[Stage, tuple[Stage, ...]] = {
    "candidate": ("staging",),
    "staging": ("production", "archived"),
    "production": ("archived",),
    "archived": ("staging", "production"),
}
"""Moves between stages; those to `archived` happen to the model that is replaced."""
HELD: tuple[Target, ...] = ("production", "staging")
"""Stages that one model of a lane holds, the highest first."""


class Promoted(Contract):
    """What an event `promoted` says; its subject is the model."""

    lane: Annotated[str, Field(min_length=1)]
    """Lane whose stage it is."""
    before: Stage
    """Stage of the model until then."""
    to: Target
    """Stage that it entered."""
    by: Annotated[str, Field(min_length=1)]
    """Who promoted it."""
    reason: Annotated[str, Field(min_length=1)]
    """Why."""
    run_id: str
    """The model's run."""
    judgement_id: Sha256
    """The passing judgement that it rests on."""
    sha256: Sha256
    """Digest of the model's main file."""
    replaces: tuple[str, ...] = ()
    """Models that held the stage, as far as it was known."""


_COLUMNS = "lane, stage, event, model_id, sha256, at, promoted_by, reason, host, writer, seq"


def fold_promotion(database: sqlite3.Connection, line: Line, number: int) -> None:
    """Take a promotion into the index: it answers those before it that its writer knew."""
    body, model = line.event.body, line.event.subject
    lane, stage = str(body["lane"]), str(body["to"])
    left = database.execute("SELECT stage FROM holders WHERE lane = ? AND model_id = ?", (lane, model)).fetchall()
    touched = {model}
    for answered in sorted({stage, *(name for (name,) in left)}):
        touched |= _answer(database, line, lane=lane, stage=answered)
    told = (line.event.at, body["by"], body["reason"], line.event.host, line.writer, line.seq)
    database.execute(
        f"INSERT INTO holders ({_COLUMNS}) VALUES (?{', ?' * 10})",
        (lane, stage, number, model, body["sha256"], *told),
    )
    _move(database, line, number, lane=lane, models=touched)


def _answer(database: sqlite3.Connection, line: Line, *, lane: str, stage: str) -> set[str]:
    """Take away the stage's holders that the promotion's writer knew; returns every model that stood there."""
    found = database.execute(
        "SELECT event, model_id, writer, seq FROM holders WHERE lane = ? AND stage = ?", (lane, stage)
    ).fetchall()
    for event, _, writer, seq in found:
        if line.knows(writer, seq):
            database.execute("DELETE FROM holders WHERE lane = ? AND stage = ? AND event = ?", (lane, stage, event))
    return {model for _, model, _, _ in found}


def _move(database: sqlite3.Connection, line: Line, number: int, *, lane: str, models: set[str]) -> None:
    """Bring the models' stages up to date and write down each change."""
    winners = {stage: _winner(database, lane, stage) for stage in HELD}
    for model in sorted(models, key=lambda name: (name != line.event.subject, name)):
        now = next((stage for stage in HELD if winners[stage] == model), "archived")
        row = database.execute("SELECT stage FROM models WHERE id = ?", (model,)).fetchone()
        before = row[0] if row else "candidate"
        if before == now:
            continue
        is_promoted = model == line.event.subject
        reason = line.event.body["reason"] if is_promoted else f"{line.event.subject} took its place"
        database.execute("UPDATE models SET stage = ? WHERE id = ?", (now, model))
        database.execute(
            "INSERT INTO stage_history (event, model_id, from_stage, to_stage, at, reason, changed_by, host, writer) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (number, model, before, now, line.event.at, reason, line.event.body["by"], line.event.host, line.writer),
        )


def _winner(database: sqlite3.Connection, lane: str, stage: str) -> str | None:
    row = database.execute(
        "SELECT model_id FROM holders WHERE lane = ? AND stage = ? ORDER BY event DESC LIMIT 1", (lane, stage)
    ).fetchone()
    return str(row[0]) if row else None
