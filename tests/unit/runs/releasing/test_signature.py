"""What an ONNX file takes and gives, and which changes break its callers."""

import pytest
from release_homes import onnx_bytes

from interlock.errors import DataError
from interlock.runs.releasing.signature import Signature, Tensor, changes, drift, signature

BASE = {"dim": 8}


@pytest.fixture
def read(tmp_path):
    def read(**changed):
        path = tmp_path / "model.onnx"
        path.write_bytes(onnx_bytes(**(BASE | changed)))
        return signature(path)

    return read


def test_names_types_shapes_are_read(read):
    assert read() == Signature(
        inputs={"ids": Tensor(type="FLOAT", shape=("B", 8))},
        outputs={"vectors": Tensor(type="FLOAT", shape=("B", 8))},
        format="",
    )


@pytest.mark.parametrize("data", [b"", b"no onnx", b"\x80\x05pickle", b"PK\x03\x04zip"])
def test_what_is_no_onnx_is_refused(tmp_path, data):
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    with pytest.raises(DataError, match="not a readable ONNX file"):
        signature(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="not a readable ONNX file"):
        signature(tmp_path / "model.onnx")


@pytest.mark.parametrize(
    ("changed", "told", "score"),
    [
        ({}, [], 0.0),
        ({"dim": 16}, ["axis 1 of input ids is 16, it was 8", "axis 1 of output vectors is 16, it was 8"], 1.0),
        ({"elem": "DOUBLE"}, ["input ids is DOUBLE, it was FLOAT", "output vectors is DOUBLE, it was FLOAT"], 1.0),
        ({"name": "scores"}, ["output vectors is gone", "output scores is new"], 1.0),
        ({"more": ("norms",)}, ["output norms is new"], 0.5),
        ({"dim": "D"}, ["axis 1 of input ids varies, it was 8", "axis 1 of output vectors varies, it was 8"], 0.5),
        ({"batch": 1}, ["axis 0 of input ids is 1, it was free", "axis 0 of output vectors is 1, it was free"], 1.0),
    ],
)
def test_changes_and_their_drift(read, changed, told, score):
    found = changes(read(), read(**changed))
    assert [item.what for item in found] == told
    assert drift(found) == score


def test_inputs_axes_and_format():
    one = Signature(inputs={"a": Tensor(type="FLOAT", shape=(1,))}, outputs={}, format="encoder-1")
    more = Signature(inputs={**one.inputs, "b": Tensor(type="INT64", shape=())}, outputs={}, format="encoder-1")
    assert [(item.what, item.breaks) for item in changes(one, more)] == [("input b is new", True)]
    assert [(item.what, item.breaks) for item in changes(more, one)] == [("input b is gone", True)]
    ranked = Signature(inputs={"a": Tensor(type="FLOAT", shape=(1, 1))}, outputs={}, format="encoder-2")
    assert [(item.what, item.breaks) for item in changes(one, ranked)] == [
        ("input a has 2 axes, it had 1", True),
        ("its format is encoder-2, it was encoder-1", True),
    ]
