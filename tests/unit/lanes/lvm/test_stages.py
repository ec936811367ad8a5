import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from tiny_stages import IMPORTABLE, LOG, digests, measured, run_stage

from interlock.errors import StageError
from interlock.lanes.catalog import find_lane
from interlock.lanes.lvm.train import load
from interlock.provenance.chain import read_chain
from interlock.provenance.digest import files_under

MOSTLY_ONE_KIND = pytest.mark.parametrize(
    "kind", ["recurrent", pytest.param("causal_transformer", marks=pytest.mark.slow)], indirect=True, scope="session"
)


def test_train_leaves_what_the_lane_declares(finished):
    assert set(files_under(finished / "train")) == {
        "checkpoints/best.safetensors", "checkpoints/last.safetensors", "loss.csv", "model.safetensors",
        "reference.json", "reference.safetensors", "train.json", LOG,
    }  # fmt: skip


def test_every_declared_measurement_exists_and_no_other(finished):
    names = set(measured(finished, "evaluate")) | set(measured(finished, "export"))
    assert names == set(find_lane("lvm").measurements)


def test_scores_are_means_over_stories(finished):
    table = pq.read_table(finished / "evaluate" / "per_group.parquet")
    assert table.column("group").to_pylist() == [f"test-{story:02d}" for story in range(8)]
    with_scores = [item for item in measured(finished, "evaluate").values() if item.scores is not None]
    assert len(with_scores) == 8
    for item in with_scores:
        assert item.scores.item == "group"
        assert np.mean(table.column(item.scores.column).to_numpy()) == pytest.approx(item.value)
        assert item.n == 8


def test_checks_hold_and_the_shipped_file_equals_torch(finished):
    found = measured(finished, "evaluate") | measured(finished, "export")
    checks = ("splits_correct", "no_nan_inf", "checkpoints_saved", "model_loadable", "inference_test_passed")
    assert [found[name].value for name in (*checks, "onnx_matches_torch")] == [1.0] * 6
    assert found["latency_p95"].n == 1000


@MOSTLY_ONE_KIND
def test_a_ring_of_topics_is_learned(tiny, kind, tmp_path):
    """What comes next follows from what came last, and no baseline can know it."""
    tiny.write_stories(tmp_path / "stories")
    for stage in ("prepare", "train", "evaluate"):
        run_stage(stage, tmp_path, tiny.body(kind, trainer__epochs=40, trainer__early_stop_patience=20))
    found = {name: item.value for name, item in measured(tmp_path, "evaluate").items()}
    simple = [found[f"{name}.next_vector_cosine"] for name in ("copy_last", "history_mean", "training_mean")]
    assert found["next_vector_cosine"] > 0.7
    assert max(simple) < 0.5


def test_the_same_run_elsewhere_gives_the_same_bytes(finished, tiny, kind, tmp_path):
    root = tmp_path / "some" / "other place"
    tiny.write_stories(root / "stories")
    for stage in ("prepare", "train", "evaluate"):
        run_stage(stage, root, tiny.body(kind))
        assert digests(root / stage) == digests(finished / stage)


@MOSTLY_ONE_KIND
def test_training_never_sees_the_test_stories(finished, tiny, kind, tmp_path):
    tiny.write_stories(tmp_path / "stories")
    tiny.write_stories(tmp_path / "others", seed=9)
    (tmp_path / "others" / "test.csv").replace(tmp_path / "stories" / "test.csv")
    for stage in ("prepare", "train"):
        run_stage(stage, tmp_path, tiny.body(kind))
    assert digests(tmp_path / "train") == digests(finished / "train")


@MOSTLY_ONE_KIND
def test_micro_batches_give_the_same_model_but_for_rounding(finished, tiny, kind, tmp_path):
    tiny.write_stories(tmp_path / "stories")
    run_stage("prepare", tmp_path, tiny.body(kind))
    for name, micro_batch in (("whole", None), ("parts", 2)):
        lane = tiny.body(kind, trainer__epochs=1, model__dropout=0.0, trainer__micro_batch=micro_batch)
        run_stage("train", tmp_path, lane, state=tmp_path / name)
        (tmp_path / "train").rename(tmp_path / f"train_{name}")
    whole, parts = (json.loads((tmp_path / f"train_{name}" / "train.json").read_text()) for name in ("whole", "parts"))
    assert parts["training_loss_final"] == pytest.approx(whole["training_loss_final"], rel=1e-4)
    assert parts["sample_order_sha256"] == whole["sample_order_sha256"]


@pytest.mark.slow  # the loop has its own in the fast set
def test_kills_change_nothing(kind, tmp_path):
    numbers = random.Random(3)
    shares = [f"{numbers.uniform(0.05, 0.6):.3f}" for _ in range(4)]
    program = [sys.executable, str(Path(__file__).with_name("tiny_lvm.py")), str(tmp_path), kind, *shares]
    done = subprocess.run(program, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": IMPORTABLE})
    assert done.returncode == 0, done.stderr
    codes = [int(line) for line in done.stdout.split()]
    assert codes[0] == codes[-1] == 0
    assert codes.count(-signal.SIGKILL) >= 2
    assert digests(tmp_path / "killed" / "train") == digests(tmp_path / "whole" / "train")
    steps = [[line.payload["step"] for line in read_chain(tmp_path / n / "train" / LOG)] for n in ("killed", "whole")]
    assert steps[0] == steps[1]


def test_a_model_of_another_shape_is_not_evaluated(finished, tiny, kind):
    with pytest.raises(StageError, match=r"cannot be loaded[\s\S]*train again"):
        load(tiny.body(kind, model__width=32), finished / "train")
