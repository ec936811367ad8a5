"""The switch to a write-ahead log waits for others, which SQLite itself does not do."""

import sqlite3
import threading
import time

import pytest

from interlock.registry.wal import use_wal


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "x.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE t (n INTEGER)")
    database.close()
    return path


def holding(path, seconds):
    """A connection of another thread that has the file for so long."""
    has = threading.Event()

    def hold():
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        has.set()
        time.sleep(seconds)
        other.execute("ROLLBACK")
        other.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert has.wait(10)
    return thread


def test_it_waits_for_whoever_has_the_file(path):
    thread = holding(path, 0.3)
    database = sqlite3.connect(path, timeout=0.0, isolation_level=None)
    assert use_wal(database, wait_s=20.0) == "wal"
    thread.join()
    database.close()


def test_it_does_not_wait_for_ever(path):
    thread = holding(path, 0.6)
    database = sqlite3.connect(path, timeout=0.0, isolation_level=None)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        use_wal(database, wait_s=0.1)
    thread.join()
    database.close()


def test_another_fault_is_told_at_once(tmp_path):
    (tmp_path / "x.db").write_bytes(b"this is no database, and far longer than a header of one" * 20)
    database = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        use_wal(database, wait_s=20.0)
    database.close()
