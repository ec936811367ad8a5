"""The exported reranker as a consumer sees it: a query and candidates in, a score for each out. No torch, no dataset.

    reranker = RerankModel.open(Path("model.onnx"))
    reranker.rerank("read a csv file", ["Parameters ...", "Returns ..."])       # [2] scores, the higher the better

One document is a list of one. What a candidate scores depends on the others, so scores of two lists are not comparable.
Features are counted and weighed as in training: how stands in the file's metadata. Shapes: C candidates, T features.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from interlock.errors import DataError
from interlock.lanes.exporting.opening import METADATA_KEY, open_session
from interlock.lanes.retrieval.ragged import pad, pad_kinds
from interlock.lanes.retrieval.text import HashedFeatures
from interlock.lanes.retrieval.weighting import Weighting

FORMAT = "interlock-reranker-1"
"""Raised when the meaning of the metadata or of the graph's inputs changes."""

SIDES = ("query", "document")
PARTS = ("ids", "weights", "kinds")
INPUTS = tuple(f"{side}_{part}" for side in SIDES for part in PARTS)
"""Names in the graph: of the query [T], of the candidates [C, T]; ids and kinds int64, weights float32."""
SCORES = "scores"
"""Name of its output, [C] float32."""


class RerankModel:
    """An opened reranker."""

    def __init__(self, session: Any, features: HashedFeatures, weightings: Mapping[str, Weighting]) -> None:
        """Use `open`."""
        self._session, self._features, self._weightings = session, features, dict(weightings)

    @classmethod
    def open(cls, path: Path, *, threads: int = 1) -> Self:
        """Load on the CPU. Raises DataError for a file that is missing, no ONNX, or of another format."""
        session, metadata = open_session(path, file_format=FORMAT, threads=threads)
        try:
            weightings = {side: Weighting(**metadata["weightings"][side]) for side in SIDES}
            features = HashedFeatures.from_parameters(metadata["features"])
        except (KeyError, TypeError) as error:
            raise DataError(
                "file does not say how to read text", path=path, key=METADATA_KEY, hint=f"export it again ({error})"
            ) from error
        return cls(session, features, weightings)

    def rerank(self, query: str, documents: Sequence[str]) -> NDArray[np.float32]:
        """[C] scores of C >= 1 documents. Raises DataError for an empty list."""
        if not documents:
            raise DataError("nothing to rerank", key="documents", hint="give at least one document")
        asked, found = self._padded("query", [query]), self._padded("document", documents)
        feed = dict(zip(INPUTS, (*(array[0] for array in asked), *found), strict=True))
        (scores_C,) = self._session.run([SCORES], feed)
        result: NDArray[np.float32] = scores_C
        return result

    def answer(self, requests: Sequence[Any]) -> NDArray[np.float32]:
        """[N, C] scores of N >= 1 requests `{"query": ..., "documents": [...]}`; NaN behind the end of shorter lists.

        Raises DataError for a request of another form.
        """
        answered = [self.rerank(*_taken_apart(number, request)) for number, request in enumerate(requests)]
        if not answered:
            raise DataError("nothing was asked", key="requests", hint="give at least one query with documents")
        filled = np.full((len(answered), max(map(len, answered))), np.nan, dtype=np.float32)
        for row, scores_C in zip(filled, answered, strict=True):
            row[: len(scores_C)] = scores_C
        return filled

    def _padded(self, side: str, texts: Sequence[str]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        weighed = self._weightings[side].apply(self._features.encode(texts))
        return *pad(weighed), pad_kinds(weighed)


def _taken_apart(number: int, request: Any) -> tuple[str, list[str]]:
    if isinstance(request, Mapping):
        query, documents = request.get("query"), request.get("documents")
        if isinstance(query, str) and isinstance(documents, list) and all(isinstance(text, str) for text in documents):
            return query, documents
    raise DataError(
        "a request is a query with documents", key=f"requests[{number}]", value=request,
        hint='for example {"query": "read a csv file", "documents": ["Parameters ...", "Returns ..."]}',
    )  # fmt: skip
