"""Switching a SQLite file to its write-ahead log, safely beside other processes that open it for the first time.

SQLite waits for other processes everywhere but here: the switch needs the file alone for a moment and otherwise fails
at once, whatever the busy time-out says. So this waits. Once the file is in that mode nothing is locked any more.
"""

import sqlite3


def use_wal(database: sqlite3.Connection, *, wait_s: float) -> str:
    """Switch, waiting up to `wait_s` for others; returns the mode that the file is in then.

    Raises sqlite3.OperationalError when they take longer.
    """
    try:
        return _switched(database)
    except sqlite3.OperationalError as error:
        if not _is_locked(error):
            raise
    import tenacity

    waiting = tenacity.Retrying(
        stop=tenacity.stop_after_delay(wait_s),
        wait=tenacity.wait_random(0.01, 0.05),
        retry=tenacity.retry_if_exception(_is_locked),
        reraise=True,
    )
    return str(waiting(_switched, database))


def _switched(database: sqlite3.Connection) -> str:
    (mode,) = database.execute("PRAGMA journal_mode = WAL").fetchone()
    return str(mode)


def _is_locked(error: BaseException) -> bool:
    return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)
