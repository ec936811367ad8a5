"""ONNX export with canonical bytes: the same model gives the same digest in any process, folder and hash seed.

    export_onnx(model, path, inputs={"ids": ids_BT, "weights": weights_BT}, outputs=("vectors",),
                axes={"ids": ("batch", "length"), "weights": ("batch", "length")}, metadata={...})

torch's exporter leaves stack traces with absolute source paths in the file; they are taken out and the message is
serialised deterministically. What a consumer needs besides the graph is one canonical JSON under `metadata_props`.
Does not prove that the file answers like the model: see `fresh_process.py`.
"""

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from interlock.errors import StageError
from interlock.lanes.exporting.opening import METADATA_KEY
from interlock.provenance.canonical import canonical_json
from interlock.provenance.digest import sha256_file
from interlock.provenance.files import write_atomic

SIZE_MAX_BYTES = 2**31 - 1
"""Largest protobuf message; weights are kept inside the file because an external one puts its name into the bytes."""


def export_onnx(
    model: nn.Module,
    path: Path,
    *,
    inputs: Mapping[str, Tensor],
    outputs: Sequence[str],
    axes: Mapping[str, Sequence[str | None]],
    metadata: Mapping[str, Any],
) -> str:
    """Export `model(*inputs)` and return the file's SHA-256.

    `axes` names each axis of each input that varies (None: fixed); equal names vary together. Every varying axis of a
    sample input must be at least 2 long: with 1, torch fixes the axis at 1 and the file is wrong without any error.
    Raises StageError for a shorter sample and for a model that cannot be exported.
    """
    _check_samples(inputs, axes, path)
    data = _canonical_bytes(_exported(model, inputs, outputs, axes, path=path), metadata, path)
    write_atomic(path, data)
    return sha256_file(path)


def _exported(
    model: nn.Module,
    inputs: Mapping[str, Tensor],
    outputs: Sequence[str],
    axes: Mapping[str, Sequence[str | None]],
    *,
    path: Path,
) -> Any:
    names = sorted({name for axis_names in axes.values() for name in axis_names if name})
    dims = {name: torch.export.Dim(name) for name in names}
    shapes = tuple({i: dims[axis] for i, axis in enumerate(axes.get(name, ())) if axis} for name in inputs)
    with _quiet_exporter():
        try:
            program = torch.onnx.export(
                model.eval(),
                tuple(inputs.values()),
                dynamo=True,
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_shapes=shapes,
                external_data=False,
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            cause = error.__cause__ or error
            raise StageError(
                "model cannot be exported to ONNX", path=path, hint=str(cause).strip().splitlines()[0]
            ) from error
    assert program is not None
    return program.model_proto


def _canonical_bytes(model: Any, metadata: Mapping[str, Any], path: Path) -> bytes:
    import onnx

    _strip_graph(model.graph)
    for function in model.functions:
        _strip(function)
        for node in function.node:
            _strip_node(node)
    _strip(model)
    model.metadata_props.add(key=METADATA_KEY, value=canonical_json(dict(metadata)))
    size_bytes = model.ByteSize()
    if size_bytes > SIZE_MAX_BYTES:
        raise StageError(
            "model is too large for one ONNX file", path=path, value=size_bytes, hint="fewer buckets or dimensions"
        )
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _strip_graph(graph: Any) -> None:
    _strip(graph)
    for node in graph.node:
        _strip_node(node)
    for part in (*graph.value_info, *graph.input, *graph.output, *graph.initializer):
        _strip(part)


def _strip_node(node: Any) -> None:
    _strip(node)
    for attribute in node.attribute:
        for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
            _strip_graph(graph)


def _strip(message: Any) -> None:
    del message.metadata_props[:]
    message.doc_string = ""


def _check_samples(inputs: Mapping[str, Tensor], axes: Mapping[str, Sequence[str | None]], path: Path) -> None:
    if unknown := sorted(set(axes) - set(inputs)):
        raise StageError("axes are named for inputs that do not exist", path=path, value=unknown)
    for name, axis_names in axes.items():
        for length, axis in zip(inputs[name].shape, axis_names, strict=True):
            if axis and length < 2:
                raise StageError(
                    f"sample input is too short along {axis!r}",
                    path=path,
                    key=name,
                    value=tuple(inputs[name].shape),
                    hint="export with at least 2 along every varying axis; 1 would be fixed into the file",
                )


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """The exporter warns about its own internals and about torchvision being absent; neither concerns the model."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
