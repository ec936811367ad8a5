"""Heartbeats in the control store: kept for a week, asked for by job, run or agent.

    with ControlStore(home) as store:
        record(store, beat)
        newest(store, job="jc-1")        # the last word of every agent on every stage

Does not judge who is late: `interlock.runs.jobs.watching` does, with other evidence beside it.
"""

from sqlite3 import Connection, Row

from pydantic import ValidationError

from interlock.contracts.heartbeat import Heartbeat
from interlock.registry.control.store import ControlStore

KEPT_S = 7 * 24 * 3600.0
"""Older heartbeats are removed."""
_PRUNE_EVERY = 100
_COLUMNS = "INSERT INTO heartbeats (at_s, agent, job, run, lane, stage, body) VALUES (?, ?, ?, ?, ?, ?, ?)"


def record(store: ControlStore, beat: Heartbeat) -> int:
    """Keep one heartbeat; returns its number. Now and then removes those that are over a week older than it."""
    with store.transaction() as database:
        values = (beat.timestamp, beat.agent, beat.job, beat.run_id, beat.lane, beat.stage, beat.model_dump_json())
        number = int(database.execute(_COLUMNS, values).lastrowid or 0)
        if number % _PRUNE_EVERY == 0:
            prune(database, before_s=beat.timestamp - KEPT_S)
        return number


def prune(database: Connection, *, before_s: float) -> int:
    """Remove heartbeats from before that time (seconds since 1970) in the caller's transaction; returns how many."""
    return int(database.execute("DELETE FROM heartbeats WHERE at_s < ?", (before_s,)).rowcount)


def newest(
    store: ControlStore, *, job: str | None = None, run_id: str | None = None, agent: str | None = None
) -> tuple[Heartbeat, ...]:
    """The last heartbeat of every agent on every stage of every lane, oldest first, with the given job, run and agent.

    A heartbeat that was written by a newer version and cannot be read is left out.
    """
    wanted = {"job": job, "run": run_id, "agent": agent}
    given = {column: value for column, value in wanted.items() if value is not None}
    where = " AND ".join(f"{column} = :{column}" for column in given) or "1"
    query = (
        f"SELECT body FROM heartbeats WHERE number IN (SELECT max(number) FROM heartbeats WHERE {where} "
        "GROUP BY agent, lane, stage) ORDER BY number"
    )
    with store.reading() as database:
        return tuple(beat for row in database.execute(query, given) if (beat := _read(row)) is not None)


def history(store: ControlStore, *, job: str, limit: int = 100) -> tuple[Heartbeat, ...]:
    """The last heartbeats of a job, oldest first."""
    query = "SELECT body FROM heartbeats WHERE job = ? ORDER BY number DESC LIMIT ?"
    with store.reading() as database:
        rows = database.execute(query, (job, limit)).fetchall()
    return tuple(beat for row in reversed(rows) if (beat := _read(row)) is not None)


def _read(row: Row) -> Heartbeat | None:
    try:
        return Heartbeat.model_validate_json(row["body"])
    except ValidationError:
        return None
