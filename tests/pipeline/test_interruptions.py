"""Kills, Ctrl-C, two at once, full disks: one clear message or a resume, and nothing half-written is believed."""

import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

PLUGINS = Path(__file__).resolve().parents[1] / "plugins"


def start(workspace, *command):
    return subprocess.Popen(
        command,
        cwd=workspace.path,
        env=workspace.env,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        # A background job of a shell ignores Ctrl-C, and so would everything that it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def weights(workspace):
    return (workspace.path / "artifacts/lanes/toy/train/model.safetensors").read_bytes()


@pytest.fixture
def slow(make_workspace):
    """A workspace whose training takes about two seconds."""
    workspace = make_workspace()
    workspace.edit("params.yaml", "overrides: {}\nlane", "overrides: {lane: {trainer: {sleep_s: 0.1}}}\nlane")
    return workspace


def test_killed_at_random_moments_it_ends_with_the_same_bits(slow, make_workspace):
    plain = make_workspace("plain")
    plain.edit("params.yaml", "overrides: {}\nlane", "overrides: {lane: {trainer: {sleep_s: 0.1}}}\nlane")
    plain.repro()
    moments = random.Random(3)
    for _ in range(3):
        process = start(slow, "dvc", "repro")
        time.sleep(moments.uniform(0.5, 5.0))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        drop_torn_lock(slow)
    slow.repro()
    assert weights(slow) == weights(plain)
    slow.interlock("status")


def drop_torn_lock(workspace):
    """DVC writes its list of locks in place, so that a kill can tear it; what DVC then asks for is to delete it."""
    path = workspace.path / ".dvc/tmp/rwlock"
    try:
        json.loads(path.read_text())
    except FileNotFoundError:
        pass
    except ValueError:
        path.unlink()


def test_ctrl_c_says_so_and_the_next_run_resumes(slow):
    slow.run("python", "pipelines/compose.py")
    slow.run("python", "pipelines/prepare.py", "toy")
    process = start(slow, "python", "pipelines/train.py", "toy")
    states = slow.path / "artifacts/state"
    while not list(states.rglob("toy.json")):
        time.sleep(0.02)
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "the next run resumes" in output
    assert not (slow.path / "artifacts/lanes/toy/train/record.json").exists()
    slow.run("python", "pipelines/train.py", "toy")


def test_two_trainings_of_one_run_do_not_mix(slow):
    slow.run("python", "pipelines/compose.py")
    slow.run("python", "pipelines/prepare.py", "toy")
    first = start(slow, "python", "pipelines/train.py", "toy")
    while not list((slow.path / "artifacts/state").rglob("toy.json")):
        time.sleep(0.02)
        assert first.poll() is None
    output = slow.run("python", "pipelines/train.py", "toy", code=1)
    assert "ERROR" in output
    assert "process" in output
    first.communicate(timeout=30)
    assert first.returncode == 0


def test_two_repros_at_once(slow):
    first, second = start(slow, "dvc", "repro"), start(slow, "dvc", "repro")
    outputs = [process.communicate(timeout=120)[0] for process in (first, second)]
    codes = sorted(process.returncode for process in (first, second))
    assert codes in ([0, 0], [0, 255]), outputs
    slow.repro()
    slow.interlock("status")


def test_an_output_that_cannot_be_written_is_named(workspace):
    workspace.run("python", "pipelines/compose.py")
    lane = workspace.path / "artifacts/lanes/toy"
    lane.parent.mkdir(parents=True)
    lane.write_text("a file where a folder should be")
    output = workspace.run("python", "pipelines/prepare.py", "toy", code=1)
    assert "artifacts/lanes/toy" in output
    assert "way out" in output
    assert "Traceback" not in output


def test_status_of_nothing_is_blocked(workspace):
    assert "run dvc repro" in workspace.interlock("status", code=5)


def test_status_believes_nothing_that_changed_since(workspace):
    workspace.repro()
    workspace.interlock("status")
    model = workspace.path / "artifacts/lanes/toy/train/model.safetensors"
    kept = model.read_bytes()
    model.write_bytes(kept[:-1] + b"x")
    assert "train is not up to date: model.safetensors: file differs" in workspace.interlock("status", code=5)
    model.write_bytes(kept)
    workspace.interlock("status")

    code = workspace.path / "src/interlock/lanes/spec.py"
    code.write_text(code.read_text() + "# a remark\n")
    assert "the code changed since it ran" in workspace.interlock("status", code=5)
    workspace.run("dvc", "repro", "toy-train")
    assert "is not up to date" in workspace.interlock("status", code=5)
    workspace.repro()
    workspace.interlock("status")

    workspace.edit("params.yaml", "overrides: {}\nlane", "overrides: {lane: {gates: {accuracy: {target: 0.99}}}}\nlane")
    assert "params.yaml changed since they were composed" in workspace.interlock("status", code=5)
    workspace.interlock("compose")
    assert "export is not up to date: the configuration changed" in workspace.interlock("status", code=5)
    workspace.repro()
    workspace.interlock("status", code=3)


def test_the_code_of_a_plug_in_is_watched(make_workspace, tmp_path):
    workspace = make_workspace()
    plugins = tmp_path / "plugins"
    shutil.copytree(PLUGINS, plugins, ignore=shutil.ignore_patterns("__pycache__"))
    workspace.env["PYTHONPATH"] = workspace.env["PYTHONPATH"].replace(str(PLUGINS), str(plugins))
    workspace.interlock("pipeline", "render")
    workspace.repro()
    train = plugins / "toy_lane" / "train.py"
    train.write_text(train.read_text() + "# a remark\n")
    assert workspace.repro()[:2] == ["compose", "toy-train"]
    options = plugins / "toy_lane" / "conf" / "optimizer" / "plain.yaml"
    options.write_text(options.read_text() + "# a remark\n")
    assert workspace.repro() == ["compose"]


def test_jobs_that_need_the_same_data_wait_for_each_other(workspace):
    jobs = [start(workspace, "interlock", "run", "lane=toy", f"seed={seed}") for seed in (1, 2, 2)]
    outputs = [process.communicate(timeout=120)[0] for process in jobs]
    assert [process.returncode for process in jobs] == [0, 0, 0], outputs


def test_a_disk_without_room_is_named_and_nothing_is_believed(workspace):
    workspace.run("python", "pipelines/compose.py")
    # A limit on the size of files is what a full disk looks like to a process, without needing a disk to fill.
    output = workspace.run("bash", "-c", "ulimit -f 4; exec python pipelines/prepare.py toy", code=1)
    assert "numbers.json" in output
    assert "way out: free space" in output
    assert "Traceback" not in output
    folder = workspace.path / "artifacts/lanes/toy/prepare"
    assert not (folder / "record.json").exists()
    assert not (folder / "numbers.json").exists()
    workspace.run("python", "pipelines/prepare.py", "toy")
