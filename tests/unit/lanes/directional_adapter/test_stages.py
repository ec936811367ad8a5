"""All four stages on tiny stories: what they leave behind, exact resume, and the shipped file."""

import csv
import json
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
from tiny_stages import IMPORTABLE, digests, measured, run_stage

from interlock.errors import DataError
from interlock.gates.calibration import plain_error
from interlock.lanes.catalog import find_lane
from interlock.lanes.directional_adapter.adapter import load_adapter
from interlock.lanes.directional_adapter.answering import OrderModel
from interlock.lanes.directional_adapter.answers import BINS


def test_every_declared_measurement_exists_and_no_other(finished):
    names = set(measured(finished, "evaluate")) | set(measured(finished, "export"))
    assert names == set(find_lane("directional_adapter").measurements)


def test_every_declared_plot_exists_with_its_columns(finished):
    for plot in find_lane("directional_adapter").plots:
        with (finished / plot.file).open() as file:
            header = next(csv.reader(file))
        assert {plot.x, *plot.y} <= set(header)


def test_measurements_follow_from_their_scores_one_item_a_pair(finished):
    table = pq.read_table(finished / "evaluate" / "per_pair.parquet").to_pydict()
    column = {name: np.array(values) for name, values in table.items()}
    found = measured(finished, "evaluate")
    assert found["accuracy"].n == found["ece"].n == len(table["pair_id"]) == 16 * 4
    assert found["accuracy"].value == pytest.approx(column["accuracy"].mean())
    assert found["f1"].value == pytest.approx(column["f1_hits"].sum() / column["f1_total"].sum())
    assert found["ece"].value == pytest.approx(plain_error(column["accuracy"], column["confidence"], BINS))
    assert found["majority.accuracy"].value == 0.5


def test_the_temperature_is_the_one_in_the_model_file(finished, tiny):
    adapter = load_adapter(tiny.body().model, finished / "train")
    stated = json.loads((finished / "train" / "train.json").read_text())["temperature"]
    assert adapter.network.temperature.item() == stated == measured(finished, "evaluate")["temperature"].value != 1.0


def test_both_classes_are_equally_frequent(finished):
    facts = json.loads((finished / "prepare.record.json").read_text())["facts"]
    assert facts["pairs"] == {"train": 160, "validation": 48, "test": 64}
    assert facts["class_balance"]["test"] == {"forward": 64, "backward": 64}


# --- the shipped file -------------------------------------------------------------------------------------------------


def test_the_shipped_file_holds_and_answers_fast(finished):
    found = measured(finished, "export")
    assert {name: found[name].value for name in ("model_loadable", "inference_test_passed", "onnx_matches_torch")} == {
        "model_loadable": 1.0, "inference_test_passed": 1.0, "onnx_matches_torch": 1.0,
    }  # fmt: skip
    assert found["latency_p95"].n >= 1000


def test_the_shipped_file_takes_two_texts_and_states_the_measured_confidence(finished):
    model = OrderModel.open(finished / "export" / "model.onnx")
    examples = json.loads((finished / "evaluate" / "examples.json").read_text())["hits"]
    answered = model.answer([[row["comes first"], row["follows"]] for row in examples])
    assert answered == pytest.approx([row["confidence"] for row in examples], abs=1e-5)
    turned = model.answer([[row["follows"], row["comes first"]] for row in examples])
    assert turned == pytest.approx(1 - answered, abs=1e-5)
    assert model.answer([["", ""]]) == pytest.approx([0.5])


@pytest.mark.parametrize("requests", [[], ["one text"], [["one"]], [["one", "two", "three"]], [["one", 2]]])
def test_anything_but_pairs_of_texts_is_refused(finished, requests):
    model = OrderModel.open(finished / "export" / "model.onnx")
    with pytest.raises(DataError):
        model.answer(requests)


# --- exact resume -----------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(finished, tiny, tmp_path):
    before = digests(finished / "train")
    for name, seed in (("same", 1), ("other", 2)):
        root = tmp_path / name
        tiny.write_stories(root / "stories")
        run_stage("prepare", root, tiny.body())
        run_stage("train", root, tiny.body(), seed=seed)
    assert digests(tmp_path / "same" / "train") == before
    assert digests(tmp_path / "other" / "train")["model.safetensors"] != before["model.safetensors"]


@pytest.mark.slow
def test_kills_change_nothing(tiny, tmp_path):
    for name in ("whole", "killed"):
        tiny.write_stories(tmp_path / name / "stories")
        run_stage("prepare", tmp_path / name, tiny.body())
    run_stage("train", tmp_path / "whole", tiny.body(trainer__epochs=12))
    done = subprocess.run(
        [sys.executable, tiny.__file__, str(tmp_path / "killed"), "2"],
        env={"PYTHONPATH": IMPORTABLE, "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["-9", "-9", "0"]
    assert digests(tmp_path / "killed" / "train") == digests(tmp_path / "whole" / "train")


def test_micro_batches_change_the_result_by_rounding_alone(tiny, tmp_path):
    losses = []
    for name, size in (("whole", None), ("parts", 8)):
        root = tmp_path / name
        tiny.write_stories(root / "stories")
        lane = tiny.body(trainer__micro_batch=size, model__dropout=0.0, model__feature_dropout=0.0)
        run_stage("prepare", root, lane)
        losses.append(run_stage("train", root, lane).facts["validation_loss_final"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
