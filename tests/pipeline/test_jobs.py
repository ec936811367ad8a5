"""Job cards from the shell: real workers that are stopped, killed and replaced; the same bits in the end."""

import json
import os
import signal
import subprocess
import time

import psutil
import pytest
import yaml

from interlock.contracts.answer import Answer, Call, Outcome, Usage
from interlock.provenance.files import write_json
from interlock.runs.jobs.answer import lane_report
from interlock.runs.jobs.folder import JobFolder

CARD = """\
id: jc-toy-1
parent_id: request-1
role: director
lane: Models
model_type: toy
task: estimate a mean
hyperparameters:
  learning_rate: 5e-1
  steps: 20
  sleep_s: {sleep_s}
expected_artifacts:
  - path: "artifacts/runs/{{RUN_ID}}/models/run_card.json"
acceptance:
  - check: "accuracy>={accuracy}"
  - check: "converged"
budget:
  compute_hours_max: {hours}
"""


@pytest.fixture
def toy(make_workspace):
    """A workspace of the toy lane without git."""
    return make_workspace(git=False)


def card(workspace, name="card.yaml", *, sleep_s=0.0, accuracy=0.8, hours=1, more=""):
    (workspace.path / name).write_text(CARD.format(sleep_s=sleep_s, accuracy=accuracy, hours=hours) + more)
    return name


def submitting(workspace, name):
    return subprocess.Popen(
        ["interlock", "job", "submit", name],
        cwd=workspace.path,
        env=workspace.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        text=True,
    )


def folder(workspace):
    return workspace.path / "artifacts/jobs/jc-toy-1"


def journal(workspace, event=None):
    path = folder(workspace) / "journal.jsonl"
    lines = [json.loads(line)["payload"] for line in path.read_text().splitlines()] if path.is_file() else []
    return [line for line in lines if event in (None, line["event"])]


def training_worker(workspace, process):
    """Process id of the worker that trains, once it has taken a few steps."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        assert process.poll() is None, process.communicate()
        started = [line for line in journal(workspace, "worker_started") if line["stages"] == ["train"]]
        states = list((workspace.path / "artifacts/state/runs").glob("*/toy.json"))
        if started and states and len(json.loads(states[0].read_text())) >= 3:
            return started[-1]["pid"]
        time.sleep(0.05)
    raise AssertionError("it never began to train")


def weights(workspace):
    (found,) = (workspace.path / "artifacts/work").glob("toy-*/train/model.safetensors")
    return found.read_bytes()


def report(workspace):
    return yaml.safe_load((folder(workspace) / "lane_report.yaml").read_text())


def attempts(workspace):
    ends = sorted((workspace.path / "artifacts/state/attempts/toy/train").glob("*.end.json"))
    return [json.loads(path.read_text()) for path in ends]


def test_a_card_is_answered_and_the_same_card_is_the_same_job(toy):
    name = card(toy)
    assert "jc-toy-1-mgr03" in toy.interlock("job", "submit", name, "--dry-run")
    assert not folder(toy).exists()
    output = toy.interlock("job", "submit", name)
    found = report(toy)
    assert list(found)[:6] == ["lane", "state", "artifacts", "acceptance_results", "actuals", "managers_used"]
    assert (found["lane"], found["state"], found["verdict"]) == ("Models", "completed", "pass")
    assert found["acceptance_results"]["accuracy"] == pytest.approx(0.9)
    assert found["acceptance_results"]["converged"] is True
    assert {"Mgr-Models-02": "Training"} in found["managers_used"]
    assert (toy.path / found["artifacts"][0]["run_card"]).is_file()
    assert "state: completed" in output

    before = len(journal(toy))
    assert "was submitted before and is completed" in toy.interlock("job", "submit", name)
    assert len(journal(toy)) == before
    view = json.loads(toy.interlock("job", "status", "jc-toy-1", "--json"))
    assert [manager["state"] for manager in view["managers"]] == ["done"] * 5
    beat = view["managers"][1]["heartbeat"]
    assert (beat["agent"], beat["state"], beat["step"], beat["parent_agent"]) == (
        "Mgr-Models-02", "completed", 20, "Dir-Models",
    )  # fmt: skip
    assert beat["memory_bytes"] > 1e6
    assert json.loads(toy.interlock("job", "report", "jc-toy-1", "--json"))["state"] == "completed"
    assert "jc-toy-1" in toy.interlock("job", "status")

    home, usage = toy.path / "artifacts", Usage(calls=1, tokens_in=900, tokens_out=100, usd=0.25)
    answer = Answer(
        key="c" * 64, agent="dir_models", model="p/m", outcome=Outcome.TIMEOUT,
        calls=(Call(outcome=Outcome.TIMEOUT, usage=usage),), asked_at="2026-03-01T10:00:00+00:00",
    )  # fmt: skip
    write_json(home / "runs" / found["run_id"] / "answers" / answer.key / "001.json", answer)
    spent = lane_report(JobFolder(home, "jc-toy-1"), toy.path).actuals
    assert (spent.tokens, spent.cost_usd) == (1000, 0.25)

    refused = toy.interlock("job", "submit", card(toy, "other.yaml", accuracy=0.85), code=2)
    assert "this id belongs to another card" in refused
    assert "has ended" in (said := toy.interlock("job", "cancel", "jc-toy-1", code=2)) or "completed already" in said
    assert "there is no such job" in toy.interlock("job", "status", "jc-toy-2", code=2)


def test_a_card_with_faults_keeps_nothing(toy):
    (toy.path / "card.yaml").write_text("id: jc-toy-1\nrole: director\nlane: Models\nmodel_type: toi\ntask: ''\n")
    said = toy.interlock("job", "submit", "card.yaml", code=2)
    assert "2 faults" in said
    assert "card.yaml, line 4" in said
    assert "did you mean: toy" in said
    assert not folder(toy).exists()


@pytest.mark.slow
def test_a_gate_that_fails_is_told_in_the_report(toy):
    toy.interlock("job", "submit", card(toy, accuracy=0.99), code=3)
    found = report(toy)
    assert found["state"] != "completed"
    assert found["verdict"] == "fail"
    assert any(remark.startswith("accuracy (block): fail") for remark in found["remarks"])
    assert {"Mgr-Models-04": "Model export (safetensors, ONNX) - skipped"} in found["managers_used"]
    assert "skipped" in toy.interlock("job", "status", "jc-toy-1", code=3)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_a_worker_that_is_gone_is_replaced_and_the_bits_are_the_same(toy, make_workspace, number):
    plain = make_workspace("plain", git=False)
    plain.interlock("job", "submit", card(plain, sleep_s=0.15))
    toy.edit("conf/config.yaml", "heartbeat_s: 60.0", "heartbeat_s: 1.0")
    name = card(toy, sleep_s=0.15)
    process = submitting(toy, name)
    gone = training_worker(toy, process)
    os.kill(gone, number)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert not psutil.pid_exists(gone)
    assert "escalated: the worker of jc-toy-1-mgr02 is gone" in output
    assert "substituting the worker of jc-toy-1-mgr02 (1 of 3)" in output
    assert weights(toy) == weights(plain)
    first, *_, last = attempts(toy)
    assert (first["exit"], first["found_by"], last["exit"]) == ("killed", "job jc-toy-1", "completed")
    if number is signal.SIGSTOP:
        assert "no heartbeat" in first["error"]
    assert any("was replaced" in remark for remark in report(toy)["remarks"])


@pytest.mark.slow
def test_substitution_is_bounded(toy):
    process = submitting(toy, card(toy, sleep_s=0.5))
    killed = []
    end = time.monotonic() + 200
    while process.poll() is None and time.monotonic() < end:
        started = [line["pid"] for line in journal(toy, "worker_started") if line["stages"] == ["train"]]
        begun = list((toy.path / "artifacts/state/attempts/toy/train").glob("*.start.json"))
        if len(begun) > len(killed) and started[-1] not in killed:
            os.kill(started[-1], signal.SIGKILL)
            killed.append(started[-1])
        time.sleep(0.05)
    output, _ = process.communicate(timeout=60)
    assert len(killed) == 4
    assert process.returncode == 1, output
    assert "was replaced 3 times and is gone again" in output
    assert journal(toy)[-1]["event"] == "failed"


@pytest.mark.slow
def test_a_killed_director_is_followed_by_one_that_takes_the_worker_over(toy):
    name = card(toy, sleep_s=1.0)
    process = submitting(toy, name)
    worker = training_worker(toy, process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert psutil.pid_exists(worker)
    assert "interrupted" in toy.interlock("job", "status", "jc-toy-1")
    output = toy.interlock("job", "submit", name)
    assert f"worker {worker} is still at work; taking it over" in output
    assert report(toy)["state"] == "completed"
    assert [end["exit"] for end in attempts(toy)] == ["completed"]


@pytest.mark.slow
def test_cancelled_it_ends_with_a_state_and_the_same_card_goes_on(toy):
    name = card(toy, sleep_s=0.3)
    process = submitting(toy, name)
    worker = training_worker(toy, process)
    toy.interlock("job", "cancel", "jc-toy-1")
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert not psutil.pid_exists(worker)
    assert attempts(toy)[-1]["exit"] == "interrupted"
    assert "cancelled" in toy.interlock("job", "status", "jc-toy-1", code=130)
    toy.interlock("job", "submit", name)
    (log,) = (toy.path / "artifacts/work").glob("toy-*/train/loss.csv")
    assert len(log.read_text().splitlines()) == 21
    assert report(toy)["state"] == "completed"


@pytest.mark.slow
def test_ctrl_c_ends_the_worker_with_a_state(toy):
    process = submitting(toy, card(toy, sleep_s=0.3))
    worker = training_worker(toy, process)
    os.kill(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert "stopping its worker at the next step" in output
    assert not psutil.pid_exists(worker)
    assert attempts(toy)[-1]["exit"] == "interrupted"
    assert "interrupted" in toy.interlock("job", "status", "jc-toy-1")


@pytest.mark.slow
def test_work_that_fails_by_itself_is_not_tried_again_until_somebody_submits(toy):
    call = "    return frame.spec.stage_function"
    broken = f"    if frame.stage == 'evaluate':\n        raise ValueError('broken on purpose')\n{call}"
    toy.edit("src/interlock/stages/lane_work.py", call, broken)
    name = card(toy)
    said = toy.interlock("job", "submit", name, code=1)
    assert "jc-toy-1-mgr03: evaluate failed: ValueError: broken on purpose" in said
    assert not journal(toy, "worker_lost")
    assert "broken on purpose" in toy.interlock("job", "status", "jc-toy-1", code=1)
    assert "has no report yet" in toy.interlock("job", "report", "jc-toy-1", code=2)
    toy.edit("src/interlock/stages/lane_work.py", broken, call)
    toy.interlock("job", "submit", name)
    assert report(toy)["state"] == "completed"


@pytest.mark.slow
def test_two_submits_at_once_are_one_job(toy):
    name = card(toy, sleep_s=0.2)
    first = submitting(toy, name)
    training_worker(toy, first)
    second = toy.interlock("job", "submit", name)
    output, _ = first.communicate(timeout=120)
    assert first.returncode == 0, output
    assert "is at work in another process" in second
    assert "state: completed" in second
    assert len(journal(toy, "worker_started")) == 5


@pytest.mark.slow
def test_work_over_its_hours_is_stopped(toy):
    """Data preparation has a tenth of the job's hours; a process does not even start in a thousandth of a second."""
    said = toy.interlock("job", "submit", card(toy, hours=2e-6), code=1)
    assert "jc-toy-1-mgr01: over its 2e-07 hours" in said


@pytest.mark.slow
def test_it_waits_for_another_director_and_runs_by_itself(toy):
    name = card(toy, more="prerequisites:\n  - Dir-Data: handed/over.npz\n")
    said = toy.interlock("job", "submit", name, code=5)
    assert "Dir-Data has not made handed/over.npz yet" in said
    assert "waiting" in toy.interlock("job", "status", "jc-toy-1", code=5)
    assert "running as process" in toy.interlock("job", "submit", name, "--detach")
    (toy.path / "handed").mkdir()
    (toy.path / "handed/over.npz").write_bytes(b"x")
    end = time.monotonic() + 90
    while not (folder(toy) / "lane_report.yaml").is_file() and time.monotonic() < end:
        time.sleep(0.2)
    assert report(toy)["state"] == "completed"


@pytest.mark.slow
def test_long_work_on_a_gpu_waits_for_a_person(toy):
    toy.edit("conf/config.yaml", "compute_hours_max: 4.0", "compute_hours_max: 8.0")
    name = card(toy, hours=8)
    path = toy.path / name
    path.write_text(path.read_text().replace("hyperparameters:\n", "hyperparameters:\n  device: cuda\n"))
    said = toy.interlock("job", "submit", name, code=5)
    line = next(line for line in said.splitlines() if "interlock approve" in line)
    assert "--for cluster_time" in line
    run_id = line.split("interlock approve ")[1].split()[0]
    toy.interlock("approve", run_id, "--for", "cluster_time", "--by", "Ada", "--reason", "agreed")
    toy.interlock("job", "submit", name)
    assert report(toy)["run_id"] == run_id
