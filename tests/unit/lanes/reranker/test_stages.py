import json
import os
import random
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from tiny_stages import IMPORTABLE, LOG, digests, measured

from interlock.errors import DataError, StageError
from interlock.lanes.catalog import find_lane
from interlock.lanes.exporting.weights import read_weights, write_weights
from interlock.lanes.reranker.answering import RerankModel
from interlock.lanes.reranker.scorers import load_scorer
from interlock.lanes.retrieval.datasets.prepared import PreparedDataset
from interlock.provenance.digest import files_under

# --- what the stages leave behind -------------------------------------------------------------------------------------


def test_train_leaves_what_the_lane_declares(finished):
    assert set(files_under(finished / "train")) == {
        "checkpoints/best.safetensors", "checkpoints/last.safetensors", "loss.csv", "model.safetensors", "train.json",
        LOG,
    }  # fmt: skip


def test_every_declared_measurement_exists_and_no_other(finished):
    names = set(measured(finished, "evaluate")) | set(measured(finished, "export"))
    assert names == set(find_lane("reranker").measurements)


def test_measurements_agree_with_their_scores(finished):
    table = pq.read_table(finished / "evaluate" / "per_query.parquet")
    with_scores = [item for item in measured(finished, "evaluate").values() if item.scores is not None]
    assert len(with_scores) == 3 * (5 + 5 + 3)
    for item in with_scores:
        counted = table.column(item.scores.column).to_numpy()
        of = table.column(item.scores.denominator).to_numpy() if item.scores.denominator else np.ones(len(counted))
        assert counted.sum() / of.sum() == pytest.approx(item.value)
        assert item.n == table.num_rows == 24


def test_all_systems_order_the_same_lists(finished):
    found = measured(finished, "evaluate")
    assert found["r_at_10"].split_sha256 == found["first_stage.r_at_10"].split_sha256
    assert found["end_to_end_r_at_10"].value <= found["answers_retrieved"].value
    assert found["first_stage.end_to_end_r_at_10"].value <= found["answers_retrieved"].value
    assert found["chance.r_at_5"].value == pytest.approx(5 / 12)


def test_recall_in_the_plot_is_the_measured_recall(finished):
    header, *rows = [row.split(",") for row in (finished / "evaluate" / "recall.csv").read_text().splitlines()]
    at_5 = dict(zip(header, next(row for row in rows if row[0] == "5"), strict=True))
    names = {
        "reranker": "r_at_5", "first_stage": "first_stage.r_at_5", "bm25": "bm25.r_at_5", "chance": "chance.r_at_5",
        "reranker_end_to_end": "end_to_end_r_at_5", "first_stage_end_to_end": "first_stage.end_to_end_r_at_5",
        "bm25_end_to_end": "bm25.end_to_end_r_at_5",
    }  # fmt: skip
    found = measured(finished, "evaluate")
    assert header == ["k", *(name for name in header[1:] if name in names)]
    assert {name: float(at_5[name]) for name in names} == pytest.approx({k: found[v].value for k, v in names.items()})


def test_declared_plots_have_their_columns(finished):
    for plot in find_lane("reranker").plots:
        header = (finished / plot.file).read_text().splitlines()[0].split(",")
        assert {plot.x, *plot.y} <= set(header), plot.file


def test_checks_of_training_and_of_the_negatives_are_measured(finished):
    found = measured(finished, "evaluate")
    checks = ("splits_correct", "no_nan_inf", "checkpoints_saved", "negatives_distinct", "negatives_balanced")
    assert [found[name].value for name in checks] == [1.0] * 5
    assert found["negatives_distinct"].reason == "0 equal by id, 0 equal by text, 0 repeated"


def test_examples_are_hits_and_misses(finished):
    examples = json.loads((finished / "evaluate" / "examples.json").read_text())
    assert set(examples) == {"hits", "misses"}
    assert 0 < len(examples["hits"]) <= 5


# --- the shipped file -------------------------------------------------------------------------------------------------


def test_the_shipped_file_loads_answers_and_equals_torch(finished):
    found = measured(finished, "export")
    assert [found[n].value for n in ("model_loadable", "inference_test_passed", "onnx_matches_torch")] == [1.0] * 3
    assert found["latency_p95"].n == 1000


def test_the_exported_file_alone_gives_the_scores_of_a_list(finished, tiny_reranker):
    import torch

    from interlock.lanes.reranker.lists import read_lists

    data = PreparedDataset.open(finished / "prepare")
    lists = read_lists(finished / "prepare" / "lists_test.parquet")
    scorer = load_scorer(tiny_reranker.body(), finished / "train", workspace=finished)
    chosen = np.arange(3)
    expected = scorer.scores(scorer.inputs(data, "test", lists.take(chosen), chosen), device=torch.device("cpu"))
    model, queries = RerankModel.open(finished / "export" / "model.onnx"), data.queries("test").texts
    for query in chosen:
        np.testing.assert_allclose(
            model.rerank(queries[query], data.documents(lists.rows[query])), expected[query], atol=1e-4
        )


@pytest.mark.parametrize("documents", [["bada"], [""], ["bada kilor", "", "naso " * 50, "?"]])
@pytest.mark.parametrize("query", ["bada", ""])
def test_the_exported_file_scores_anything(finished, query, documents):
    scores = RerankModel.open(finished / "export" / "model.onnx").rerank(query, documents)
    assert scores.shape == (len(documents),)
    assert np.isfinite(scores).all()


def test_lists_of_several_lengths_are_filled_with_nan(finished):
    model = RerankModel.open(finished / "export" / "model.onnx")
    answered = model.answer([{"query": "a", "documents": ["b"]}, {"query": "a", "documents": ["b", "c"]}])
    assert np.isnan(answered).tolist() == [[False, True], [False, False]]


@pytest.mark.parametrize(
    ("requests", "key"),
    [
        ([], "requests"),
        ([{"query": "a", "documents": []}], "documents"),
        ([{"query": "a", "documents": ["b"]}, {"query": "a"}], r"requests\[1\]"),
        ([["a", "b"]], r"requests\[0\]"),
        ([{"query": "a", "documents": [1]}], r"requests\[0\]"),
    ],
)
def test_requests_of_another_form_are_refused(finished, requests, key):
    with pytest.raises(DataError, match=key):
        RerankModel.open(finished / "export" / "model.onnx").answer(requests)


# --- sameness ---------------------------------------------------------------------------------------------------------


def test_the_same_run_again_gives_the_same_bytes_and_another_seed_another_model(finished, first_stage, tiny_reranker):
    inputs = {"first_stage": first_stage[1]}
    before = {stage: digests(finished / stage) for stage in ("train", "evaluate")}
    lane = tiny_reranker.body()
    tiny_reranker.run("train", finished, lane, inputs, seed=2)
    assert digests(finished / "train")["model.safetensors"] != before["train"]["model.safetensors"]
    for stage in ("train", "evaluate"):
        tiny_reranker.run(stage, finished, lane, inputs)
        assert digests(finished / stage) == before[stage]


def kill_test(root, kills, seed):
    numbers = random.Random(seed)
    delays = [f"{numbers.uniform(0.05, 0.6):.3f}" for _ in range(kills)]
    program = [sys.executable, str(Path(__file__).with_name("tiny_reranker.py")), str(root), *delays]
    done = subprocess.run(program, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": IMPORTABLE})
    assert done.returncode == 0, done.stderr
    codes = [int(line) for line in done.stdout.split()]
    assert codes[0] == codes[-1] == 0
    assert codes.count(-signal.SIGKILL) >= 2  # an attempt may finish before its kill
    assert digests(root / "killed" / "train") == digests(root / "whole" / "train")


@pytest.mark.slow  # the loop has its own in the fast set
def test_three_kills_change_nothing(tmp_path):
    kill_test(tmp_path, 3, seed=5)


# --- a baseline to go on from -----------------------------------------------------------------------------------------


@pytest.fixture
def baseline(finished, tiny_reranker):
    return tiny_reranker.given(finished, tiny_reranker.body(), "reranker", ".")


def test_training_goes_on_from_a_baseline(finished, first_stage, baseline, tiny_reranker, tmp_path):
    shutil.copytree(finished / "prepare", tmp_path / "prepare")
    shutil.copy(finished / "prepare.record.json", tmp_path)
    weights, parameters = read_weights(finished / "train" / "model.safetensors")
    weights["idf_K"] *= 2.0  # what it learned on another tower is not taken over
    (tmp_path / "old").mkdir()
    write_weights(tmp_path / "old" / "model.safetensors", weights, parameters)
    kept = replace(baseline, run_id="a" * 16, trained=tmp_path / "old")
    inputs = {"first_stage": first_stage[1], "baseline_model": kept}
    lane = tiny_reranker.body(optimizer__lr=1e-9, trainer__epochs=1)
    outcome = tiny_reranker.run("train", tmp_path, lane, inputs)
    assert outcome.facts["baseline"] == "a" * 16
    cpu = load_scorer(lane, tmp_path / "train", workspace=tmp_path).network.state_dict()
    start = load_scorer(tiny_reranker.body(), finished / "train", workspace=finished).network.state_dict()
    for name, value in start.items():
        np.testing.assert_allclose(cpu[name].numpy(), value.numpy(), atol=1e-6, err_msg=name)


def test_a_baseline_of_another_shape_is_refused(finished, first_stage, baseline, tiny_reranker, tmp_path):
    shutil.copytree(finished / "prepare", tmp_path / "prepare")
    shutil.copy(finished / "prepare.record.json", tmp_path)
    inputs = {"first_stage": first_stage[1], "baseline_model": baseline}
    work = tiny_reranker.job("train", tmp_path, tiny_reranker.body(model__heads=3), inputs)
    with pytest.raises(StageError, match="the baseline's weights do not fit this model"):
        find_lane("reranker").stage_function("train")(work)


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_a_model_of_another_shape_is_not_evaluated(finished, tiny_reranker):
    with pytest.raises(StageError, match="cannot be loaded"):
        load_scorer(tiny_reranker.body(model__hidden=5), finished / "train", workspace=finished)


def test_a_damaged_model_is_not_evaluated(finished, tiny_reranker, tmp_path):
    (tmp_path / "model.safetensors").write_bytes((finished / "train" / "model.safetensors").read_bytes()[:-10])
    with pytest.raises(StageError, match="cannot be loaded"):
        load_scorer(tiny_reranker.body(), tmp_path, workspace=finished)
