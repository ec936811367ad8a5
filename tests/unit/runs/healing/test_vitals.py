"""What a killed process leaves: read from real files of its own, and from both kinds of control groups."""

import json
import os
import time

import psutil
import pytest

from interlock.runs.healing import vitals as module
from interlock.runs.healing.vitals import counters, left_by, vitals


def tree(root, own, **files):
    (root / "own").write_text(own)
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return counters(root, root / "own")


def test_version_two(tmp_path):
    found = tree(
        tmp_path, "0::/a/b\n", a__b__memory_dot_max="max\n", a__memory_dot_max="1000000\n",
        a__b__memory_dot_events="low 0\noom 4\noom_kill 3\n",
    )  # fmt: skip
    assert (found["limit_bytes"], found["oom_kills"]) == (1_000_000, 3)
    assert found["group"].endswith("a/b")


def test_version_one(tmp_path):
    own = "9:name=systemd:/\n4:memory:/job\n1:cpu:/\n0::/\n"
    found = tree(
        tmp_path, own, memory__job__memory_dot_limit_in_bytes="2000000\n",
        memory__job__memory_dot_oom_control="oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
    )  # fmt: skip
    assert (found["limit_bytes"], found["oom_kills"]) == (2_000_000, 1)


def test_a_limit_that_is_none_leaves_the_machines_memory(tmp_path):
    found = tree(tmp_path, "4:memory:/\n", memory__memory_dot_limit_in_bytes="9223372036854771712\n")
    assert found["limit_bytes"] == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert found["oom_kills"] is None


def test_without_control_groups(tmp_path):
    assert counters(tmp_path, tmp_path / "own")["oom_kills"] is None


def left(tmp_path, change=None):
    """What is found while the process is still at work, as if it had vanished now."""
    with vitals(tmp_path, "r1"):
        held = bytearray(32 << 20)
        held[::4096] = b"x" * len(held[::4096])
        time.sleep(0.1)
        path = tmp_path / "state" / "recovery" / "vitals" / "r1.json"
        if change:
            path.write_text(json.dumps(json.loads(path.read_text()) | change))
        process = psutil.Process()
        found = left_by(tmp_path, "r1", pid=process.pid, started_s=process.create_time())
    assert not path.exists()
    return found


def test_what_this_process_leaves(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "EVERY_S", 0.01)
    memory, hours = left(tmp_path)
    assert memory is not None
    assert memory.peak_bytes is not None
    assert memory.peak_bytes >= 32 << 20
    assert memory.oom_kills_before == memory.oom_kills_after
    assert 0.0 < hours < 1.0


@pytest.mark.parametrize("change", [{"pid": 1}, {"process_started_s": 5.0}])
def test_another_processs_file_says_nothing(tmp_path, change, monkeypatch):
    monkeypatch.setattr(module, "EVERY_S", 60.0)
    assert left(tmp_path, change) == (None, 0.0)


@pytest.mark.parametrize("content", [None, "", "{", "[]"])
def test_a_file_that_cannot_be_read_says_nothing(tmp_path, content):
    path = tmp_path / "state" / "recovery" / "vitals" / "r1.json"
    if content is not None:
        path.parent.mkdir(parents=True)
        path.write_text(content)
    assert left_by(tmp_path, "r1", pid=1, started_s=0.0) == (None, 0.0)


def test_a_folder_that_cannot_be_written_costs_nothing(tmp_path):
    (tmp_path / "state").write_text("a file where a folder should be")
    with vitals(tmp_path, "r1"):
        time.sleep(0.02)
