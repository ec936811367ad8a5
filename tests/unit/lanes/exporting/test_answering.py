import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest

from interlock.errors import DataError
from interlock.lanes.exporting.answering import ExportedEncoder

TEXTS = ["", "csv", "read_csv into a DataFrame", "sort the rows of a table by two columns " * 20, "ünïcode 数据"]


def test_a_missing_or_foreign_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"m\.onnx: not a loadable ONNX model"):
        ExportedEncoder.open(tmp_path / "m.onnx")
    (tmp_path / "m.onnx").write_bytes(b"not onnx")
    with pytest.raises(DataError, match="not a loadable ONNX model"):
        ExportedEncoder.open(tmp_path / "m.onnx")


def without(metadata: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in metadata.items() if name != key}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: without(m, "features"), "does not say how to encode"),
        (lambda m: without(m, "format"), "does not say how to ask it"),
        (lambda m: without(m, "roles"), "does not say how to encode"),
        (
            lambda m: {**m, "roles": {"query": {"weighting": {"wrd": 1.0}, "constants": {}}}},
            "does not say how to encode",
        ),
        (lambda m: {**m, "format": "interlock-text-encoder-9"}, "another format"),
        (lambda m: {**m, "features": {**m["features"], "recipe": 99}}, "another recipe"),
    ],
)
def test_metadata_that_does_not_fit_is_refused(
    exported: SimpleNamespace, tmp_path: Path, change: Callable[[dict[str, Any]], dict[str, Any]], message: str
) -> None:
    model = onnx.load(exported.path)
    model.metadata_props[0].value = json.dumps(change(json.loads(model.metadata_props[0].value)))
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(DataError, match=message):
        ExportedEncoder.open(tmp_path / "m.onnx")


def test_an_unknown_role_is_refused(exported: SimpleNamespace) -> None:
    with pytest.raises(DataError, match=r"unknown role[\s\S]*document, query"):
        ExportedEncoder.open(exported.path).encode(["x"], role="answer")


@pytest.mark.parametrize("role", ["query", "document"])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_answers_like_torch_at_every_batch_size(
    exported: SimpleNamespace, tower: ModuleType, role: str, size: int
) -> None:
    encoder = ExportedEncoder.open(exported.path)
    found = np.concatenate([encoder.encode(TEXTS[i : i + size], role=role) for i in range(0, len(TEXTS), size)])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, tower.torch_vectors(TEXTS, role).numpy(), atol=1e-5)


def test_roles_differ(exported: SimpleNamespace) -> None:
    encoder = ExportedEncoder.open(exported.path)
    assert (
        np.abs(encoder.encode(["csv file"], role="query") - encoder.encode(["csv file"], role="document")).max() > 0.01
    )


def test_requests_of_several_roles_are_answered_in_their_order(exported: SimpleNamespace) -> None:
    encoder = ExportedEncoder.open(exported.path)
    roles = ["document", "query", "query", "document", "query"]
    answered = encoder.answer([{"role": role, "text": text} for role, text in zip(roles, TEXTS, strict=True)])
    for row, role, text in zip(answered, roles, TEXTS, strict=True):
        np.testing.assert_allclose(row, encoder.encode([text], role=role)[0], atol=1e-6)
