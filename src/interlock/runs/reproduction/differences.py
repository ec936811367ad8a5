"""Where do two files differ first, and by how much? Numbers are compared as numbers, everything else byte by byte.

Used by `interlock reproduce`. Reads both files and changes nothing; knows nothing of runs or stages. Does not compare
measurements with their intervals: `interlock.runs.review.comparing` does.
"""

import csv
import io
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from interlock.contracts.reproduction import Tolerances

_IDENTITY = re.compile(r"\b(?:[0-9a-f]{64}|[0-9a-f]{16})\b")
"""Digests and run ids: they follow from bytes that are compared themselves."""
_SHOWN_MAX_CHARS = 60


@dataclass(frozen=True, kw_only=True)
class FileDifference:
    """How two files of one name differ."""

    where: str
    """The first place."""
    is_numeric: bool
    """Both hold the same fields and differ in numbers alone, so that `within` means something."""
    within: bool = False
    """Every number lies within its tolerance."""
    largest_absolute: float = 0.0
    """Largest difference of two numbers."""
    largest_relative: float = 0.0
    """Largest difference as a share of the tensor's largest magnitude, or of the number; of a table, that of a column's
    mean."""


def compare_files(archived: Path, reproduced: Path, tolerances: Tolerances) -> FileDifference:
    """How two existing files differ whose bytes are known to differ."""
    try:
        match archived.suffix:
            case ".safetensors":
                return _safetensors(archived, reproduced, tolerances.weights)
            case ".parquet":
                return _parquet(archived, reproduced, tolerances.metrics)
            case ".json":
                return _leaves(_json_leaves(archived), _json_leaves(reproduced), tolerances.metrics)
            case ".jsonl":
                return _leaves(_jsonl_leaves(archived), _jsonl_leaves(reproduced), tolerances.metrics)
            case ".csv":
                return _leaves(_csv_leaves(archived), _csv_leaves(reproduced), tolerances.metrics)
    except (ValueError, OSError):  # not what its name says: compared as bytes
        pass
    return FileDifference(where=_first_byte(archived.read_bytes(), reproduced.read_bytes()), is_numeric=False)


def compare_values(archived: Any, reproduced: Any, tolerances: Tolerances) -> FileDifference | None:
    """The same for JSON-like values; None when they are equal."""
    if archived == reproduced:
        return None
    return _leaves(_flat(archived, ""), _flat(reproduced, ""), tolerances.metrics)


def _leaves(left: Iterator[tuple[str, Any]], right: Iterator[tuple[str, Any]], tolerance: float) -> FileDifference:
    """Compare two sequences of named values, in order."""
    where, numeric, within, absolute, relative = "", True, True, 0.0, 0.0
    missing: tuple[str, Any] = ("", None)
    for (name, before), (other, after) in zip_longest(left, right, fillvalue=missing):
        if name == other and (before == after or _same_identity(before, after)):
            continue
        where = where or _became(name or other, before if name else None, after if name == other else None)
        gap = _gap(before, after) if name == other else None
        if gap is None:
            numeric = False
            break
        size = abs(before)
        within = within and gap <= tolerance * max(1.0, size)
        absolute, relative = max(absolute, gap), max(relative, gap / size if size else math.inf)
    where = where or "only in digests and ids of what it refers to, or in its spelling"
    return FileDifference(
        where=where,
        is_numeric=numeric,
        within=numeric and within,
        largest_absolute=absolute,
        largest_relative=relative,
    )


def _gap(before: Any, after: Any) -> float | None:
    """Difference of two finite numbers; None where one is something else."""
    return float(abs(before - after)) if _is_number(before) and _is_number(after) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _same_identity(before: Any, after: Any) -> bool:
    if not (isinstance(before, str) and isinstance(after, str)):
        return False
    return _IDENTITY.sub("#", before) == _IDENTITY.sub("#", after)


def _became(name: str, before: Any, after: Any) -> str:
    return f"{name}: {_shown(before)} became {_shown(after)}"


def _shown(value: Any) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= _SHOWN_MAX_CHARS else f"{text[:_SHOWN_MAX_CHARS]}..."


def _json_leaves(path: Path) -> Iterator[tuple[str, Any]]:
    return _flat(json.loads(path.read_text()), "")


def _jsonl_leaves(path: Path) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        yield from _flat(json.loads(line), f"line {number}, ")


def _flat(node: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict | list):
        items = node.items() if isinstance(node, dict) else enumerate(node)
        for key, value in items:
            yield from _flat(value, f"{name}{key}" if not name or name.endswith(", ") else f"{name}.{key}")
        if not node:
            yield name, type(node).__name__
    else:
        yield name, node


def _csv_leaves(path: Path) -> Iterator[tuple[str, Any]]:
    """Cells as `line 7 (step 5), loss`: a training log's first column tells when."""
    header, *rows = list(csv.reader(io.StringIO(path.read_text())))
    yield "header", ",".join(header)
    for number, row in enumerate(rows, start=2):
        for column, cell in zip_longest(header, row, fillvalue="no column"):
            yield f"line {number} ({header[0]} {row[0] if row else ''}), {column}", _number_or_text(cell)


def _number_or_text(cell: str) -> Any:
    try:
        return float(cell)
    except ValueError:
        return cell


def _safetensors(archived: Path, reproduced: Path, tolerance: float) -> FileDifference:
    """Tensors in the order of their names; the share is of the largest magnitude in the archived tensor."""
    left, right = _tensors(archived), _tensors(reproduced)
    where, absolute, relative = "", 0.0, 0.0
    for name in sorted({*left, *right}):
        a, b = left.get(name), right.get(name)
        if a is None or b is None or a.shape != b.shape:
            shapes = [None if tensor is None else list(tensor.shape) for tensor in (a, b)]
            return FileDifference(where=where or _became(f"tensor {name}", *shapes), is_numeric=False)
        gap, size, place = _tensor_gap(a, b)
        if gap and not where:
            where = _became(f"tensor {name}{list(place)}", float(a[place]), float(b[place]))
        share = gap / size if size else (math.inf if gap else 0.0)
        absolute, relative = max(absolute, gap), max(relative, share)
    is_finite = math.isfinite(absolute)
    return FileDifference(
        where=where or "only in how equal tensors are written down",
        is_numeric=is_finite,
        within=is_finite and relative <= tolerance,
        largest_absolute=absolute if is_finite else 0.0,
        largest_relative=relative if math.isfinite(relative) else 0.0,
    )


def _tensor_gap(a: Any, b: Any) -> tuple[float, float, tuple[int, ...]]:
    """Largest difference, largest magnitude of `a`, and the index of the first difference."""
    import numpy as np

    if np.array_equal(a, b, equal_nan=True):
        return 0.0, 0.0, ()
    first = np.unravel_index(int(np.argmax(a != b)), a.shape)
    is_finite = bool(np.isfinite(a).all() and np.isfinite(b).all())  # a NaN would slip through every comparison
    gap = float(np.abs(a - b).max()) if is_finite else math.inf
    return gap, float(np.abs(a).max()), tuple(int(index) for index in first)


def _tensors(path: Path) -> dict[str, Any]:
    """All tensors as float64, also bfloat16, which numpy does not know."""
    import numpy as np
    from safetensors import SafetensorError, deserialize

    kinds = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1"}
    kinds |= {"U16": "<u2", "U32": "<u4", "U64": "<u8", "BOOL": "?"}
    tensors = {}
    try:
        for name, item in deserialize(path.read_bytes()):  # type: ignore[no-untyped-call]
            data = item["data"]
            if item["dtype"] == "BF16":
                flat = (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
            else:
                flat = np.frombuffer(data, kinds[item["dtype"]])
            tensors[name] = flat.astype(np.float64).reshape(item["shape"])
    except (SafetensorError, KeyError) as error:
        raise ValueError(f"cannot be read as safetensors: {error}") from error
    return tensors


def _parquet(archived: Path, reproduced: Path, tolerance: float) -> FileDifference:
    """Columns in order; numbers are held to their mean difference, as a metric over the items is."""
    from pyarrow.parquet import ParquetFile  # read_table would import pandas

    left, right = ParquetFile(archived).read(), ParquetFile(reproduced).read()
    if left.column_names != right.column_names or left.num_rows != right.num_rows:
        shapes = [f"{table.num_rows} rows of {', '.join(table.column_names)}" for table in (left, right)]
        return FileDifference(where=_became("table", *shapes), is_numeric=False)
    where, within, absolute, relative = "", True, 0.0, 0.0
    for name in left.column_names:
        a, b = left.column(name).to_pylist(), right.column(name).to_pylist()
        changed = [row for row, (x, y) in enumerate(zip(a, b, strict=True)) if x != y]
        if not changed:
            continue
        where = where or _became(f"row {changed[0]}, column {name}", a[changed[0]], b[changed[0]])
        if not all(_is_number(a[row]) and _is_number(b[row]) for row in changed):
            return FileDifference(where=where, is_numeric=False)
        mean_gap = abs(math.fsum(a[row] - b[row] for row in changed)) / len(a)
        within = within and mean_gap <= tolerance
        absolute = max(absolute, max(abs(a[row] - b[row]) for row in changed))
        relative = max(relative, mean_gap)
    where = where or "only in how equal rows are written down"
    return FileDifference(
        where=where, is_numeric=True, within=within, largest_absolute=absolute, largest_relative=relative
    )


def _first_byte(before: bytes, after: bytes) -> str:
    """The first line that differs in text, else the first byte."""
    try:
        lines = zip_longest(before.decode().splitlines(), after.decode().splitlines())
        for number, (x, y) in enumerate(lines, start=1):
            if x != y:
                return _became(f"line {number}", x, y)
    except UnicodeDecodeError:
        pass
    length = min(len(before), len(after))
    place = next((index for index in range(length) if before[index] != after[index]), length)
    return f"byte {place:,} of {len(before):,}, now {len(after):,}"
