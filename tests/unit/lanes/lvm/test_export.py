import json

import numpy as np
import onnx
import pytest
import torch

from interlock.errors import DataError
from interlock.lanes.lvm.answering import ExportedPredictor, predictor_metadata
from interlock.lanes.lvm.export import write_onnx
from interlock.lanes.lvm.model import NextVector

METADATA = predictor_metadata(dimensions=8, encoder_digest="d" * 64)


@pytest.fixture(scope="module")
def deep(tiny, kind, tmp_path_factory):
    """A predictor of two layers, and its file."""
    torch.manual_seed(0)
    network = NextVector(tiny.body(kind, model__layers=2).model).eval()
    path = tmp_path_factory.mktemp("deep") / "model.onnx"
    write_onnx(network, path, metadata=METADATA)
    return network, path


def test_histories_of_any_length_are_answered_like_torch(deep):
    network, path = deep
    random = np.random.default_rng(0)
    histories = [random.normal(size=(length, 8)).astype(np.float32) for length in (1, 2, 3, 7, 50, 1)]
    with torch.no_grad():
        expected = np.concatenate([network(torch.from_numpy(history)[None])[:, -1] for history in histories])
    model = ExportedPredictor.open(path)
    asked = [history.tolist() for history in histories]
    np.testing.assert_allclose(model.answer(asked), expected, atol=2e-6)
    np.testing.assert_allclose(np.concatenate([model.answer([one]) for one in asked]), expected, atol=2e-6)


@pytest.mark.slow  # `graph` has its own in the fast set
def test_the_same_model_gives_the_same_file(deep, tmp_path):
    network, path = deep
    write_onnx(network, tmp_path / "again.onnx", metadata=METADATA)
    assert (tmp_path / "again.onnx").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("history", [[], np.zeros((0, 8)), [[1.0] * 7], [1.0] * 8])
def test_what_is_no_history_is_refused(deep, history):
    with pytest.raises(DataError, match="one or more vectors"):
        ExportedPredictor.open(deep[1]).answer([history])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "interlock-text-encoder-1"}, "model of another format"),
        ({"encoder": {}}, "does not say what it predicts"),
    ],
)
def test_another_file_is_refused(deep, tmp_path, change, message):
    model = onnx.load(deep[1])
    model.metadata_props[0].value = json.dumps(METADATA | change)
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(DataError, match=message):
        ExportedPredictor.open(tmp_path / "m.onnx")
