"""Weights as safetensors whose bytes depend on nothing but the weights and their metadata.

safetensors writes several metadata keys in an order that changes from process to process, so everything said about the
weights is one canonical JSON under one key. Also refused here, where the name of the tensor is still known: values that
are not finite, and files that are not safetensors (a pickle is never opened).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from interlock.errors import DataError, NonFiniteError, StageError
from interlock.provenance.canonical import canonical_json
from interlock.provenance.digest import sha256_file
from interlock.provenance.files import write_atomic

METADATA_KEY = "interlock"


def write_weights(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> str:
    """Write tensors (any device and layout) and JSON metadata atomically; returns the SHA-256 of the file.

    Raises NonFiniteError naming the tensor, and StageError for two names that share memory.
    """
    from safetensors.torch import save

    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise NonFiniteError(
                "weights hold NaN or infinity", path=path, key=name, hint="resume from the last finite checkpoint"
            )
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in sorted(tensors.items())}
    try:
        data = save(plain, metadata={METADATA_KEY: canonical_json(dict(metadata))})
    except RuntimeError as error:
        raise StageError(
            "weights cannot be written", path=path, hint=f"give each name memory of its own: {error}"
        ) from error
    write_atomic(path, data)
    return sha256_file(path)


def read_weights(path: Path, *, device: str = "cpu") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors by name and the metadata. Raises DataError for a missing or malformed file, a pickle included."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt", device=device) as file:
            metadata = json.loads((file.metadata() or {})[METADATA_KEY])
            return {name: file.get_tensor(name) for name in sorted(file.keys())}, metadata
    except (OSError, SafetensorError) as error:
        raise DataError(
            "not a readable safetensors file", path=path, hint=f"pickles are never opened ({error})"
        ) from error
    except (KeyError, ValueError) as error:
        raise DataError(
            "safetensors file lacks Interlock's metadata",
            path=path,
            key=METADATA_KEY,
            hint="was it written by another program?",
        ) from error
