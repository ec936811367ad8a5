"""The control API as a real server: killed in the middle of heartbeats, it loses nothing that it has acknowledged."""

import os
import re
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

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
        cwd=workspace.path, env=workspace.env,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # as in a terminal, wherever tests run
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
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
    with serving(workspace) as (url, _), asking(workspace, url) as client:
        assert len(client.get("/api/pas/status").json()) == AGENTS


CARD = """\
id: jc-toy-1
role: director
lane: Models
model_type: toy
task: estimate a mean
hyperparameters: {learning_rate: 5e-1, steps: 20}
acceptance:
  - check: "accuracy>=0.8"
"""


def test_a_card_becomes_a_job_that_outlives_the_server(workspace) -> None:
    yaml = {"Content-Type": "application/yaml"}
    with serving(workspace) as (url, _), asking(workspace, url) as client:
        first = client.post("/api/managers/Mgr-Models-02/submit", content=CARD, headers=yaml)
        assert first.status_code == 202, first.text
        again = client.post("/api/managers/dir_models/submit", content=CARD, headers=yaml)
        assert (again.status_code, again.json()["id"]) == (200, "jc-toy-1")
        other = client.post("/api/managers/dir_models/submit", content=CARD.replace("0.8", "0.85"), headers=yaml)
        assert other.status_code == 422
        assert "another card" in other.text
    with serving(workspace) as (url, _), asking(workspace, url) as client:
        end = time.monotonic() + 120
        while (job := client.get("/api/jobs/jc-toy-1").json())["state"] in ("submitted", "running"):
            assert time.monotonic() < end, job
            time.sleep(0.3)
        assert (job["state"], job["verdict"]) == ("completed", "pass"), job
        beats = client.get("/api/pas/status", params={"job": "jc-toy-1"}).json()
        assert {beat["agent"] for beat in beats} >= {f"Mgr-Models-0{number}" for number in (1, 2, 3, 4)}
        run = client.get(f"/api/runs/{job['run_id']}").json()
        assert run["run"]["verdict"] == "pass"


def test_work_reports_and_asks_over_http_where_control_url_says_so(make_workspace) -> None:
    """The server's home is another one, so that nothing could have gone past it."""
    server, worker = make_workspace("server"), make_workspace("worker")
    server.edit("params.yaml", "\noverrides: {}", "\noverrides: {control.quotas.cpu: 64}")
    with serving(server) as (url, _), asking(server, url) as client:
        environment = worker.env | {"INTERLOCK_CONTROL_TOKEN": agent_token(server.path / "artifacts")}
        command = ["interlock", "run", "lane=toy", f"control.url={url}"]
        done = subprocess.run(command, cwd=worker.path, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        beats = client.get("/api/pas/status").json()
        assert {(beat["agent"], beat["state"]) for beat in beats} >= {("Mgr-Models-02", "completed")}
        standing = client.get("/api/resource-manager").json()
        assert standing["left"] == {"cpu": 64.0}, "it gave back what it held"
    assert not heartbeats_of(worker.path / "artifacts")


def heartbeats_of(home) -> dict[int, tuple[str, int]]:
    """What a home keeps; nothing where it never opened its store."""
    return kept(home) if (home / "state" / "control.db").is_file() else {}


def test_without_a_token_or_an_answer_no_training_begins(workspace) -> None:
    """A quota that cannot be asked for is not granted."""
    run = ("run", "lane=toy", "control.url=http://127.0.0.1:9")
    assert "INTERLOCK_CONTROL_TOKEN" in workspace.interlock(*run, code=2)
    workspace.env["INTERLOCK_CONTROL_TOKEN"] = "t" * 32
    output = workspace.interlock(*run, code=1)
    assert "does not answer" in output
    assert "interlock serve" in output
    assert "Traceback" not in output


def asking(workspace, url: str) -> httpx.Client:
    """A client with the agents' token."""
    token = agent_token(workspace.path / "artifacts")
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=30)


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
