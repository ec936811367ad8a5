"""The control API as a real server: killed in the middle of heartbeats, it loses nothing that it has acknowledged."""

import os
import re
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest

from interlock.contracts.heartbeat import Heartbeat
from interlock.registry.control.tokens import agent_token

BEATS_PER_S = 50
AGENTS = 10


@contextmanager
def serving(workspace):
    """`interlock serve` in a process of its own; gives its address and the process."""
    process = subprocess.Popen(
        ["interlock", "serve", "--port", "0"],
        cwd=workspace.path, env=workspace.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        line = process.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, line + process.stderr.read()
        wait_until_it_answers(found[0])
        yield found[0], process
    finally:
        process.kill()
        process.communicate()


def wait_until_it_answers(url: str) -> None:
    end = time.monotonic() + 20
    while True:
        try:
            assert httpx.get(f"{url}/api/health").json() == {"status": "ok"}
            return
        except httpx.TransportError:
            assert time.monotonic() < end, "the server does not answer"
            time.sleep(0.05)


def beat(agent: int, step: int) -> dict:
    told = Heartbeat(
        agent=f"Mgr-Models-{agent:02}", run_id="r", timestamp=time.time(), state="training", step=step, stage="train"
    )
    return told.model_dump(mode="json")


class Sender:
    """Sends the heartbeats of one agent at its share of the rate, and notes those that were acknowledged."""

    def __init__(self, url: str, token: str, agent: int, stop: threading.Event) -> None:
        self._url, self._token, self._agent, self._stop = url, token, agent, stop
        self.acknowledged: list[tuple[int, int]] = []

    def run(self) -> None:
        begun = time.monotonic()
        with httpx.Client(base_url=self._url, headers={"Authorization": f"Bearer {self._token}"}) as client:
            for step in range(10_000):
                try:
                    answer = client.post("/api/pas/status", json=beat(self._agent, step))
                except httpx.TransportError:
                    return
                assert answer.status_code == 201, answer.text
                self.acknowledged.append((answer.json()["number"], step))
                rest = begun + (step + 1) * AGENTS / BEATS_PER_S - time.monotonic()
                if self._stop.wait(max(0.0, rest)):
                    return


def kept(home) -> dict[int, tuple[str, int]]:
    """Heartbeats on disk, by number."""
    import sqlite3

    with sqlite3.connect(home / "state" / "control.db") as database:
        rows = database.execute("SELECT number, body FROM heartbeats").fetchall()
    database.close()
    beats = {number: Heartbeat.model_validate_json(body) for number, body in rows}
    return {number: (told.agent, told.step) for number, told in beats.items()}


def test_a_killed_server_loses_nothing_acknowledged(workspace) -> None:
    home = workspace.path / "artifacts"
    for _ in range(2):
        with serving(workspace) as (url, server):
            stop = threading.Event()
            senders = [Sender(url, agent_token(home), agent, stop) for agent in range(AGENTS)]
            with ThreadPoolExecutor(AGENTS) as pool:
                running = [pool.submit(sender.run) for sender in senders]
                time.sleep(2.0)
                os.kill(server.pid, signal.SIGKILL)
                stop.set()
                for future in running:
                    future.result(timeout=30)
        found = kept(home)
        sent = sum(len(sender.acknowledged) for sender in senders)
        assert sent > 0.7 * 2.0 * BEATS_PER_S, "hardly anything was sent"
        for sender in senders:
            for number, step in sender.acknowledged:
                assert found[number] == (f"Mgr-Models-{sender._agent:02}", step)
    with serving(workspace) as (url, _):
        answer = httpx.get(f"{url}/api/pas/status", headers={"Authorization": f"Bearer {agent_token(home)}"})
        assert len(answer.json()) == AGENTS


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--host", "0.0.0.0"], "--allow-remote"), (["--host", "no.host.invalid", "--allow-remote"], "cannot listen")],
)
def test_an_open_door_or_a_wrong_address_is_refused(workspace, options: list[str], said: str) -> None:
    output = workspace.interlock("serve", *options, code=2)
    assert said in output
    assert "Traceback" not in output


def test_a_taken_port_is_told(workspace) -> None:
    with serving(workspace) as (url, _):
        assert "cannot listen there" in workspace.interlock("serve", "--port", url.rpartition(":")[2], code=2)


def test_ctrl_c_ends_it_well(workspace) -> None:
    with serving(workspace) as (_, server):
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=20) == 130
