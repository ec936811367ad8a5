"""The control store: private, durable through kill -9, one writer at a time, and refused when it is not ours."""

import multiprocessing
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import interlock
from interlock.errors import RegistryError
from interlock.registry.control.store import ControlStore, control_path

WRITER = """
import sys
from pathlib import Path
from interlock.registry.control.store import ControlStore

store = ControlStore(Path(sys.argv[1]))
with store.transaction() as database:
    database.execute("CREATE TABLE counted (number INTEGER)")
number = 0
while True:
    number += 1
    with store.transaction() as database:
        database.execute("INSERT INTO counted VALUES (?)", (number,))
    print(number, flush=True)
"""


def _numbers(home: Path) -> list[int]:
    with ControlStore(home) as store, store.reading() as database:
        return [number for (number,) in database.execute("SELECT number FROM counted ORDER BY number")]


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    with ControlStore(tmp_path) as store, store.transaction() as database:
        database.execute("INSERT INTO migrations VALUES (1000, 'a step of the future')")
    with (
        ControlStore(tmp_path) as store,
        pytest.raises(RegistryError, match=r"newer version \(schema 1000\)\n  way out: use that version"),
        store.transaction(),
    ):
        pass


def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path: Path) -> None:
    control_path(tmp_path).parent.mkdir()
    control_path(tmp_path).write_text("these are the notes of somebody, and they are long enough" * 40)
    with pytest.raises(RegistryError, match="not a database\n  way out: stop what runs, move the file away"):
        _numbers(tmp_path)
    assert control_path(tmp_path).read_text().startswith("these are the notes")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o500)
    with pytest.raises(RegistryError, match="Permission denied"):
        _numbers(tmp_path)


def test_a_store_that_somebody_holds_is_told(tmp_path: Path) -> None:
    with ControlStore(tmp_path) as one, one.transaction():
        other = ControlStore(tmp_path, busy_timeout_s=0.05)
        with pytest.raises(RegistryError, match="locked\n  way out: another process has held it"), other.transaction():
            pass


def test_nothing_stays_of_a_block_that_fails(tmp_path: Path) -> None:
    with ControlStore(tmp_path) as store:
        with store.transaction() as database:
            database.execute("CREATE TABLE counted (number INTEGER)")
        with pytest.raises(ZeroDivisionError), store.transaction() as database:
            _ = database.execute("INSERT INTO counted VALUES (1)"), 1 / 0
        with pytest.raises(RegistryError, match="within a transaction"), store.transaction(), store.transaction():
            pass
        with store.transaction() as database:
            database.execute("INSERT INTO counted VALUES (2)")
    assert _numbers(tmp_path) == [2]


def test_it_is_private_and_durable(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with ControlStore(tmp_path) as store, store.transaction() as database:
            found = [database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
            modes = {stat.S_IMODE(path.stat().st_mode) for path in control_path(tmp_path).parent.glob("control.db*")}
    finally:
        os.umask(before)
    assert found == ["wal", 2]  # 2 is FULL
    assert modes == {0o600}


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(Path(interlock.__file__).parents[1])}
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)
    assert process.stdout is not None
    for _ in range(50):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    acknowledged = 50 + len(process.stdout.read().split())
    process.wait()
    process.stdout.close()
    numbers = _numbers(tmp_path)
    assert numbers == list(range(1, len(numbers) + 1))
    assert acknowledged <= len(numbers) <= acknowledged + 1


def test_threads_take_turns(tmp_path: Path) -> None:
    store = ControlStore(tmp_path)
    with store.transaction() as database:
        database.execute("CREATE TABLE counted (number INTEGER)")
        database.execute("INSERT INTO counted VALUES (0)")

    def add() -> None:
        for _ in range(20):
            with store.transaction() as database:
                (number,) = database.execute("SELECT number FROM counted").fetchone()
                database.execute("UPDATE counted SET number = ?", (number + 1,))

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.close()
    assert _numbers(tmp_path) == [80]


def _in_a_child(store: ControlStore) -> None:
    with store.transaction() as database:
        database.execute("INSERT INTO counted VALUES (2)")


def test_a_forked_child_opens_its_own(tmp_path: Path) -> None:
    with ControlStore(tmp_path) as store:
        with store.transaction() as database:
            database.execute("CREATE TABLE counted (number INTEGER)")
            database.execute("INSERT INTO counted VALUES (1)")
        child = multiprocessing.get_context("fork").Process(target=_in_a_child, args=(store,))
        child.start()
        child.join()
        with store.transaction() as database:
            database.execute("INSERT INTO counted VALUES (3)")
    assert child.exitcode == 0
    assert _numbers(tmp_path) == [1, 2, 3]


def test_closing_twice_and_using_again_is_fine(tmp_path: Path) -> None:
    store = ControlStore(tmp_path)
    store.close()
    with store.transaction() as database:
        assert database.execute("SELECT COUNT(*) FROM reservations").fetchone()[0] == 0
    store.close()
    store.close()
    with store.reading() as database, pytest.raises(sqlite3.OperationalError):
        database.execute("SELECT * FROM nowhere")
    store.close()


def _opens(home: str, gate: object) -> None:
    gate.wait()  # type: ignore[attr-defined]
    with ControlStore(Path(home)) as store, store.transaction() as database:
        database.execute("CREATE TABLE IF NOT EXISTS counted (number INTEGER)")
        database.execute("INSERT INTO counted VALUES (1)")


def test_many_may_be_the_first(tmp_path: Path) -> None:
    """Whoever comes first makes the tables; the others wait for it."""
    context = multiprocessing.get_context("fork")
    gate = context.Barrier(4)
    openers = [context.Process(target=_opens, args=(str(tmp_path), gate)) for _ in range(4)]
    for opener in openers:
        opener.start()
    for opener in openers:
        opener.join(60)
    assert [opener.exitcode for opener in openers] == [0, 0, 0, 0]
    assert _numbers(tmp_path) == [1, 1, 1, 1]
