"""The index, `<home>/registry/models.db`: what the events say, in a form that can be asked.

A pure fold over the event logs in their common order. Every refresh takes in the events that came since; when what
was folded is not how the logs begin any more (restored, replaced, or a pulled event belongs before), everything is
folded anew, in the same transaction. Losing the file loses nothing. When a log's file changed in any way, all of them
are verified from their first lines before anything is answered from them.
"""

import contextlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from interlock.errors import RegistryError
from interlock.provenance.canonical import canonical_json
from interlock.provenance.chain import GENESIS
from interlock.registry.events import Line, logs, union
from interlock.registry.migrations import MIGRATIONS
from interlock.registry.stages import fold_promotion, fold_withdrawal
from interlock.registry.taken import taken_path
from interlock.registry.wal import use_wal

BUSY_TIMEOUT_S = 30.0
_TABLES = ("models", "stage_history", "holders", "said", "runs", "decisions", "spent", "folded")
_LOG_TABLE = "verified"
"""About the logs' files, not about their events: another copy of the same logs is folded to the same `_TABLES`."""


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
    """An up-to-date connection for queries; rows can be read by column name. Without events it is empty.

    Where nobody may write, the events are folded in memory and the file stays as it is.
    """
    may_write = _may_write(index_path(home))
    where = index_path(home) if may_write and logs(home) else None
    if where:
        refresh(home)
    with _told(home), _connected(where) as database:
        _migrate(database)
        if not may_write:
            _catch_up(home, database)
        database.row_factory = sqlite3.Row
        yield database


def _may_write(path: Path) -> bool:
    """Whether the index can be made or brought up to date: SQLite writes a journal beside it."""
    if not path.parent.is_dir():
        return True  # to be made, or the reason why not is told
    return os.access(path.parent, os.W_OK) and (not path.exists() or os.access(path, os.W_OK))


def rows(home: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, sorted: for comparing two indexes."""
    with _told(home), _connected(index_path(home)) as database:
        return {table: sorted(database.execute(f"SELECT * FROM {table}"), key=repr) for table in _TABLES}


def anew(home: Path) -> dict[str, list[tuple[Any, ...]]]:
    """What `rows` would give for an index that is folded anew; nothing is written."""
    with _told(home), _connected(None) as database:
        _migrate(database)
        _catch_up(home, database)
        return {table: sorted(database.execute(f"SELECT * FROM {table}"), key=repr) for table in _TABLES}


def _catch_up(home: Path, database: sqlite3.Connection) -> None:
    seq, digest = database.execute("SELECT seq, sha256 FROM folded").fetchone() or (0, GENESIS)
    files = _files(home)  # before reading: what is written meanwhile is read next time
    if files == sorted(database.execute(f"SELECT name, size_bytes, mtime_ns FROM {_LOG_TABLE}")):
        return
    lines = union(home)
    if seq > len(lines) or (seq > 0 and lines[seq - 1].sha256 != digest):
        _clear(database)
        seq = 0
    for number, line in enumerate(lines[seq:], start=seq + 1):
        _FOLD[line.event.kind](database, line, number)
    if lines:
        database.execute("INSERT OR REPLACE INTO folded VALUES (1, ?, ?)", (len(lines), lines[-1].sha256))
    database.execute(f"DELETE FROM {_LOG_TABLE}")
    database.executemany(f"INSERT INTO {_LOG_TABLE} VALUES (?, ?, ?)", files)


def _files(home: Path) -> list[tuple[str, int, int]]:
    """Name, size (bytes) and time of the last change (ns) of every file that what is believed follows from."""
    found = []
    for log in logs(home):
        for path in {log, taken_path(log)}:
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                found.append((path.relative_to(home).as_posix(), status.st_size, status.st_mtime_ns))
    return sorted(found)


def _run_archived(database: sqlite3.Connection, line: Line, number: int) -> None:
    event = line.event
    columns = ("lane", "model_type", "dataset", "seed", "git_commit", "created_at", "export", "card_sha256")
    values = [event.body[column] for column in columns]
    database.execute(
        f"INSERT INTO runs (run_id, {', '.join(columns)}) VALUES (?{', ?' * len(columns)}) "
        f"ON CONFLICT (run_id) DO UPDATE SET {', '.join(f'{column} = excluded.{column}' for column in columns)}",
        [event.subject, *values],
    )


def _model_registered(database: sqlite3.Connection, line: Line, number: int) -> None:
    event, body = line.event, line.event.body
    verdict = database.execute("SELECT verdict FROM runs WHERE run_id = ?", (body["run_id"],)).fetchone()
    plain = [body[key] for key in ("model_type", "dataset", "git_commit", "run_id", "seed")]
    documents = [canonical_json(body[key]) for key in ("hyperparameters", "metrics")]
    made = database.execute(
        f"INSERT OR IGNORE INTO models VALUES (?{', ?' * 13})",
        [event.subject, *plain, *documents, body["path"], body["created_at"], body["sha256"], (verdict or [None])[0],
         "candidate", None],
    )  # fmt: skip
    database.execute("UPDATE runs SET model_id = ? WHERE run_id = ?", (event.subject, body["run_id"]))
    if made.rowcount:  # two homes that made the same run register the same model
        database.execute(
            "INSERT INTO stage_history (event, model_id, from_stage, to_stage, at, reason, changed_by, host, writer) "
            "VALUES (?, ?, '', 'candidate', ?, 'registered', '', ?, ?)",
            (number, event.subject, event.at, event.host, line.writer),
        )


def _judged(database: sqlite3.Connection, line: Line, number: int) -> None:
    event = line.event
    verdict, run_id = event.body["verdict"], event.subject
    database.execute(
        "UPDATE runs SET verdict = ?, judgement_id = ? WHERE run_id = ?",
        (verdict, event.body["judgement_id"], run_id),
    )
    database.execute("UPDATE models SET verdict = ? WHERE run_id = ?", (verdict, run_id))


def _decided(database: sqlite3.Connection, line: Line, number: int) -> None:
    keys = ("judgement_id", "decision_id", "action")
    database.execute(
        "INSERT OR REPLACE INTO decisions VALUES (?, ?, ?, ?)",
        [line.event.subject, *(line.event.body[key] for key in keys)],
    )


def _spent(database: sqlite3.Connection, line: Line, number: int) -> None:
    """Two homes that hold the same answer say so twice; it was paid for once."""
    keys = ("agent", "model", "key", "answer_sha256", "calls", "tokens_in", "tokens_out", "usd", "seconds")
    database.execute(
        f"INSERT OR IGNORE INTO spent (run_id, {', '.join(keys)}) VALUES (?{', ?' * len(keys)})",
        [line.event.subject, *(line.event.body[key] for key in keys)],
    )


def _promoted(database: sqlite3.Connection, line: Line, number: int) -> None:
    fold_promotion(database, line, number)
    if line.event.body.get("approval"):
        _said(database, line, number)


def _said(database: sqlite3.Connection, line: Line, number: int) -> None:
    """Keep it as it was said; what it amounts to follows from everything that was said, and from the time."""
    event = line.event
    seen = canonical_json({writer: head.seq for writer, head in event.seen.items()})
    told = (event.key, event.at, event.host, line.writer, line.seq, seen, canonical_json(event.body))
    database.execute(f"INSERT INTO said VALUES (?{', ?' * 9})", (number, event.kind, event.subject, *told))


_FOLD: dict[str, Callable[[sqlite3.Connection, Line, int], object]] = {
    "run_archived": _run_archived,
    "model_registered": _model_registered,
    "judged": _judged,
    "decided": _decided,
    "spent": _spent,
    "promoted": _promoted,
    "withdrawn": fold_withdrawal,
    "waived": _said,
    "approval_requested": _said,
    "approval_granted": _said,
    "approval_denied": _said,
    "files_kept": lambda database, line, number: None,  # for `interlock verify`; nothing of it is shown
    "removed": lambda database, line, number: None,  # the disk tells what is here
}


@contextmanager
def _transaction(home: Path) -> Iterator[sqlite3.Connection]:
    """A write transaction over an up-to-date schema; nothing of it stays when the block fails."""
    with _told(home), _connected(index_path(home)) as database:
        use_wal(database, wait_s=BUSY_TIMEOUT_S)
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
    name = str(path) if path else ":memory:"
    if path and _may_write(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    elif path:  # even to read, SQLite would make a file beside it
        name = f"{path.resolve().as_uri()}?immutable=1"
    opened = sqlite3.connect(name, timeout=BUSY_TIMEOUT_S, isolation_level=None, uri=name.startswith("file:"))
    with contextlib.closing(opened) as database:
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
