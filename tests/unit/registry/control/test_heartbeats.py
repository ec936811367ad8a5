"""Heartbeats in the control store: the newest of everybody, old ones gone, nothing acknowledged lost."""

import os
import signal
import subprocess
import sys

import pytest

from interlock.contracts.heartbeat import Heartbeat
from interlock.registry.control.heartbeats import KEPT_S, history, newest, record
from interlock.registry.control.store import ControlStore


def beat(at, **more):
    values = {"agent": "Mgr-Models-02", "run_id": "r", "timestamp": float(at), "state": "training", "lane": "toy"}
    return Heartbeat(**{**values, "stage": "train", "job": "j", **more})


@pytest.fixture
def store(tmp_path):
    with ControlStore(tmp_path) as opened:
        yield opened


def test_newest_is_the_last_word_of_every_agent_on_every_stage(store):
    for at, more in enumerate(
        [{"stage": "prepare", "agent": "A"}, {}, {"step": 7}, {"job": "other"}, {"run_id": "s", "lane": "two"}]
    ):
        record(store, beat(at, **more))
    assert [(item.agent, item.step, item.lane) for item in newest(store, job="j")] == [
        ("A", None, "toy"), ("Mgr-Models-02", 7, "toy"), ("Mgr-Models-02", None, "two"),
    ]  # fmt: skip
    assert [item.timestamp for item in newest(store, run_id="s")] == [4.0]
    assert [item.timestamp for item in newest(store, agent="A")] == [0.0]
    assert newest(store, job="nobody") == ()
    assert [item.timestamp for item in history(store, job="j", limit=2)] == [2.0, 4.0]


def test_the_last_word_is_the_last_written_whatever_a_clock_says(store):
    record(store, beat(100.0, step=1))
    record(store, beat(50.0, step=2))
    assert newest(store, job="j")[0].step == 2


def test_old_ones_are_removed_now_and_then(store):
    for _ in range(99):
        record(store, beat(0))
    record(store, beat(KEPT_S + 1))
    assert len(history(store, job="j", limit=1000)) == 1


def test_one_of_a_newer_version_is_left_out(store):
    record(store, beat(1))
    with store.transaction() as database:
        database.execute('UPDATE heartbeats SET body = \'{"from": "the future"}\'')
    assert newest(store, job="j") == ()


WRITER = """
import sys
from pathlib import Path
from interlock.contracts.heartbeat import Heartbeat
from interlock.registry.control.heartbeats import record
from interlock.registry.control.store import ControlStore
store = ControlStore(Path(sys.argv[1]))
for step in range(100000):
    record(store, Heartbeat(agent="A", run_id=None, timestamp=float(step), state="training", job="j", step=step))
    print(step, flush=True)
"""


def test_what_was_acknowledged_survives_a_kill(tmp_path):
    command, paths = [sys.executable, "-c", WRITER, str(tmp_path)], os.pathsep.join(sys.path)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": paths})
    assert process.stdout
    said = [int(process.stdout.readline()) for _ in range(20)]
    os.kill(process.pid, signal.SIGKILL)
    said += map(int, process.stdout.read().split())
    process.wait()
    process.stdout.close()
    with ControlStore(tmp_path) as store:
        assert (newest(store, job="j")[0].step or 0) >= said[-1]
