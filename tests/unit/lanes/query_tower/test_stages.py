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

from interlock.errors import DataError, StageError
from interlock.lanes.catalog import find_lane
from interlock.lanes.exporting.answering import ExportedEncoder
from interlock.lanes.query_tower.encoders import load_tower
from interlock.lanes.query_tower.inputs import DOCUMENT, QUERY
from interlock.provenance.chain import read_chain
from interlock.provenance.digest import files_under, sha256_file

# --- what the stages leave behind -------------------------------------------------------------------------------------


def test_train_leaves_what_the_lane_declares(finished):
    assert set(files_under(finished / "train")) == {
        "checkpoints/best.safetensors", "checkpoints/last.safetensors", "loss.csv", "model.safetensors",
        "reference.json", "reference.safetensors", "train.json", LOG,
    }  # fmt: skip


def test_every_declared_measurement_exists_and_no_other(finished):
    names = set(measured(finished, "evaluate")) | set(measured(finished, "export"))
    assert names == set(find_lane("query_tower").measurements)


def test_measurements_agree_with_their_scores(finished):
    table = pq.read_table(finished / "evaluate" / "per_query.parquet")
    with_scores = [item for item in measured(finished, "evaluate").values() if item.scores is not None]
    assert len(with_scores) >= 16
    for item in with_scores:
        assert item.scores.sha256 == sha256_file(finished / "evaluate" / "per_query.parquet")
        assert np.mean(table.column(item.scores.column).to_numpy()) == pytest.approx(item.value)
        assert item.n == table.num_rows == 24


def test_recall_in_the_plot_is_the_measured_recall(finished):
    rows = (finished / "evaluate" / "recall.csv").read_text().splitlines()
    assert rows[0] == "k,tower,bm25,bm25_stems,chance"
    at_5 = next(row.split(",") for row in rows if row.startswith("5,"))
    found = measured(finished, "evaluate")
    expected = [found[name].value for name in ("r_at_5", "bm25.r_at_5", "bm25_stems.r_at_5", "chance.r_at_5")]
    assert [float(value) for value in at_5[1:]] == pytest.approx(expected)


def test_checks_of_training_are_measured(finished):
    found = measured(finished, "evaluate")
    assert [found[name].value for name in ("splits_correct", "no_nan_inf", "checkpoints_saved")] == [1.0, 1.0, 1.0]
    facts = json.loads((finished / "train" / "train.json").read_text())
    assert found["training_loss_converged"].value == float(facts["training_loss_converged"])
    assert found["training_loss_converged"].reason == facts["convergence"]


def test_the_shipped_file_loads_answers_and_equals_torch(finished):
    found = measured(finished, "export")
    assert [found[n].value for n in ("model_loadable", "inference_test_passed", "onnx_matches_torch")] == [1.0] * 3
    assert found["latency_p95"].n == 1000


@pytest.mark.parametrize(("name", "role"), [("query", QUERY), ("document", DOCUMENT)])
def test_the_exported_file_alone_gives_the_towers_vectors(finished, tiny, name, role):
    import torch

    texts = ["bada kilor", "nothing known here", "", "naso " * 50]
    tower = load_tower(tiny.body(), finished / "train", workspace=finished)
    expected = tower.encode(texts, role, device=torch.device("cpu"))
    answered = ExportedEncoder.open(finished / "export" / "model.onnx").encode(texts, role=name)
    np.testing.assert_allclose(answered, expected, atol=1e-5)


def test_examples_are_the_first_hits_and_misses(finished):
    examples = json.loads((finished / "evaluate" / "examples.json").read_text())
    assert set(examples) == {"hits", "misses"}
    assert 0 < len(examples["hits"]) <= 5
    assert all(1 <= example["rank"] <= 10 for example in examples["hits"])


# --- sameness ---------------------------------------------------------------------------------------------------------


def test_the_same_run_elsewhere_gives_the_same_bytes(finished, tiny, tmp_path):
    root = tmp_path / "some" / "other place"
    tiny.write_beir(root / "beir")
    for stage in ("prepare", "train", "evaluate"):
        run_stage(stage, root, tiny.body())
    for stage in ("prepare", "train", "evaluate"):
        assert digests(root / stage) == digests(finished / stage)


def test_another_seed_gives_another_model_on_the_same_reference_data(finished, tiny, tmp_path):
    tiny.write_beir(tmp_path / "beir")
    run_stage("prepare", tmp_path, tiny.body())
    run_stage("train", tmp_path, tiny.body(), seed=2)
    assert digests(tmp_path / "train")["model.safetensors"] != digests(finished / "train")["model.safetensors"]


def kill_test(root, kills, seed):
    numbers = random.Random(seed)
    delays = [f"{numbers.uniform(0.05, 0.6):.3f}" for _ in range(kills)]
    program = [sys.executable, str(Path(__file__).with_name("tiny_tower.py")), str(root), *delays]
    done = subprocess.run(program, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": IMPORTABLE})
    assert done.returncode == 0, done.stderr
    codes = [int(line) for line in done.stdout.split()]
    assert codes[0] == codes[-1] == 0
    assert codes.count(-signal.SIGKILL) >= 2  # an attempt may finish before its kill
    assert digests(root / "killed" / "train") == digests(root / "whole" / "train")
    steps = [[line.payload["step"] for line in read_chain(root / name / "train" / LOG)] for name in ("killed", "whole")]
    assert steps[0] == steps[1] == list(range(1, len(steps[0]) + 1))


@pytest.mark.slow  # the loop has its own in the fast set
def test_three_kills_change_nothing(tmp_path):
    kill_test(tmp_path, 3, seed=5)


@pytest.mark.slow
def test_twenty_kills_change_nothing(tmp_path):
    kill_test(tmp_path, 20, seed=6)


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_too_few_documents_for_the_pool_is_said(tiny, tmp_path):
    tiny.write_beir(tmp_path / "beir")
    lane = tiny.body(trainer__hard_negative_pool=1000)
    run_stage("prepare", tmp_path, lane)
    with pytest.raises(DataError, match="too few training documents to mine"):
        run_stage("train", tmp_path, lane)


def test_a_model_of_another_shape_is_not_evaluated(finished, tiny):
    with pytest.raises(StageError, match="cannot be loaded"):
        load_tower(tiny.body(model__encoder__buckets=4096), finished / "train", workspace=finished)


def test_a_damaged_model_is_not_evaluated(finished, tiny, tmp_path):
    (tmp_path / "model.safetensors").write_bytes((finished / "train" / "model.safetensors").read_bytes()[:-10])
    with pytest.raises(StageError, match="cannot be loaded"):
        load_tower(tiny.body(), tmp_path, workspace=finished)


# --- vectors ----------------------------------------------------------------------------------------------------------


def test_a_dataset_of_vectors_runs_and_blocks_what_it_cannot_ship(tiny, tmp_path, vectors_file):
    lane = tiny.body(
        data={"kind": "npz", "path": vectors_file(tmp_path).name, "name": "points"},
        model={"kind": "tower", "encoder": {"kind": "vectors"}},
    )
    for stage in ("prepare", "train", "evaluate", "export"):
        run_stage(stage, tmp_path, lane)
    found = measured(tmp_path, "evaluate")
    assert "bm25.r_at_5" not in found
    assert found["echo_loop"].value > 0.9
    shipped = measured(tmp_path, "export")
    assert shipped["onnx_matches_torch"].value is None
    assert "not exported" in shipped["onnx_matches_torch"].reason
