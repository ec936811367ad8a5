"""The control store, `<home>/state/control.db`: what processes of one machine agree on while they run.

    store = ControlStore(home)
    with store.transaction() as database:      # BEGIN IMMEDIATE ... COMMIT, or nothing of it
        database.execute(...)

A committed transaction survives `kill -9` and a power cut (WAL, synchronous=FULL). The file is the user's alone (0600).
One store may be used by several threads, which take turns; a forked child opens its own connection. Unlike the index it
cannot be made again from the events, and nothing that must outlive it belongs here: approvals, promotions and spend are
events. Does not work on a file system without locks or shared memory; that is refused.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from interlock.errors import RegistryError
from interlock.registry.control.migrations import MIGRATIONS
from interlock.registry.wal import use_wal

BUSY_TIMEOUT_S = 30.0
_MOVE_AWAY = "stop what runs, move the file away and begin anew: reservations and heartbeats of the past are lost"

Migrations = Sequence[tuple[int, str, tuple[str, ...]]]

_opening = threading.Lock()
"""SQLite's locks are lost when the process closes any handle on the file, so creating and opening take turns."""


def control_path(home: Path) -> Path:
    """The SQLite file of this home."""
    return home / "state" / "control.db"


class ControlStore:
    """A connection to the control store; opened at its first use, closed by `close` or the end of a `with` block."""

    def __init__(self, home: Path, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        """`busy_timeout_s`: how long a transaction waits for those of other processes."""
        self.path = control_path(home)
        self._busy_timeout_s = busy_timeout_s
        self._turn = threading.RLock()
        self._database: sqlite3.Connection | None = None
        self._pid = 0

    def __enter__(self) -> "ControlStore":
        """The store itself."""
        return self

    def __exit__(self, *ended: object) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close this process's connection; the next use opens another."""
        with self._turn:
            if self._database is not None and self._pid == os.getpid():
                self._database.close()
            self._database = None

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A write transaction, alone in all processes; nothing of it stays when the block fails. Rows have names.

        Raises RegistryError when the file cannot be used. Transactions do not nest.
        """
        with self._turn, self._told():
            yield from self._within("BEGIN IMMEDIATE")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One state of the store for several queries, without keeping writers out. Raises RegistryError."""
        with self._turn, self._told():
            yield from self._within("BEGIN")

    def _within(self, begin: str) -> Iterator[sqlite3.Connection]:
        database = self._connection()
        database.execute(begin)  # refused inside another one: transactions do not nest
        try:
            yield database
        except BaseException:
            if database.in_transaction:  # a full disk ends it by itself
                database.execute("ROLLBACK")
            raise
        database.execute("COMMIT")

    def _connection(self) -> sqlite3.Connection:
        """This process's connection. A parent's is dropped unclosed: closing it here would release its locks."""
        if self._database is None or self._pid != os.getpid():
            self._database, self._pid = _opened(self.path, self._busy_timeout_s), os.getpid()
        return self._database

    @contextmanager
    def _told(self) -> Iterator[None]:
        """SQLite's errors as sentences."""
        try:
            yield
        except sqlite3.Error as error:
            raise RegistryError(
                f"the control store cannot be used: {error}", path=self.path, hint=_way_out(error)
            ) from error


def migrate(database: sqlite3.Connection, steps: Migrations = MIGRATIONS) -> None:
    """Take the steps that are missing, inside the caller's transaction. Raises NewerSchemaError for unknown ones."""
    database.execute("CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL)")
    done = {number for (number,) in database.execute("SELECT number FROM migrations")}
    if unknown := sorted(done - {number for number, _, _ in steps}):
        raise NewerSchemaError(f"it was written by a newer version (schema {unknown[-1]})")
    for number, name, statements in steps:
        if number not in done:
            for statement in statements:
                database.execute(statement)
            database.execute("INSERT INTO migrations VALUES (?, ?)", (number, name))


class NewerSchemaError(sqlite3.DatabaseError):
    """The file holds a step that this version does not know."""


def _opened(path: Path, busy_timeout_s: float) -> sqlite3.Connection:
    with _opening:
        _create(path)
        database = sqlite3.connect(path, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False)
        try:
            _prepare(database, busy_timeout_s)
        except BaseException:
            database.close()
            raise
    database.row_factory = sqlite3.Row
    return database


def _prepare(database: sqlite3.Connection, busy_timeout_s: float) -> None:
    mode = use_wal(database, wait_s=busy_timeout_s)
    if mode != "wal":
        raise sqlite3.OperationalError(f"no write-ahead log here (journal mode {mode})")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("PRAGMA foreign_keys = ON")
    database.execute("BEGIN IMMEDIATE")
    try:
        migrate(database)
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


def _create(path: Path) -> None:
    """Make an empty file that only its owner may read, before SQLite would make one by the umask."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise RegistryError(
            f"the control store cannot be made: {error.strerror}", path=path, hint="set INTERLOCK_HOME to a local disk"
        ) from error


def _way_out(error: sqlite3.Error) -> str:
    if isinstance(error, NewerSchemaError):
        return "use that version of Interlock here, or another INTERLOCK_HOME"
    text = str(error)
    if "locked" in text or "busy" in text:
        return "another process has held it for long; look for one that hangs, then try again"
    if "full" in text:
        return "free some disk space and try again: interlock gc"
    if "malformed" in text or "not a database" in text:
        return _MOVE_AWAY
    return "INTERLOCK_HOME must lie on a local disk that may be written"
