"""Every execution leaves a start and an end, also one that was killed; one process works on a run at a time."""

import contextlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from interlock.errors import BusyError, NonFiniteError, ProvenanceError, PrunedError
from interlock.provenance import attempts as module
from interlock.provenance.attempts import attempt, close, list_attempts, open_attempt, run_lock, state_folder

ROOT = Path(__file__).resolve().parents[3]
RUN = "0123456789abcdef"


def begin(home, *, stage="train", run_id=RUN, lane="tower"):
    return {"home": home, "lane": lane, "stage": stage, "run_id": run_id, "params_sha256": "0" * 64}


def exits(home, **which):
    return [files.end.exit if files.end else None for files in list_attempts(home, **which)]


def test_the_start_is_written_before_anything_runs(tmp_path):
    with attempt(**begin(tmp_path)) as running:
        (files,) = list_attempts(tmp_path)
        assert files.end is None
        assert (files.start.attempt, files.start.pid, files.start.run_id) == (running.id, os.getpid(), RUN)
    assert exits(tmp_path) == ["completed"]


@pytest.mark.parametrize(
    ("error", "exit"),
    [
        (ValueError("x"), "failed"),
        (NonFiniteError("loss is NaN"), "halted"),
        (PrunedError("behind"), "pruned"),
        (TimeoutError("x"), "timeout"),
        (KeyboardInterrupt(), "interrupted"),
        (SystemExit(143), "interrupted"),
        (SystemExit(130), "interrupted"),
        (SystemExit(0), "failed"),
        (SystemExit("text"), "failed"),
        (GeneratorExit(), "failed"),
        (MemoryError(), "failed"),
    ],
    ids=lambda value: repr(value) if isinstance(value, BaseException) else value,
)
def test_every_way_out_is_recorded_and_goes_on(tmp_path, error, exit):
    with pytest.raises(type(error)), attempt(**begin(tmp_path)):
        raise error
    (files,) = list_attempts(tmp_path)
    assert files.end is not None
    assert files.end.exit == exit
    assert type(error).__name__ in files.end.error


def test_secrets_do_not_reach_the_record(tmp_path):
    with pytest.raises(OSError, match="hidden"), attempt(**begin(tmp_path)):
        raise OSError("cannot reach https://me:hidden@host/")  # pragma: allowlist secret
    assert not [path for path in tmp_path.rglob("*.json") if "hidden" in path.read_text()]


def test_closing_twice_keeps_the_first_end(tmp_path):
    opened = open_attempt(**begin(tmp_path))
    close(opened, exit="failed", error="first")
    close(opened, exit="completed")
    assert exits(tmp_path) == ["failed"]


def test_a_running_attempt_is_left_alone(tmp_path):
    first = open_attempt(**begin(tmp_path))
    with attempt(**begin(tmp_path)):
        pass
    assert exits(tmp_path) == [None, "completed"]
    close(first, exit="completed")


def test_the_next_attempt_knows_what_it_follows(tmp_path):
    with pytest.raises(KeyboardInterrupt), attempt(**begin(tmp_path)) as first:
        raise KeyboardInterrupt
    with attempt(**begin(tmp_path, run_id="f" * 16)) as other, attempt(**begin(tmp_path)) as second:
        pass
    with attempt(**begin(tmp_path)) as third:
        pass
    assert [item.start.follows for item in (first, other, second, third)] == [None, None, first.id, None]


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "a" * 200, "a\0b"])
def test_names_that_leave_the_folder_are_refused(tmp_path, name):
    with pytest.raises(ProvenanceError, match="not usable"):
        open_attempt(**begin(tmp_path, lane=name))
    with pytest.raises(ProvenanceError, match="not usable"):
        state_folder(tmp_path, name)
    assert not list(tmp_path.rglob("*.json"))


def test_a_damaged_record_is_named(tmp_path):
    close(open_attempt(**begin(tmp_path)), exit="completed")
    (path,) = tmp_path.rglob("*.start.json")
    path.write_text("{}")
    with pytest.raises(ProvenanceError, match=r"start\.json"):
        list_attempts(tmp_path)


SLEEPER = """
import sys, time, os
from pathlib import Path
from interlock.provenance.attempts import attempt, run_lock
home = Path(sys.argv[1])
with run_lock(home, "key"), attempt(home, lane="tower", stage="train", run_id=sys.argv[2], params_sha256="0" * 64):
    if sys.argv[3] == "fork" and os.fork() == 0:
        time.sleep(60)
        os._exit(0)
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def sleeper(tmp_path):
    """A process that holds the lock `key` and an attempt; it dies with the test."""
    started = []

    def start(mode="alone"):
        process = subprocess.Popen(
            [sys.executable, "-c", SLEEPER, str(tmp_path), RUN, mode],
            env={"PYTHONPATH": str(ROOT / "src")},
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("mode", ["alone", "fork"])
def test_a_killed_attempt_is_found_and_its_lock_is_free(tmp_path, sleeper, mode):
    process = sleeper(mode)
    with attempt(**begin(tmp_path)):
        pass
    assert exits(tmp_path) == [None, "completed"]
    with pytest.raises(BusyError) as caught, run_lock(tmp_path, "key"):
        pass
    assert f"process {process.pid} on" in str(caught.value)
    process.send_signal(signal.SIGKILL)
    process.wait()  # a forked worker of it may live on
    with run_lock(tmp_path, "key"), attempt(**begin(tmp_path)) as finder:
        pass
    first, *_ = list_attempts(tmp_path)
    assert first.end is not None
    assert (first.end.exit, first.end.found_by, first.end.duration_s) == ("killed", finder.id, None)


def rewrite_start(home, **values):
    (path,) = home.rglob("*.start.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    for alive in home.rglob("*.alive"):
        alive.unlink()


@pytest.mark.parametrize(
    ("values", "exit"),
    [
        ({"process_started_s": 1.0}, "killed"),  # the process id was given to somebody else
        ({"boot_id": "another"}, "killed"),  # the machine was started again
        ({"pid": 2**22 + 1}, "killed"),
        ({"host": "elsewhere", "boot_id": "another"}, None),  # another machine: not ours to say
        ({}, None),
    ],
)
def test_who_is_gone_is_told_by_process_start_and_boot(tmp_path, values, exit):
    opened = open_attempt(**begin(tmp_path))
    opened.alive.close()
    rewrite_start(tmp_path, **values)
    with attempt(**begin(tmp_path)):
        pass
    assert exits(tmp_path)[0] == exit


@pytest.mark.parametrize(("held", "exit"), [(True, None), (False, "killed")])
def test_another_container_of_this_machine_is_told_by_its_lock(tmp_path, held, exit):
    opened = open_attempt(**begin(tmp_path))
    (path,) = tmp_path.rglob("*.start.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "host": "container", "pid": 2**22 + 1}))
    if not held:
        opened.alive.close()
    with attempt(**begin(tmp_path)):
        pass
    assert exits(tmp_path)[0] == exit
    opened.alive.close()


def test_one_process_has_the_lock(tmp_path):
    with run_lock(tmp_path, RUN):
        with pytest.raises(BusyError, match=f"process {os.getpid()} on") as caught, run_lock(tmp_path, RUN):
            pass
        assert caught.value.key == RUN
        with run_lock(tmp_path, "other"):
            pass
    with run_lock(tmp_path, RUN):
        pass


def test_threads_of_one_process_exclude_each_other(tmp_path):
    inside, most = [0], [0]
    guard = threading.Lock()

    def work():
        for _ in range(20):
            with run_lock(tmp_path, "key", wait_s=30):
                with guard:
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                with guard:
                    inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 1


def _count_up(home, path, rounds):
    for _ in range(rounds):
        with run_lock(home, "key", wait_s=60):
            path.write_text(str(int(path.read_text()) + 1))


def test_processes_exclude_each_other(tmp_path):
    path, context = tmp_path / "number", multiprocessing.get_context("spawn")
    path.write_text("0")
    workers = [context.Process(target=_count_up, args=(tmp_path, path, 20)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert path.read_text() == "80"


@pytest.mark.parametrize("key", ["/abs/../path", "../up", "a b", "", "x" * 500, "key\0"])
def test_any_text_can_be_a_key(tmp_path, key):
    with run_lock(tmp_path, key):
        with pytest.raises(BusyError), run_lock(tmp_path, key):
            pass
        assert {path.parent for path in tmp_path.rglob("*.lock")} == {tmp_path / "state" / "locks"}


def test_a_holder_that_wrote_nothing_is_still_a_holder(tmp_path):
    with run_lock(tmp_path, "key"):
        (tmp_path / "state" / "locks" / "key.json").write_text("{")
        with pytest.raises(BusyError, match="another process"), run_lock(tmp_path, "key"):
            pass


def test_states_of_a_run_have_one_place(tmp_path):
    assert state_folder(tmp_path, RUN) == tmp_path / "state" / "runs" / RUN == state_folder(tmp_path, RUN)
    assert module.list_attempts(tmp_path) == ()
