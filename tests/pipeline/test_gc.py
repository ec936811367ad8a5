"""After `interlock gc` everything that counts is as before: verdicts, archive, DVC's stages, interrupted runs."""

import json
import signal
import subprocess
import time


def interrupted(workspace, *overrides):
    """Start a run that takes long, and stop it while it trains; returns its resume state."""
    command = ["interlock", "run", "lane=toy", "lane.trainer.sleep_s=0.1", *overrides]
    process = subprocess.Popen(command, cwd=workspace.path, env=workspace.env, start_new_session=True)
    states = workspace.path / "artifacts" / "state" / "runs"
    deadline = time.monotonic() + 60
    while not list(states.glob("*/toy.json")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    process.wait(60)
    (state,) = states.glob("*/toy.json")
    return state


def test_gc_removes_what_it_listed_and_nothing_that_counts(ran_workspace):
    workspace = ran_workspace
    workspace.interlock("sync")
    workspace.interlock("run", "lane=toy", "seed=2")
    state = interrupted(workspace, "seed=3")
    steps = len(json.loads(state.read_text()))
    before = {command: workspace.interlock(*command.split()) for command in ("status", "registry list --json")}

    dry = json.loads(workspace.interlock("gc", "--dry-run", "--json"))["items"]
    (work,) = [item for item in dry if item["kind"] == "work"]
    assert (workspace.path / "artifacts" / work["path"]).is_dir()
    assert json.loads(workspace.interlock("gc", "--json"))["items"] == dry
    assert not (workspace.path / "artifacts" / work["path"]).exists()
    assert "nothing to remove" in workspace.interlock("gc")

    assert {command: workspace.interlock(*command.split()) for command in before} == before
    workspace.interlock("verify", "--all")
    assert workspace.repro() == []
    assert len(json.loads(state.read_text())) == steps
    workspace.interlock("run", "lane=toy", "lane.trainer.sleep_s=0.1", "seed=3")
    assert not state.exists()
    assert len(json.loads(workspace.interlock("registry", "list", "--json"))) == 3
    workspace.interlock("verify", "--all")
