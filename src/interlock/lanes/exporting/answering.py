"""The consumer's side of an exported text encoder: text in, vector out, with onnxruntime and numpy only.

    encoder = ExportedEncoder.open(Path("model.onnx"))
    vectors_BD = encoder.encode(["read a csv file"], role="query")

Everything needed besides the graph is in the file: how features are counted, how each role (query, document) weighs
them, and constants that a role feeds to the graph. Does not import torch: this is what runs in production and in the
fresh-process check.

Shapes: B texts, N requests, T features of the longest, D dimensions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from interlock.errors import DataError
from interlock.lanes.exporting.opening import METADATA_KEY, open_session
from interlock.lanes.retrieval.ragged import pad, pad_kinds
from interlock.lanes.retrieval.text import HashedFeatures
from interlock.lanes.retrieval.weighting import Weighting

FORMAT = "interlock-text-encoder-1"
"""Raised when the meaning of the metadata changes."""

IDS, WEIGHTS, KINDS, VECTORS = "ids", "weights", "kinds", "vectors"
"""Names in the graph: inputs `ids` [B, T] int64, `weights` [B, T] float32 and, where the graph asks for it, `kinds`
[B, T] int64 (indices into `text.KINDS`); output `vectors` [B, D] float32."""


@dataclass(frozen=True, kw_only=True)
class Role:
    """How one kind of text is fed to the graph."""

    weighting: Weighting
    """Turns counts into weights."""
    constants: Mapping[str, int] = field(default_factory=dict)
    """Further int64 inputs of the graph, [B] each, filled with this number."""


def encoder_metadata(features: HashedFeatures, roles: Mapping[str, Role]) -> dict[str, Any]:
    """What `export_onnx` stores for a text encoder."""
    return {
        "format": FORMAT,
        "features": features.parameters(),
        "roles": {
            name: {"weighting": role.weighting.parameters(), "constants": dict(role.constants)}
            for name, role in roles.items()
        },
    }


class ExportedEncoder:
    """An opened model file."""

    def __init__(self, session: Any, features: HashedFeatures, roles: Mapping[str, Role]) -> None:
        """Use `open`."""
        self._session, self._features, self.roles = session, features, dict(roles)
        self._needs_kinds = KINDS in {given.name for given in session.get_inputs()}

    @classmethod
    def open(cls, path: Path, *, threads: int = 1) -> Self:
        """Load on the CPU. Raises DataError for a missing file, no ONNX, or no text encoder of this format."""
        session, metadata = open_session(path, file_format=FORMAT, threads=threads)
        try:
            roles = {
                name: Role(weighting=Weighting(**role["weighting"]), constants=role["constants"])
                for name, role in metadata["roles"].items()
            }
            features = HashedFeatures.from_parameters(metadata["features"])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                "file does not say how to encode text", path=path, key=METADATA_KEY, hint=f"export it again ({error})"
            ) from error
        return cls(session, features, roles)

    def answer(self, requests: Sequence[Mapping[str, str]]) -> NDArray[np.float32]:
        """[N, D] vectors of N >= 1 requests `{"role": ..., "text": ...}`, of one role or of several."""
        asked: dict[str, list[int]] = {}
        for row, request in enumerate(requests):
            asked.setdefault(request["role"], []).append(row)
        rows = [row for of_role in asked.values() for row in of_role]
        vectors_ND = np.concatenate([
            self.encode([requests[row]["text"] for row in of_role], role=role) for role, of_role in asked.items()
        ])  # fmt: skip
        answered_ND = np.empty_like(vectors_ND)
        answered_ND[rows] = vectors_ND
        return answered_ND

    def encode(self, texts: Sequence[str], *, role: str) -> NDArray[np.float32]:
        """[B, D] vectors of B >= 1 texts. Raises DataError for an unknown role."""
        if role not in self.roles:
            raise DataError("unknown role", value=role, hint=f"the model knows {', '.join(sorted(self.roles))}")
        chosen = self.roles[role]
        weighed = chosen.weighting.apply(self._features.encode(texts))
        ids_BT, weights_BT = pad(weighed)
        given = {name: np.full(len(texts), value, dtype=np.int64) for name, value in chosen.constants.items()}
        if self._needs_kinds:
            given[KINDS] = pad_kinds(weighed)
        (vectors_BD,) = self._session.run([VECTORS], {IDS: ids_BT, WEIGHTS: weights_BT, **given})
        result: NDArray[np.float32] = vectors_BD
        return result
