"""`interlock reproduce`: equal bits, differences named where they begin, and refusals before anything runs.

Differences are planted from outside the code (a `sitecustomize` that changes one file while it is written), so that the
code's digest stays the run's.
"""

import hashlib
import json
import os
import shutil
import signal
import struct
import subprocess
import time
from pathlib import Path

import pytest

# The real lane, small: few texts prove nothing, so that only the checks that must hold for any data block.
TOWER = {
    "hardware": {"threads": 1},
    "lane": {
        "data": {"packages": ["rich", "typer", "pydantic"], "max_pairs": 400},
        "trainer": {"epochs": 3},
        "gates": {
            name: {"severity": "advise"}
            for name in ("training_loss_converged", "echo_loop", "echo_lift", "r_at_5", "r_at_5_over_bm25")
        },
    },
}
PLANT = """
import os, re
if os.environ.get("PLANT"):
    import interlock.provenance.files as files
    name, pattern, new = (part.encode("latin-1") for part in os.environ["PLANT"].split("|"))
    plain = files.write_atomic

    def write_atomic(path, data):
        data = data.encode() if isinstance(data, str) else data
        if path.as_posix().encode().endswith(name):
            put = bytes.fromhex(new[4:].decode()) if new.startswith(b"hex:") else None
            changed = re.sub(pattern, lambda found: put or found.expand(new), data, count=1, flags=re.S)
            assert changed != data
            data = changed
        plain(path, data)

    files.write_atomic = write_atomic
"""


def weight(value):
    """A pattern for the toy lane's only weight, and another value for it."""
    return f"....$|hex:{struct.pack('<f', value).hex()}"


PLANTS = {
    # planted change: (level, stage, file, words of where)
    r"prepare/numbers.json|0\.65|0.66": ("differs", "prepare", "numbers.json", "sha256"),
    r"train/loss.csv|\n3,[^\n]*|\n3,9.5": ("differs", "train", "loss.csv", "line 5 (step 3), loss: 0.04"),
    r"train/loss.csv|\n3,(0\.\d{6})|\n3,\g<1>9": ("within_tolerance", "train", "loss.csv", "line 5 (step 3)"),
    f"train/model.safetensors|{weight(0.9)}": ("differs", "train", "model.safetensors", "tensor mean[0]: 0.69"),
    f"train/model.safetensors|{weight(0.6999995)}": (
        "within_tolerance",
        "train",
        "model.safetensors",
        "tensor mean[0]",
    ),
    r"evaluate/metrics.json|(accuracy[^:]*: )0.9|\g<1>0.8": ("differs", "evaluate", "metrics.json", "accuracy: 0.9"),
    r"evaluate/metrics.json|\{|{not": ("differs", "evaluate", "metrics.json", "line 1"),
    r"export/model.json|(mean.: )0.6|\g<1>0.5": ("differs", "export", "metrics.json", "loads: 1.0 became 0.0"),
}


@pytest.fixture
def archived(workspace, tmp_path):
    """A workspace with one archived run, and how to reproduce it."""
    (tmp_path / "plant").mkdir()
    (tmp_path / "plant" / "sitecustomize.py").write_text(PLANT)
    (tmp_path / "tmp").mkdir()
    workspace.env["PYTHONPATH"] += f"{os.pathsep}{tmp_path / 'plant'}"
    workspace.env["TMPDIR"] = str(tmp_path / "tmp")
    workspace.interlock("run", "lane=toy")
    return workspace


def the_run(workspace):
    (run,) = json.loads(workspace.interlock("runs", "list", "--json"))
    return run["run_id"]


def reproduce(workspace, *arguments, code=0):
    text = workspace.interlock("reproduce", the_run(workspace), "--json", *arguments, code=code)
    return json.loads(text[text.index("\n{") if not text.startswith("{") else 0 :])


def everything(workspace):
    """Digest of every file but reproductions, locks and git's own."""
    digests = {}
    for path in sorted(workspace.path.rglob("*")):
        name = path.relative_to(workspace.path).as_posix()
        if path.is_file() and "/reproductions/" not in name and ".git/" not in name and "/locks/" not in name:
            digests[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return digests


def test_equal_bits_and_nothing_else_touched(archived):
    before = everything(archived)
    result = reproduce(archived)
    assert result["level"] == "bit_exact"
    assert result["is_promised"]
    assert result["reproduced_run_id"] == result["run_id"] == the_run(archived)
    assert [stage["stage"] for stage in result["stages"]] == ["prepare", "train", "evaluate", "export"]
    assert all(stage["files"] and not stage["differing"] for stage in result["stages"])
    assert everything(archived) == before
    assert list(Path(archived.env["TMPDIR"]).iterdir()) == []
    kept = json.loads(Path(result.pop("kept_as")).read_text())
    assert kept == result

    again = reproduce(archived, "--stage", "train")
    assert [stage["stage"] for stage in again["stages"]] == ["prepare", "train"]
    assert len(list((archived.path / "artifacts/runs" / result["run_id"] / "reproductions").iterdir())) == 2


@pytest.mark.slow
def test_every_planted_difference_is_named_where_it_begins(archived):
    for plant, (level, stage, file, words) in PLANTS.items():
        archived.env["PLANT"] = plant
        result = reproduce(archived, code=3 if level == "differs" else 0)
        first = result["first_difference"]
        assert (plant, result["level"], first["stage"], first["file"]) == (plant, level, stage, file)
        assert words in first["where"], plant
        ran = [item["stage"] for item in result["stages"]]
        assert ran == (["prepare"] if stage == "prepare" else ["prepare", "train", "evaluate", "export"])
    del archived.env["PLANT"]
    assert reproduce(archived)["level"] == "bit_exact"


@pytest.mark.slow
def test_weights_and_metrics_are_measured_against_each_other(archived):
    archived.env["PLANT"] = f"train/model.safetensors|{weight(0.72)}"
    result = reproduce(archived, code=3)
    (item,) = result["weights"]
    assert item["largest_absolute"] == pytest.approx(0.02, abs=1e-6)
    assert item["largest_relative"] == pytest.approx(0.02 / 0.7, abs=1e-4)
    metrics = {metric["name"]: metric for metric in result["metrics"]}
    assert sorted(metrics) == ["accuracy", "base.accuracy", "converged", "loads"]
    accuracy = metrics["accuracy"]
    assert accuracy["items"] == 400
    assert accuracy["items_changed"] > 0
    assert accuracy["largest_item"] == 1.0
    assert accuracy["absolute"] == pytest.approx(abs(accuracy["archived"] - accuracy["reproduced"]))

    # Not even generous tolerances make a model that was held back the same as one that was shipped.
    assert reproduce(archived, "--weights-tolerance", "1", "--metrics-tolerance", "1", code=3)["level"] == "differs"
    archived.env["PLANT"] = f"train/model.safetensors|{weight(0.702)}"
    assert reproduce(archived, code=3)["weights"][0]["largest_relative"] > 1e-3
    assert (
        reproduce(archived, "--weights-tolerance", "0.01", "--metrics-tolerance", "0.01")["level"] == "within_tolerance"
    )
    del archived.env["PLANT"]
    text = archived.interlock("reproduce", the_run(archived))
    assert "bit-exact: every reproducible file is equal" in text


def test_code_that_moved_on_is_fetched_from_the_commit(archived):
    commit = archived.run("git", "rev-parse", "HEAD").strip()
    archived.edit("src/interlock/stages/train.py", '"""Train the lane\'s model."""', '"""Train it."""')
    lock = archived.path / "requirements.lock"
    lock.write_text(f"{lock.read_text()}made-up-package==1.0\n")
    archived.run("git", "commit", "--quiet", "--all", "--message", "other code")
    hook = archived.path / ".git/hooks/post-checkout"
    hook.write_text("#!/bin/sh\ntouch hooked\n")
    hook.chmod(0o755)
    result = reproduce(archived)
    assert result["level"] == "bit_exact"
    assert {stage["code"] for stage in result["stages"]} == {commit}
    assert archived.run("git", "worktree", "list").count("\n") == 1
    assert list(Path(archived.env["TMPDIR"]).iterdir()) == []

    shutil.rmtree(archived.path / ".git")
    archived.run("git", "init", "--quiet")
    text = archived.interlock("reproduce", the_run(archived), code=1)
    assert f"its commit {commit[:12]} is not in this repository" in text
    assert "way out: fetch that commit; or give --with-current-code" in text

    current = reproduce(archived, "--with-current-code")
    assert current["level"] == "within_tolerance"
    assert current["with_current_code"]
    assert not current["is_promised"]
    assert current["reproduced_run_id"] != current["run_id"]
    assert all(metric["absolute"] == 0.0 for metric in current["metrics"])


def test_code_that_was_never_committed_is_refused(workspace):
    workspace.edit("src/interlock/stages/train.py", '"""Train the lane\'s model."""', '"""Train it."""')
    workspace.interlock("run", "lane=toy")
    workspace.run("git", "checkout", "--quiet", "src")
    text = workspace.interlock("reproduce", the_run(workspace), code=1)
    assert "the code of train is no longer the run's: it ran with changes that commit" in text
    assert not (workspace.path / "artifacts/runs" / the_run(workspace) / "reproductions").exists()


def test_a_tampered_archive_is_refused_before_anything_runs(archived):
    path = archived.path / "artifacts/runs" / the_run(archived) / "models/loss.csv"
    path.chmod(0o644)
    path.write_text(path.read_text().replace("step", "stop"))
    text = archived.interlock("reproduce", the_run(archived), code=1)
    assert "loss.csv" in text
    assert "running again" not in text
    assert "is no stage that a card covers" in archived.interlock(
        "reproduce", the_run(archived), "--stage", "judge", code=2
    )


def test_ctrl_c_leaves_nothing_behind(workspace, tmp_path):
    (tmp_path / "tmp").mkdir()
    workspace.env["TMPDIR"] = str(tmp_path / "tmp")
    workspace.interlock("run", "lane=toy", "lane.trainer.sleep_s=0.2")
    workspace.edit("src/interlock/stages/train.py", '"""Train the lane\'s model."""', '"""Train it."""')
    process = subprocess.Popen(
        ["interlock", "reproduce", the_run(workspace)], cwd=workspace.path, env=workspace.env, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert process.stderr
    assert any(line.startswith("train: running again") for line in process.stderr)
    time.sleep(1.0)
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(30) == 130
    process.stderr.close()
    assert list((tmp_path / "tmp").iterdir()) == []
    assert workspace.run("git", "worktree", "list").count("\n") == 1
    assert not (workspace.path / "artifacts/runs" / the_run(workspace) / "reproductions").exists()


@pytest.mark.slow
def test_the_real_lane_gives_the_same_bits_again(make_workspace):
    workspace = make_workspace("tower", lanes=("query_tower",))
    workspace.edit("params.yaml", "overrides: {}\nlane", f"overrides: {json.dumps(TOWER)}\nlane")
    workspace.repro()
    workspace.interlock("sync")
    result = reproduce(workspace)
    assert result["level"] == "bit_exact", result["first_difference"]
    assert {stage["stage"]: bool(stage["files"]) for stage in result["stages"]}["export"]
