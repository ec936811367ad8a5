"""Which keys a configuration has, and which of them somebody meant who typed another one.

Keys come from the contract and, inside free mappings such as `agents`, from what was composed. Does not decide whether
a configuration is valid (`interlock.config.validate`).
"""

import math
import typing
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

_FAR = 0.4
"""Share of a key's letters above which another key is no longer near."""
_INSIDE = 0.5
"""A key whose end is near counts half a letter less near than one that is near as a whole."""


def known_keys(kind: Any, values: Any, prefix: str = "") -> Iterator[str]:
    """Every dotted key below the contract `kind`, parents included; `values` name entries and choose among unions."""
    nodes = values if isinstance(values, dict) else {}
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        names: Iterable[str] = kind.model_fields
    else:
        names = nodes if typing.get_origin(kind) is dict else ()
    for name in names:
        node = nodes.get(name)
        yield f"{prefix}{name}"
        yield from known_keys(child(kind, name, node), node, f"{prefix}{name}.")


def nearest_key(key: str, known: Iterable[str]) -> str:
    """The key that differs in the fewest letters, whole or in its end (`optimizer.lr`); empty when none is near.

    Of equally near ones the shortest is taken, then the first in the alphabet.
    """
    best, nearest = max(1.0 + _INSIDE, _FAR * len(key)), ""
    for name in sorted(set(known), key=lambda name: (len(name), name)):
        distance = _distance(key, name, limit=best)
        if distance < best or (not nearest and distance == best):
            best, nearest = distance, name
    return nearest


def _distance(key: str, known: str, *, limit: float) -> float:
    parts, count = known.split("."), key.count(".") + 1
    whole = edits(key, known, limit=limit)
    if len(parts) <= count:
        return whole
    return min(whole, edits(key, ".".join(parts[-count:]), limit=limit) + _INSIDE)


def edits(one: str, other: str, *, limit: float = math.inf) -> float:
    """Letters to insert, drop, replace or swap with their neighbour (optimal string alignment distance).

    Infinite when there are more than `limit`, which is found out early.
    """
    if abs(len(one) - len(other)) > limit:
        return math.inf
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, start=1):
        last, row = row, [i]
        for j, b in enumerate(other, start=1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before = last
        if min(row) > limit and min(last) > limit:
            return math.inf
    return float(row[-1]) if row[-1] <= limit else math.inf


def names_at(model: Any, path: Sequence[str], values: Any) -> tuple[str, ...]:
    """Field names of the contract that stands at `path`."""
    kind = kind_at(model, path, values)
    return tuple(sorted(kind.model_fields)) if isinstance(kind, type) and issubclass(kind, BaseModel) else ()


def kind_at(model: Any, path: Sequence[str], values: Any) -> Any:
    """The contract, or the annotation of a free mapping, that stands at `path`; None where there is none."""
    node, kind = values, model
    for part in path:
        node = node.get(part) if isinstance(node, dict) else None
        kind = child(kind, part, node)
    return kind


def field_at(model: Any, path: Sequence[str], values: Any) -> FieldInfo | None:
    """The contract field behind a dotted key, or None for a free mapping's entry."""
    node, kind, field = values, model, None
    for part in path:
        field = kind.model_fields.get(part) if isinstance(kind, type) and issubclass(kind, BaseModel) else None
        node = node.get(part) if isinstance(node, dict) else None
        kind = child(kind, part, node)
    return field


def child(kind: Any, part: str, value: Any) -> Any:
    """The contract or annotation of the entry `part`, whose value chooses among unions."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        field = kind.model_fields.get(part)
        return _narrow(field.annotation, value) if field else None
    if typing.get_origin(kind) is dict:
        return _narrow(typing.get_args(kind)[1], value)
    return None


def _narrow(annotation: Any, value: Any) -> Any:
    """Pick the member of a union that a value's `kind` names; unwrap Annotated and Optional."""
    if typing.get_origin(annotation) is Annotated:
        annotation = typing.get_args(annotation)[0]
    members = [_narrow(member, value) for member in typing.get_args(annotation)]
    if typing.get_origin(annotation) is dict or not members:
        return annotation
    tag = value.get("kind") if isinstance(value, dict) else None
    models = [item for item in members if isinstance(item, type) and issubclass(item, BaseModel)]
    tagged = [item for item in models if tag in typing.get_args(item.model_fields["kind"].annotation)] if tag else []
    return (tagged or models or [annotation])[0]
