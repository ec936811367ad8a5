import importlib
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from interlock.contracts.hardware import CpuTarget
from interlock.errors import StageError
from interlock.lanes.exporting.answering import ExportedEncoder
from interlock.lanes.exporting.checking import CHECKS, NUMBERS, Shipped, finite, not_shipped, ship, unit_vectors
from interlock.lanes.exporting.fresh_process import answers
from interlock.lanes.spec import StageJob
from interlock.provenance.digest import sha256_file
from interlock.stages.progress import Silent

TEXTS = ["", "csv", "read_csv into a DataFrame"]


@pytest.fixture(scope="module")
def openers():
    sys.path.insert(0, str(Path(__file__).parent))
    yield importlib.import_module("openers")
    sys.path.remove(str(Path(__file__).parent))


@pytest.fixture
def job(tmp_path):
    return StageJob(
        lane=None, seed=0, hardware=CpuTarget(kind="cpu"), folder=tmp_path, workspace=tmp_path, inputs={}, records={},
        state=tmp_path, run_id="run", evaluator_sha256="0" * 64, compute_hours_max=1.0, progress=Silent(),
    )  # fmt: skip


def shipped(folder, opener, expected, **changes):
    (folder / "model.onnx").write_bytes(b"any")
    values = dict(
        path=folder / "model.onnx", sha256="a" * 64, opener=opener, requests=TEXTS,
        expected=np.array(expected, np.float32), timed=TEXTS, what="text to number",
    )  # fmt: skip
    return Shipped(**(values | changes))


def found(folder):
    items = json.loads((folder / "measurements.json").read_text())["items"]
    return {item["name"]: SimpleNamespace(**item) for item in items}


# --- openers that misbehave -------------------------------------------------------------------------------------------


def test_an_opener_that_needs_torch_is_refused(openers, tmp_path):
    with pytest.raises(StageError, match="openers imports torch: a model that is served must not need it"):
        answers(tmp_path / "m.onnx", TEXTS, opener=openers.NeedsTorch, batch_sizes=(2,))


def test_an_opener_that_forgets_requests_is_refused(openers, tmp_path):
    with pytest.raises(StageError, match="wrong shape"):
        answers(tmp_path / "m.onnx", TEXTS, opener=openers.Forgetful, batch_sizes=(2,))


# --- what is written --------------------------------------------------------------------------------------------------


def test_one_number_for_each_request_is_checked_and_timed(openers, job, tmp_path):
    outcome = ship(job, shipped(tmp_path, openers.Lengths, [0, 3, 25]))
    values = found(tmp_path)
    assert set(values) == {*CHECKS, *NUMBERS}
    assert [values[name].value for name in CHECKS] == [1.0, 1.0, 1.0]
    assert values["inference_test_passed"].reason == "12 answers, all finite, at 4 batch sizes"
    assert values["latency_p95"].n == 1000
    assert values["latency_p95"].scores["sha256"] == sha256_file(tmp_path / "latency.parquet")
    assert outcome.facts == {"onnx": "a" * 64, "onnx_bytes": 3}
    assert set(outcome.volatile_files) == {"metrics.json", "measurements.json", "latency.parquet"}


def test_another_number_is_a_difference_relative_to_the_largest(openers, job, tmp_path):
    ship(job, shipped(tmp_path, openers.Lengths, [0, 3, 25.05]))
    assert found(tmp_path)["onnx_matches_torch"].value == 0.0
    assert found(tmp_path)["onnx_difference"].value == pytest.approx(0.05 / 25.05, rel=1e-3)


def test_not_a_number_is_neither_sensible_nor_equal(openers, job, tmp_path):
    ship(job, shipped(tmp_path, openers.NotANumber, [0, 3, 25]))
    assert [found(tmp_path)[name].value for name in CHECKS] == [1.0, 0.0, 0.0]
    assert found(tmp_path)["onnx_difference"].value is None


def test_a_file_that_cannot_be_opened_is_measured_as_such(job, tmp_path):
    outcome = ship(job, shipped(tmp_path, ExportedEncoder, [0, 3, 25]))
    values = found(tmp_path)
    assert set(values) == {*CHECKS, *NUMBERS}
    assert values["model_loadable"].value == 0.0
    assert "not a loadable ONNX model" in values["model_loadable"].reason
    assert {values[name].value for name in values} == {0.0, None}
    assert not (tmp_path / "latency.parquet").exists()
    assert set(outcome.volatile_files) == {"metrics.json", "measurements.json"}


def test_what_is_not_exported_is_not_measured(job, tmp_path):
    assert not_shipped(job, "no graph for it").facts == {"onnx": None}
    assert set(found(tmp_path)) == {*CHECKS, *NUMBERS}
    assert {(item.value, item.reason) for item in found(tmp_path).values()} == {(None, "no graph for it")}


@pytest.mark.parametrize(
    ("answered", "is_finite", "is_unit"),
    [([[1.0, 0.0]], True, True), ([[1.0, 0.1]], True, False), ([[np.nan, 0.0]], False, False)],
)
def test_sensible_answers(answered, is_finite, is_unit):
    block = np.array([answered, answered], np.float32)
    assert finite(block)[0] is is_finite
    assert unit_vectors(block)[0] is is_unit
