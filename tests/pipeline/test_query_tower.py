"""The real lane on a little real text: through DVC, with two kills on the way, to a registered model that answers."""

import json
import os
import random
import signal
import subprocess
import time

import pytest

# Few texts prove nothing: what is left to block are the checks that must hold for any data.
PROVEN_BY_SIZE = ("training_loss_converged", "echo_loop", "echo_lift", "r_at_5", "r_at_5_over_bm25")
OVERRIDES = {
    "hardware": {"threads": 1},
    "lane": {
        "data": {"packages": ["rich", "typer", "pydantic"], "max_pairs": 400},
        "trainer": {"epochs": 3, "resume_every_s": 0.0},
        "gates": {name: {"severity": "advise"} for name in PROVEN_BY_SIZE},
    },
}


@pytest.fixture
def tower(make_workspace):
    def make(name):
        workspace = make_workspace(name, lanes=("query_tower",))
        text = json.dumps(OVERRIDES)
        workspace.edit("params.yaml", "overrides: {}\nlane", f"overrides: {text}\nlane")
        return workspace

    return make


def reproducible(workspace):
    """Every reproducible byte of the run: the outputs of all stages hold the digests of their files."""
    lane = workspace.path / "artifacts/lanes/query_tower"
    return {stage: (lane / stage / "outputs.json").read_text() for stage in ("prepare", "train", "evaluate")}


@pytest.mark.slow  # test_exact_resume.py kills this lane, test_bring_your_own.py registers it, in the fast set
def test_kills_change_nothing_and_the_model_is_registered(tower):
    plain = tower("plain")
    plain.repro()

    killed, moments = tower("killed"), random.Random(7)
    for _ in range(2):
        process = subprocess.Popen(
            ("dvc", "repro"), cwd=killed.path, env=killed.env, stdin=subprocess.DEVNULL, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(moments.uniform(4.0, 12.0))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    killed.repro()
    assert reproducible(killed) == reproducible(plain)

    plain.interlock("sync")
    plain.interlock("status")
    (model,) = json.loads(plain.interlock("registry", "list", "--json"))
    assert model["verdict"] == "pass"
    folder = plain.path / "artifacts/runs" / model["run_id"] / "models"
    kept = ("run_card.json", "model.safetensors", "model.onnx", "metrics.json", "eval_report.md", "train_log.jsonl")
    assert [name for name in kept if not (folder / name).is_file()] == []
    report = (folder / "eval_report.md").read_text()
    assert "| metric | this run | bm25 | bm25_stems | chance |" in report
    assert "r_at_5" in plain.run("dvc", "metrics", "show")
    plain.run("dvc", "plots", "show", "--out", "plots")


@pytest.mark.slow
def test_a_thread_more_is_another_run(tower):
    workspace = tower("threads")
    workspace.interlock("run", "lane=query_tower", *_flat(OVERRIDES), "hardware.threads=1,2", "-m")
    runs = json.loads(workspace.interlock("runs", "list", "--json"))
    assert len({run["run_id"] for run in runs}) == 2


def _flat(tree, prefix=""):
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        elif (prefix + name) != "hardware.threads":
            yield f"{prefix}{name}={json.dumps(value)}"
