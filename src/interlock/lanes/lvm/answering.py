"""The consumer's side of an exported predictor: vectors of the passages so far in, the next one out. No torch.

    model = ExportedPredictor.open(Path("model.onnx"))
    next_BD = model.answer([[vector_1, vector_2], [vector_1]])         # histories of any length, vectors as lists

The vectors are those of the encoder that was frozen for the training; `encoder_digest` says which (the files
`reference.*` beside the trained weights). Does not encode text.

Shapes: B histories, T vectors of the longest, D vector width.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from interlock.errors import DataError
from interlock.lanes.exporting.opening import METADATA_KEY, open_session

FORMAT = "interlock-next-vector-1"
"""Raised when the meaning of the file changes."""

VECTORS, LENGTHS, NEXT = "vectors", "lengths", "next"
"""Names in the graph: inputs `vectors` [B, T, D] float32 (anything behind a history's end) and `lengths` [B] int64,
output `next` [B, D] float32 of length 1."""


def predictor_metadata(*, dimensions: int, encoder_digest: str) -> dict[str, Any]:
    """What `export_onnx` stores for a predictor."""
    return {"format": FORMAT, "dimensions": dimensions, "encoder": {"kind": "lsa", "digest": encoder_digest}}


class ExportedPredictor:
    """An opened model file."""

    def __init__(self, session: Any, *, dimensions: int, encoder_digest: str) -> None:
        """Use `open`."""
        self._session, self.dimensions, self.encoder_digest = session, dimensions, encoder_digest

    @classmethod
    def open(cls, path: Path, *, threads: int = 1) -> Self:
        """Load on the CPU. Raises DataError for a missing file, no ONNX, or no predictor of this format."""
        session, metadata = open_session(path, file_format=FORMAT, threads=threads)
        try:
            dimensions, digest = int(metadata["dimensions"]), str(metadata["encoder"]["digest"])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                "file does not say what it predicts", path=path, key=METADATA_KEY, hint=f"export it again ({error})"
            ) from error
        return cls(session, dimensions=dimensions, encoder_digest=digest)

    def answer(self, requests: Sequence[Sequence[Sequence[float]]]) -> NDArray[np.float32]:
        """[B, D] directions of what follows B >= 1 histories of one or more vectors. Raises DataError for others."""
        histories = [np.asarray(history, dtype=np.float32) for history in requests]
        for history in histories:
            if history.ndim != 2 or len(history) == 0 or history.shape[1] != self.dimensions:
                raise DataError(
                    "a history is one or more vectors", value=history.shape, hint=f"each of {self.dimensions} numbers"
                )
        lengths_B = np.array([len(history) for history in histories], dtype=np.int64)
        vectors_BTD = np.zeros((len(histories), int(lengths_B.max()), self.dimensions), dtype=np.float32)
        for row, history in zip(vectors_BTD, histories, strict=True):
            row[: len(history)] = history
        (next_BD,) = self._session.run([NEXT], {VECTORS: vectors_BTD, LENGTHS: lengths_B})
        result: NDArray[np.float32] = next_BD
        return result
