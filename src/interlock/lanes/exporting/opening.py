"""What an exported model looks like to whoever asks it: open a file, ask, get numbers. onnxruntime and numpy only.

    class Ranker:                                            # in a module that does not import torch
        @classmethod
        def open(cls, path, *, threads=1):
            session, metadata = open_session(path, file_format="my-ranker-1", threads=threads)
            return cls(session, metadata["weights"])

        def answer(self, requests):                          # one or more JSON values -> [N, ...] float32
            ...

Such a class is handed to `checking.ship`, which tries it in a fresh process and times it. Everything that `answer`
needs beyond the graph belongs into the file's metadata (`graph.export_onnx(metadata=...)`). Does not encode text: see
`answering.py`.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from interlock.errors import DataError

METADATA_KEY = "interlock"
"""Key of the canonical JSON in the file's `metadata_props`."""


class ExportedModel(Protocol):
    """An opened model file; the class itself is the opener, and its module must not import torch."""

    @classmethod
    def open(cls, path: Path, *, threads: int = 1) -> Self:
        """Load on the CPU. Raises DataError for a file that is missing, no ONNX, or of another format."""
        ...

    def answer(self, requests: Sequence[Any]) -> NDArray[np.float32]:
        """[N, ...] one answer for each of N >= 1 requests; a request is a JSON value that the lane chooses."""
        ...


def open_session(path: Path, *, file_format: str, threads: int = 1) -> tuple[Any, dict[str, Any]]:
    """An onnxruntime session on the CPU, and the file's metadata, whose `format` must be `file_format`.

    Raises DataError for a missing file, no ONNX, no metadata, or metadata of another format.
    """
    session = _session(path, threads)
    try:
        metadata = json.loads(session.get_modelmeta().custom_metadata_map[METADATA_KEY])
        found = metadata["format"]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            "file does not say how to ask it", path=path, key=METADATA_KEY, hint=f"export it again ({error})"
        ) from error
    if found != file_format:
        raise DataError("model of another format", path=path, value=found, hint=f"this code reads {file_format}")
    return session, metadata


def _session(path: Path, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises classes of its own C++ module, with no public base
        raise DataError(
            "not a loadable ONNX model", path=path, hint=f"export it again ({str(error).splitlines()[0]})"
        ) from error
