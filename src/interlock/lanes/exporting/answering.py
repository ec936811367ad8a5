"""The consumer's side of an exported text encoder: text in, vector out, with onnxruntime and numpy only.

    encoder = ExportedEncoder.open(Path("model.onnx"))
    vectors_BD = encoder.encode(["read a csv file"], role="query")

Everything needed besides the graph is in the file: how features are counted, how each role (query, document) weighs
them, and constants that a role feeds to the graph. Does not import torch: this is what runs in production and in the
fresh-process check.

Shapes: B texts, T features of the longest, D dimensions.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interlock.errors import DataError
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
    def open(cls, path: Path, *, threads: int = 1) -> "ExportedEncoder":
        """Load on the CPU. Raises DataError for a missing file, no ONNX, or no text encoder of this format."""
        session = _session(path, threads)
        try:
            metadata = json.loads(session.get_modelmeta().custom_metadata_map["interlock"])
            roles = {
                name: Role(weighting=Weighting(**role["weighting"]), constants=role["constants"])
                for name, role in metadata["roles"].items()
            }
            features, found = HashedFeatures.from_parameters(metadata["features"]), metadata["format"]
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                "file does not say how to encode text", path=path, key="interlock", hint=f"export it again ({error})"
            ) from error
        if found != FORMAT:
            raise DataError("text encoder of another format", path=path, value=found, hint=f"this code reads {FORMAT}")
        return cls(session, features, roles)

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
