"""A chain shows the first line that was touched, survives a kill while writing, and loses nothing to concurrency."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.errors import ProvenanceError
from interlock.provenance.chain import GENESIS, ChainWriter, append, head, read_chain, verify

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log.jsonl"
    for number in range(5):
        append(path, {"n": number})
    return path


def payloads(path):
    return [line.payload["n"] for line in read_chain(path)]


def edit(path, change):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(change(lines)))


def test_lines_follow_each_other(log):
    lines = read_chain(log)
    assert [line.seq for line in lines] == [1, 2, 3, 4, 5]
    assert [line.prev for line in lines] == [GENESIS, *(line.sha256 for line in lines[:-1])]
    assert head(log) == (5, lines[-1].sha256)
    assert verify(log) is None


def test_no_file_is_an_empty_log(tmp_path):
    path = tmp_path / "none.jsonl"
    assert (read_chain(path), verify(path), head(path)) == ((), None, (0, GENESIS))
    assert not path.exists()


@pytest.mark.parametrize(
    ("number", "change"),
    [
        (3, lambda lines: [*lines[:2], lines[2].replace(b'"n":2', b'"n":9'), *lines[3:]]),
        (3, lambda lines: [*lines[:2], *lines[3:]]),
        (3, lambda lines: [*lines[:2], lines[3], lines[2], lines[4]]),
        (4, lambda lines: [*lines[:3], lines[0], *lines[3:]]),
        (4, lambda lines: [*lines[:3], lines[2], *lines[3:]]),
        (1, lambda lines: lines[1:]),
        (2, lambda lines: [lines[0], b"\n", *lines[1:]]),
        (2, lambda lines: [lines[0], b"not json\n", *lines[1:]]),
        (2, lambda lines: [lines[0], b"[]\n", *lines[1:]]),
        (1, lambda lines: [lines[0].replace(b'{"payload"', b'{ "payload"'), *lines[1:]]),
        (5, lambda lines: [*lines[:4], lines[4].replace(b'"seq":5', b'"seq":5,"seq":5')]),
        (2, lambda lines: [lines[0], b"\x00\xff\n", *lines[1:]]),
    ],
    ids=["edited", "removed", "swapped", "inserted", "doubled", "head cut", "blank", "noise", "other json", "spaces",
         "doubled key", "bytes"],
)  # fmt: skip
def test_the_first_broken_line_is_named(log, number, change):
    edit(log, change)
    broken = verify(log)
    assert broken is not None
    assert broken.number == number
    with pytest.raises(ProvenanceError, match=f"line {number}"):
        read_chain(log)


def test_whole_lines_cut_off_the_end_need_the_head(log):
    before = head(log)
    edit(log, lambda lines: lines[:-1])
    assert verify(log) is None
    assert head(log) != before


@given(cut=st.integers(min_value=1, max_value=100))
def test_a_torn_last_line_is_never_believed(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("torn") / "log.jsonl"
    for number in range(3):
        append(path, {"n": number})
    path.write_bytes(path.read_bytes()[:-cut])
    assert payloads(path) == [0, 1]
    assert verify(path) is None
    append(path, {"n": 7})
    assert payloads(path) == [0, 1, 7]
    assert verify(path) is None


def test_nothing_of_a_long_torn_line_is_left_behind_a_short_one(log):
    before = log.read_bytes()
    append(log, {"n": "x" * 1000})
    log.write_bytes(log.read_bytes()[:-1])
    append(log, {"n": 5})
    assert payloads(log) == [0, 1, 2, 3, 4, 5]
    assert log.read_bytes().startswith(before)
    assert log.read_bytes().endswith(b"\n")


def test_a_file_that_was_only_torn_begins_anew(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"payload":')
    append(path, {"n": 1})
    assert payloads(path) == [1]


def test_nothing_is_appended_to_a_broken_end(log):
    edit(log, lambda lines: [*lines[:-1], b"broken\n"])
    before = log.read_bytes()
    with pytest.raises(ProvenanceError, match="last line"):
        append(log, {"n": 9})
    assert log.read_bytes() == before


@pytest.mark.parametrize("payload", [float("nan"), {"x": float("inf")}, {"x": object()}, {"x": b"bytes"}])
def test_what_json_lacks_is_refused_and_leaves_no_trace(log, payload):
    before = log.read_bytes()
    with pytest.raises((ValueError, TypeError)):
        append(log, payload)
    assert log.read_bytes() == before


def test_a_long_line_is_found_again(tmp_path):
    path = tmp_path / "log.jsonl"
    append(path, {"n": "x" * 200_000})
    append(path, {"n": "é\n\u2028" * 10})
    assert payloads(path) == ["x" * 200_000, "é\n\u2028" * 10]


def test_a_full_disk_leaves_the_log_whole(log, monkeypatch):
    real = os.pwrite
    with ChainWriter(log) as writer:
        monkeypatch.setattr(os, "pwrite", lambda descriptor, data, offset: real(descriptor, data[:10], offset))
        with pytest.raises(OSError, match="No space"):
            writer.append({"n": 5})
        monkeypatch.undo()
        writer.append({"n": 6})
    assert payloads(log) == [0, 1, 2, 3, 4, 6]


def test_going_back_keeps_what_came_before(log):
    with ChainWriter(log) as writer:
        assert writer.lines == 5
        writer.rewind(3)
        writer.append({"n": 9})
        with pytest.raises(ProvenanceError, match="shorter"):
            writer.rewind(7)
        writer.rewind(0)
        writer.append({"n": 1})
    assert payloads(log) == [1]


def _append_many(path, worker, count):
    for number in range(count):
        append(path, {"n": [worker, number]})


def test_processes_lose_nothing(tmp_path):
    path, context = tmp_path / "log.jsonl", multiprocessing.get_context("spawn")
    workers = [context.Process(target=_append_many, args=(path, worker, 25)) for worker in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    found = payloads(path)
    assert sorted(map(tuple, found)) == [(worker, number) for worker in range(4) for number in range(25)]
    for worker in range(4):
        assert [number for who, number in found if who == worker] == list(range(25))


def test_a_writer_killed_at_any_moment_leaves_a_whole_log(tmp_path):
    path = tmp_path / "log.jsonl"
    code = (
        "import sys; from pathlib import Path; from interlock.provenance.chain import ChainWriter\n"
        "writer = ChainWriter(Path(sys.argv[1]))\n"
        "while True: writer.append({'n': writer.lines, 'long': 'x' * 5000})\n"
    )
    for _ in range(3):
        before = len(read_chain(path))
        process = subprocess.Popen([sys.executable, "-c", code, str(path)], env={"PYTHONPATH": str(ROOT / "src")})
        while not path.exists() or len(path.read_bytes()) < 6000 * (before + 3):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert verify(path) is None
        assert payloads(path) == list(range(len(read_chain(path))))
        assert len(read_chain(path)) > before
