"""Dotted keys over nested mappings: `lane.optimizer.lr`."""

import copy
from collections.abc import Iterable, Mapping
from typing import Any


def lookup(values: Any, key: object) -> Any:
    """The value at a dotted key; None where there is none, as for a key that YAML read as a number."""
    for part in str(key).split("."):
        values = values.get(part) if isinstance(values, Mapping) else None
    return values


def select(values: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """A copy of only the dotted `keys`, nested as they were; a key that is missing is left out."""
    chosen: dict[str, Any] = {}
    for key in keys:
        source, target = values, chosen
        *parents, last = key.split(".")
        for part in parents:
            source, target = source.get(part, {}), target.setdefault(part, {})
        if last in source:
            target[last] = copy.deepcopy(source[last])
    return chosen
