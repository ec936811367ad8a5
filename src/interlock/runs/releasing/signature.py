"""What an exported model takes and gives, read from its ONNX file, and what a change of that does to its callers.

    signature(path)                       names, types and shapes of inputs and outputs, and the format of its metadata
    changes(before, after)                each one with whether it breaks a caller that was written for the old one

A changed type, rank or fixed length, an input more or less, an output less and another format break a caller. An
output more, or a length that varies now, is drift that a caller survives. Does not run the model.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from interlock.errors import DataError

METADATA_KEY = "interlock"
Side = Literal["input", "output"]


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """One input or output."""

    type: str
    """Element type as ONNX names it, e.g. `FLOAT`."""
    shape: tuple[int | str, ...]
    """Lengths by axis: a number is fixed, a name varies."""


@dataclass(frozen=True, kw_only=True)
class Signature:
    """What a model file takes and gives."""

    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]
    format: str
    """How to ask it: the format that its metadata names; empty without metadata."""

    def as_json(self) -> dict[str, Any]:
        """For a record."""
        values = asdict(self)
        for side in ("inputs", "outputs"):
            values[side] = {
                name: {"type": item["type"], "shape": list(item["shape"])} for name, item in values[side].items()
            }
        return values


@dataclass(frozen=True, kw_only=True)
class Change:
    """One difference."""

    what: str
    """In words."""
    breaks: bool
    """Whether a caller of the old version fails, or gets another thing than it expects."""


def signature(path: Path) -> Signature:
    """Read the file. Raises DataError for one that is missing or no ONNX."""
    import onnx

    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # protobuf raises classes of its own
        problem = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError("not a readable ONNX file", path=path, hint=f"export it again ({problem})") from error
    if not model.graph.output:  # an empty file parses as an empty model
        raise DataError("not a readable ONNX file", path=path, hint="export it again (it gives nothing)")
    fed = {item.name for item in model.graph.initializer}
    return Signature(
        inputs={item.name: _tensor(item) for item in model.graph.input if item.name not in fed},
        outputs={item.name: _tensor(item) for item in model.graph.output},
        format=_format({item.key: item.value for item in model.metadata_props}),
    )


def changes(before: Signature, after: Signature) -> tuple[Change, ...]:
    """Everything that differs, inputs first."""
    found = [*_sides(before.inputs, after.inputs, "input"), *_sides(before.outputs, after.outputs, "output")]
    if before.format != after.format:
        told = f"its format is {after.format or 'not named'}, it was {before.format or 'not named'}"
        found.append(Change(what=told, breaks=True))
    return tuple(found)


def drift(found: Sequence[Change]) -> float:
    """Normalised drift: 0 without a change, 0.5 where callers survive every one, 1 where one of them breaks callers."""
    if any(change.breaks for change in found):
        return 1.0
    return 0.5 if found else 0.0


def _sides(before: Mapping[str, Tensor], after: Mapping[str, Tensor], side: Side) -> Iterator[Change]:
    for name in sorted(set(before) - set(after)):
        yield Change(what=f"{side} {name} is gone", breaks=True)
    for name in sorted(set(after) - set(before)):
        yield Change(what=f"{side} {name} is new", breaks=side == "input")
    for name in sorted(set(before) & set(after)):
        yield from _tensors(before[name], after[name], f"{side} {name}")


def _tensors(before: Tensor, after: Tensor, name: str) -> Iterator[Change]:
    if before.type != after.type:
        yield Change(what=f"{name} is {after.type}, it was {before.type}", breaks=True)
    if len(before.shape) != len(after.shape):
        yield Change(what=f"{name} has {len(after.shape)} axes, it had {len(before.shape)}", breaks=True)
        return
    for axis, (old, new) in enumerate(zip(before.shape, after.shape, strict=True)):
        was_fixed, is_fixed = isinstance(old, int), isinstance(new, int)
        if is_fixed and old != new:
            yield Change(what=f"axis {axis} of {name} is {new}, it was {old if was_fixed else 'free'}", breaks=True)
        elif was_fixed and not is_fixed:
            yield Change(what=f"axis {axis} of {name} varies, it was {old}", breaks=False)


def _tensor(value: Any) -> Tensor:
    import onnx

    kind = value.type.tensor_type
    shape = tuple(
        int(dim.dim_value) if dim.HasField("dim_value") else str(dim.dim_param or "?") for dim in kind.shape.dim
    )
    return Tensor(type=onnx.TensorProto.DataType.Name(kind.elem_type), shape=shape)


def _format(metadata: Mapping[str, str]) -> str:
    try:
        found = json.loads(metadata[METADATA_KEY])
    except (KeyError, ValueError, RecursionError):
        return ""
    return str(found.get("format", "")) if isinstance(found, dict) else ""
