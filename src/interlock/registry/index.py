"""The index, `<home>/registry/models.db`: what the events say, in a form that can be asked.

A pure fold over the event log. Every refresh takes in the events that came since; when the log is not the one that was
folded (restored, replaced), everything is folded anew, in the same transaction. Losing the file loses nothing. A log
whose file changed in any way is verified from its first line before anything is answered from it.
"""

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from interlock.errors import RegistryError
from interlock.provenance.canonical import canonical_json
from interlock.provenance.chain import GENESIS
from interlock.registry.events import Event, events_path, read_events
from interlock.registry.migrations import MIGRATIONS

BUSY_TIMEOUT_S = 30.0
_TABLES = ("models", "stage_history", "runs", "decisions", "folded")
_LOG_TABLE = "verified"
"""About the log's file, not about its events: another copy of the same log is folded to the same `_TABLES`."""


def index_path(home: Path) -> Path:
    """The SQLite file of this home."""
    return home / "registry" / "models.db"


def refresh(home: Path) -> None:
    """Take in the events that are not in the index yet. Raises RegistryError when the file cannot be used."""
    with _transaction(home) as database:
        _catch_up(home, database)


def refold(home: Path) -> None:
    """Throw the index away and fold all events again. A file that SQLite cannot read is replaced."""
    try:
        with _transaction(home) as database:
            _clear(database)
            _catch_up(home, database)
    except RegistryError:
        for suffix in ("", "-wal", "-shm"):
            index_path(home).with_name(index_path(home).name + suffix).unlink(missing_ok=True)
        refresh(home)


@contextmanager
def reading(home: Path) -> Iterator[sqlite3.Connection]:
    """An up-to-date connection for queries; rows can be read by column name. Without events it is empty."""
    if events_path(home).exists():
        refresh(home)
    where = index_path(home) if events_path(home).exists() else None
    with _told(home), _connected(where) as database:
        _migrate(database)
        database.row_factory = sqlite3.Row
        yield database


def rows(home: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, sorted: for comparing two indexes."""
    with _told(home), _connected(index_path(home)) as database:
        return {table: sorted(database.execute(f"SELECT * FROM {table}"), key=repr) for table in _TABLES}


def _catch_up(home: Path, database: sqlite3.Connection) -> None:
    seq, digest = database.execute("SELECT seq, sha256 FROM folded").fetchone() or (0, GENESIS)
    size_and_time = _size_and_time(events_path(home))  # before reading: what is written meanwhile is read next time
    if size_and_time == database.execute(f"SELECT size_bytes, mtime_ns FROM {_LOG_TABLE}").fetchone():
        return
    events = read_events(home)
    if seq > len(events) or (seq > 0 and events[seq - 1][1] != digest):
        _clear(database)
        seq = 0
    for number, (event, _) in enumerate(events[seq:], start=seq + 1):
        _FOLD[event.kind](database, event, number)
    if events:
        database.execute("INSERT OR REPLACE INTO folded VALUES (1, ?, ?)", (len(events), events[-1][1]))
    database.execute(f"INSERT OR REPLACE INTO {_LOG_TABLE} VALUES (1, ?, ?)", size_and_time)


def _size_and_time(path: Path) -> tuple[int, int]:
    """Size (bytes) and time of the last change (ns); zeros without a file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def _run_archived(database: sqlite3.Connection, event: Event, number: int) -> None:
    columns = ("lane", "model_type", "dataset", "seed", "git_commit", "created_at", "export", "card_sha256")
    values = [event.body[column] for column in columns]
    database.execute(
        f"INSERT INTO runs (run_id, {', '.join(columns)}) VALUES (?{', ?' * len(columns)}) "
        f"ON CONFLICT (run_id) DO UPDATE SET {', '.join(f'{column} = excluded.{column}' for column in columns)}",
        [event.subject, *values],
    )


def _model_registered(database: sqlite3.Connection, event: Event, number: int) -> None:
    body = event.body
    verdict = database.execute("SELECT verdict FROM runs WHERE run_id = ?", (body["run_id"],)).fetchone()
    plain = [body[key] for key in ("model_type", "dataset", "git_commit", "run_id", "seed")]
    documents = [canonical_json(body[key]) for key in ("hyperparameters", "metrics")]
    database.execute(
        f"INSERT OR IGNORE INTO models VALUES (?{', ?' * 12})",
        [event.subject, *plain, *documents, body["path"], body["created_at"], body["sha256"], (verdict or [None])[0],
         "candidate"],
    )  # fmt: skip
    database.execute("UPDATE runs SET model_id = ? WHERE run_id = ?", (event.subject, body["run_id"]))
    database.execute(
        "INSERT INTO stage_history VALUES (?, ?, '', 'candidate', ?, 'registered')", (number, event.subject, event.at)
    )


def _judged(database: sqlite3.Connection, event: Event, number: int) -> None:
    verdict, run_id = event.body["verdict"], event.subject
    database.execute(
        "UPDATE runs SET verdict = ?, judgement_id = ? WHERE run_id = ?",
        (verdict, event.body["judgement_id"], run_id),
    )
    database.execute("UPDATE models SET verdict = ? WHERE run_id = ?", (verdict, run_id))


def _decided(database: sqlite3.Connection, event: Event, number: int) -> None:
    keys = ("judgement_id", "decision_id", "action")
    database.execute(
        "INSERT OR REPLACE INTO decisions VALUES (?, ?, ?, ?)", [event.subject, *(event.body[key] for key in keys)]
    )


_FOLD = {
    "run_archived": _run_archived,
    "model_registered": _model_registered,
    "judged": _judged,
    "decided": _decided,
}


@contextmanager
def _transaction(home: Path) -> Iterator[sqlite3.Connection]:
    """A write transaction over an up-to-date schema; nothing of it stays when the block fails."""
    with _told(home), _connected(index_path(home)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("BEGIN IMMEDIATE")
        try:
            _migrate(database)
            yield database
        except BaseException:
            database.execute("ROLLBACK")
            raise
        database.execute("COMMIT")


def _migrate(database: sqlite3.Connection) -> None:
    database.execute("CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL)")
    done = {number for (number,) in database.execute("SELECT number FROM migrations")}
    if unknown := sorted(done - {number for number, _, _ in MIGRATIONS}):
        raise sqlite3.DatabaseError(f"it was written by a newer version (schema {unknown[-1]})")
    for number, name, statements in MIGRATIONS:
        if number not in done:
            for statement in statements:
                database.execute(statement)
            database.execute("INSERT INTO migrations VALUES (?, ?)", (number, name))


def _clear(database: sqlite3.Connection) -> None:
    """Drop everything and make it again; dropping passes by the triggers that keep rows from being deleted."""
    for table in (*_TABLES, _LOG_TABLE, "migrations"):
        database.execute(f"DROP TABLE IF EXISTS {table}")
    _migrate(database)


@contextmanager
def _connected(path: Path | None) -> Iterator[sqlite3.Connection]:
    """A connection without transactions of its own making; None for a database in memory."""
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
    name = path or ":memory:"
    with contextlib.closing(sqlite3.connect(name, timeout=BUSY_TIMEOUT_S, isolation_level=None)) as database:
        yield database


@contextmanager
def _told(home: Path) -> Iterator[None]:
    """SQLite's errors as sentences."""
    try:
        yield
    except sqlite3.Error as error:
        raise RegistryError(
            f"the index cannot be used: {error}", path=index_path(home), hint="interlock registry rebuild"
        ) from error


def loaded(row: sqlite3.Row) -> dict[str, Any]:
    """A row with its JSON columns read."""
    values = dict(row)
    return {key: json.loads(value) if key in ("hyperparameters", "metrics") else value for key, value in values.items()}
