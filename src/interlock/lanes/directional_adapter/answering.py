"""The exported adapter as a consumer sees it: two texts in, a calibrated probability out. No torch, no Interlock data.

    adapter = OrderModel.open(Path("model.onnx"))
    adapter.answer([["It returns nothing.", "Close the file."]])          # P(first comes before second): [0.03]

Reads the file format 1 that `export.py` writes. The features of a text are counted as in training: how stands in the
file's metadata. Shapes: B pairs.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interlock.errors import DataError
from interlock.lanes.directional_adapter.features import PassageFeatures
from interlock.lanes.exporting.opening import open_session
from interlock.lanes.retrieval.ragged import pad

FORMAT = "directional-adapter-1"
INPUTS = ("first_ids", "first_weights", "second_ids", "second_weights")
"""Names of the graph's inputs, in the order of `AdapterNetwork.forward`."""
PROBABILITY = "probability"
"""Name of its output."""


class OrderModel:
    """An opened adapter."""

    def __init__(self, session: Any, features: PassageFeatures) -> None:
        self._session, self._features = session, features

    @classmethod
    def open(cls, path: Path, *, threads: int = 1) -> "OrderModel":
        """Load on the CPU. Raises DataError for a file that is missing, no ONNX, or of another format."""
        session, metadata = open_session(path, file_format=FORMAT, threads=threads)
        return cls(session, PassageFeatures.from_parameters(metadata["features"]))

    def answer(self, requests: Sequence[Any]) -> NDArray[np.float32]:
        """[B] calibrated probability that each pair's first text comes before its second; each request is two texts.

        Raises DataError for anything but one or more pairs of texts.
        """
        pairs = [_pair(number, request) for number, request in enumerate(requests)]
        if not pairs:
            raise DataError("nothing was asked", key="requests", hint="give at least one pair of texts")
        sides = [pad(self._features.encode(list(texts))) for texts in zip(*pairs, strict=True)]
        feed = dict(zip(INPUTS, (array for side in sides for array in side), strict=True))
        answered: NDArray[np.float32] = self._session.run([PROBABILITY], feed)[0]
        return answered


def _pair(number: int, request: Any) -> tuple[str, str]:
    if isinstance(request, list | tuple) and len(request) == 2 and all(isinstance(text, str) for text in request):
        return request[0], request[1]
    raise DataError(
        "a request is two texts", key=f"requests[{number}]", value=request, hint='for example ["First.", "Second."]'
    )
