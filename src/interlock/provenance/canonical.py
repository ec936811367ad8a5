"""The one canonical JSON that feeds every digest.

Sorted keys, no spaces, UTF-8, no NaN or infinity, floats in Python's shortest round-trip form. Does not cover types
that JSON lacks: convert them first, so that the choice is visible at the call.
"""

import hashlib
import json
from typing import Any

from pydantic import BaseModel


def plain(value: Any) -> Any:
    """Turn contracts (also nested in dicts, lists and tuples) into JSON types."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def canonical_json(value: Any) -> str:
    """Return the canonical text. Raises ValueError for NaN or infinity, TypeError for types JSON lacks."""
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256_json(value: Any) -> str:
    """SHA-256 (hex) of the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def pretty_json(value: Any) -> str:
    """The same content for files that people read: sorted, indented, with a final newline."""
    return json.dumps(plain(value), sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
