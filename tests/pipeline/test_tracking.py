"""Runs shown in W&B: what stands there is what the archive says, and a broken W&B changes nothing but that."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from offline_wandb import points, read_run, read_table
from tracked_world import FAULTS, RECORDING, fake_wandb

OFFLINE = "artifacts/tracking/wandb/runs/wandb"


def offline_runs(workspace: Any) -> list[Path]:
    return sorted((workspace.path / OFFLINE).glob("offline-run-*"))


def archived(workspace: Any) -> tuple[str, Path]:
    (folder,) = (workspace.path / "artifacts/runs").iterdir()
    return folder.name, folder


def judgement_of(run: Path) -> dict[str, Any]:
    (file,) = run.glob("judgements/*/judgement.json")
    return dict(json.loads(file.read_text()))


def local_points(workspace: Any, run_id: str) -> list[tuple[int, dict[str, float]]]:
    text = (workspace.path / "artifacts/tracking" / run_id / "curves.jsonl").read_text()
    return [(line["step"], line) for line in map(json.loads, text.splitlines())]


def test_a_run_is_mirrored_whole_and_once(workspace: Any) -> None:
    workspace.interlock("run", "lane=toy", "tracking=wandb", "tracking.models=all")
    run_id, run = archived(workspace)
    (folder,) = offline_runs(workspace)
    told = read_run(folder)
    judgement = judgement_of(run)
    assert told["id"] == run_id
    assert (told["group"], told["job_type"]) == ("default", "train")
    assert {"lane:toy", f"verdict:{judgement['verdict']}", "dataset:numbers"} <= set(told["tags"])
    assert told["config"]["lane"]["optimizer"]["lr"] == 0.5
    assert told["config"]["lane"]["gates"].keys() == {row["gate"] for row in judgement["rows"]}
    assert points(told) == local_points(workspace, run_id)
    assert [step for step, _ in points(told)] == list(range(1, 21))
    (results,) = [row for row in told["history"] if "gates" in row]
    gates = read_table(folder, results["gates"])
    shown = {row[0]: dict(zip(gates["columns"], row, strict=True)) for row in gates["data"]}
    assert {name: row["reason"] for name, row in shown.items()} == {
        row["gate"]: row["reason"] for row in judgement["rows"]
    }
    items = read_table(folder, results["per_item"])
    assert {"item", "outcome", "gain", "accuracy", "base.accuracy"} == set(items["columns"])
    card = json.loads((run / "models/run_card.json").read_text())
    model, data = told["artifacts"]["toy-numbers"], told["artifacts"]["numbers"]
    assert {run_id, f"verdict-{judgement['verdict']}", "candidate"} <= set(model["aliases"])
    assert set(model["files"]) == set(card["model_files"])
    assert data["metadata"]["dataset_sha256"] == card["dataset_sha256"]
    assert model["metadata"]["inputs"] == [f"numbers:{data['digest']}"]
    assert told["summary"]["accuracy"] == card["results"]["accuracy"]
    assert told["alerts"] == []
    workspace.interlock("run", "lane=toy", "tracking=wandb", "tracking.models=all")
    workspace.interlock("track", "sync", "--set", "tracking=wandb", "--set", "tracking.models=all")
    assert offline_runs(workspace) == [folder]


def test_a_failed_gate_raises_an_alert_with_its_reason(workspace: Any) -> None:
    workspace.interlock("run", "lane=toy", "tracking=wandb", "lane.gates.accuracy.target=1.0", code=3)
    told = read_run(offline_runs(workspace)[0])
    (row,) = [row for row in judgement_of(archived(workspace)[1])["rows"] if row["verdict"] == "fail"]
    assert [row["reason"] in alert["text"] for alert in told["alerts"]] == [True]
    assert "verdict:fail" in told["tags"]


@pytest.mark.slow
def test_showing_a_run_elsewhere_runs_nothing_again(workspace: Any) -> None:
    assert "toy-train" in workspace.repro()
    workspace.interlock("sync")
    assert not offline_runs(workspace)
    workspace.edit("params.yaml", "overrides: {}\nlane", "overrides: {tracking: wandb}\nlane")
    assert set(workspace.repro()) <= {"compose"}
    assert "W&B: tracking/wandb" in workspace.interlock("sync")
    run_id, _ = archived(workspace)
    told = read_run(offline_runs(workspace)[0])
    assert (told["id"], points(told)) == (run_id, local_points(workspace, run_id))
    (model,) = json.loads(workspace.interlock("registry", "list", "--json"))
    said = ["--to", "staging", "--by", "Ada", "--reason", "best so far"]
    workspace.interlock("registry", "promote", model["id"], *said)
    news = read_run(offline_runs(workspace)[1])
    assert (news["id"], points(news), "stage:staging" in news["tags"]) == (run_id, [], True)
    assert "staging" in news["artifacts"]["toy-numbers"]["aliases"]
    workspace.interlock("run", "lane=toy")
    assert "train: unchanged" in workspace.interlock("run", "lane=toy", "tracking=wandb")


QUICK = ("missing", "crashes", "hangs")


@pytest.mark.parametrize(
    "faults", [QUICK, pytest.param([fault for fault in FAULTS if fault not in QUICK], marks=pytest.mark.slow)]
)
def test_a_failing_wandb_changes_no_verdict_no_file_and_no_exit_code(
    faults: list[str], workspace: Any, tmp_path: Path
) -> None:
    overrides, found_on = ["lane=toy", "lane.gates.accuracy.target=1.0"], workspace.env["PYTHONPATH"]
    workspace.interlock("run", *overrides, code=3)
    expected = settled(workspace.path / "artifacts")
    for fault in faults:
        home = tmp_path / f"home of {fault}"
        package = fake_wandb(tmp_path / fault, FAULTS[fault]).split(os.pathsep)[0]
        workspace.env.update({"INTERLOCK_HOME": str(home), "PYTHONPATH": os.pathsep.join((found_on, package))})
        wait_s = 1.0 if fault.startswith("hangs") else 60.0
        patience = ["tracking=wandb", f"tracking.wait_s={wait_s}", "tracking.timeout_s=2.0"]
        said = workspace.interlock("run", *overrides, *patience, code=3)
        assert "interlock track sync" in said, fault
        assert settled(home) == expected, fault
        workspace.interlock("track", "status")
    time.sleep(2.0 if "hangs" in faults else 0.0)  # the mirror ends itself


def settled(home: Path) -> dict[str, bytes]:
    """Bytes of everything reproducible: the archived files of the run, its judgement and its curves."""
    (run,) = (home / "runs").iterdir()
    card = json.loads((run / "models/run_card.json").read_text())
    kept = {name: (run / "models" / name).read_bytes() for name in card["artifacts"]}
    curves = (home / "tracking" / run.name / "curves.jsonl").read_bytes()
    return {**kept, run.name: json.dumps(judgement_of(run)).encode(), "curves": curves}


@pytest.mark.slow
def test_killed_and_resumed_the_steps_go_on(make_workspace: Any) -> None:
    workspace = make_workspace()
    command = ["interlock", "run", "lane=toy", "tracking=wandb", "lane.trainer.sleep_s=0.05"]
    process = subprocess.Popen(
        command, cwd=workspace.path, env=workspace.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    curves = workspace.path / "artifacts/tracking"
    while not any(len(path.read_text().splitlines()) > 4 for path in curves.glob("*/curves.jsonl")):
        time.sleep(0.01)
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not offline_runs(workspace)
    workspace.run(*command)
    run_id, _ = archived(workspace)
    told = read_run(offline_runs(workspace)[0])
    steps = [step for step, _ in points(told)]
    assert points(told) == local_points(workspace, run_id)
    assert steps == sorted(set(steps))
    assert set(range(1, 21)) - set(steps) <= {steps[4] + 1, 5, 6, 7}  # at most the point that the kill cut short


@pytest.mark.slow
def test_a_sweep_is_a_group_and_each_job_a_run(workspace: Any) -> None:
    workspace.interlock("run", "-m", "lane=toy", "tracking=wandb", "lane.optimizer.lr=0.5,0.6")
    (sweep,) = (workspace.path / "artifacts/sweeps").iterdir()
    told = [read_run(folder) for folder in offline_runs(workspace)]
    assert {(run["group"], run["job_type"]) for run in told} == {(sweep.name, "sweep")}
    assert {run["id"] for run in told} == {path.name for path in (workspace.path / "artifacts/runs").iterdir()}
    assert len(told) == 2


def test_under_dvc_training_is_live_and_sync_completes_the_same_run(workspace: Any, tmp_path: Path) -> None:
    package = fake_wandb(tmp_path, RECORDING).split(os.pathsep)[0]
    log = tmp_path / "told.jsonl"
    workspace.env["PYTHONPATH"] += os.pathsep + package
    workspace.env.update({"TOLD": str(log), "WANDB_MODE": "online", "DVC_EXP_NAME": "bony-hare"})
    workspace.edit("params.yaml", "overrides: {}\nlane", "overrides: {tracking: wandb}\nlane")
    workspace.repro()
    until = time.monotonic() + 20
    while not (heard := [json.loads(line) for line in log.read_text().splitlines()] if log.is_file() else []) or (
        heard[-1][0] != "finish"
    ):
        assert time.monotonic() < until
        time.sleep(0.05)
    workspace.interlock("sync")
    run_id, _ = archived(workspace)
    heard = [json.loads(line) for line in log.read_text().splitlines()]
    assert {line[-1]["id"] for line in heard if line[0] == "init"} == {run_id}
    assert [line[1] for line in heard if line[0] == "log" and "epoch" in line[2]] == list(range(1, 21))
    configs = [line[1] for line in heard if line[0] == "config" and "interlock" in line[1]]
    assert {config["interlock"]["dvc_experiment"] for config in configs} == {"bony-hare"}
    assert [line[1] for line in heard if line[0] == "use"] == ["numbers"]


def test_no_stage_depends_on_how_it_is_shown(workspace: Any) -> None:
    text = (workspace.path / "dvc.yaml").read_text()
    assert "tracking" not in text
    assert "tracked" not in text
