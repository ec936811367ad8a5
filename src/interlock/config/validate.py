"""Turn a composition into a validated `Experiment`, or into one error that lists every fault.

Hydra composes, pydantic decides: unknown keys, wrong types, NaN, infinities and missing values are refused by whichever
door they came. Also checks what no single field can see: metric names of gates and keys of the search space.
"""

import json
import re
import typing
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ValidationError, create_model
from pydantic.fields import FieldInfo

from interlock.config.compose import Composition, nearest
from interlock.contracts.experiment import Experiment
from interlock.contracts.lane import LanePolicy
from interlock.errors import ConfigError, Fault, UsageError
from interlock.lanes.catalog import find_lane, lane_kinds
from interlock.lanes.spec import LaneSpec
from interlock.provenance.dotted import lookup

MISSING = "???"


def validate(composition: Composition, *, subject: str) -> Experiment:
    """Return the experiment, its `lane` narrowed to the lane's own model. Raises ConfigError with all faults."""
    spec = _lane_spec(composition, subject)
    model = experiment_model(spec)
    faults = [*_missing(composition), *_cross_faults(composition, spec)]
    try:
        # From JSON text: strict mode then takes lists for tuples, and NaN is seen as what it is.
        experiment = model.model_validate_json(_as_json(composition.values, subject))
    except ValidationError as error:
        faults += _faults(error, composition, model, skip={fault.key for fault in faults})
    if faults:
        raise ConfigError(sorted(faults, key=lambda fault: fault.key), subject=subject)
    return experiment


def experiment_model(spec: LaneSpec) -> type[Experiment]:
    """The experiment contract whose `lane` is this lane's body with gates and search space."""
    lane = create_model(f"Lane_{spec.kind}", __base__=(spec.body_model(), LanePolicy))
    return create_model(f"Experiment_{spec.kind}", __base__=Experiment, lane=(lane, ...))


def _as_json(values: dict[str, Any], subject: str) -> str:
    try:
        return json.dumps(values)
    except (TypeError, ValueError) as error:
        fault = Fault(key="configuration", problem=f"holds something JSON cannot: {error}", has_value=False)
        raise ConfigError([fault], subject=subject, hint="write text, not bytes (YAML's !!binary)") from error


def _lane_spec(composition: Composition, subject: str) -> LaneSpec:
    lane = composition.values.get("lane")
    kind = lane.get("kind") if isinstance(lane, dict) else None
    try:
        return find_lane(str(kind))
    except UsageError as error:
        fault = Fault(
            key="lane.kind",
            problem=error.message,
            value=kind,
            source=composition.source_of("lane.kind"),
            allowed=lane_kinds(),
            nearest=nearest(str(kind), lane_kinds()),
        )
        raise ConfigError([fault], subject=subject) from error


def _missing(composition: Composition) -> Iterator[Fault]:
    for key, value in _leaves(composition.values):
        if value == MISSING:
            yield Fault(
                key=key, problem="must be set, it has no default", value=MISSING, source=composition.source_of(key)
            )


def _leaves(values: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    children = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for name, value in children:
        if isinstance(value, dict | list):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _faults(
    error: ValidationError, composition: Composition, model: type[BaseModel], *, skip: set[str]
) -> Iterator[Fault]:
    for item in error.errors(include_url=False):
        path = _without_tags(item["loc"], composition.values)
        key = ".".join(path)
        if key in skip:
            continue
        kind, allowed = item["type"], tuple[str, ...]()
        if kind == "extra_forbidden":
            allowed = _names_at(model, path[:-1], composition.values)
            if len(path) == 1:
                allowed = tuple(sorted({*allowed, *composition.groups}))
        yield Fault(
            key=key or "lane",
            problem=_problem(item),
            value=None if kind == "missing" else item.get("input"),
            has_value=kind != "missing" and not isinstance(item.get("input"), dict),
            source=composition.source_of(key),
            allowed=allowed,
            nearest=_nearest_key(path, allowed) if allowed else "",
        )


def _problem(item: Any) -> str:
    match item["type"]:
        case "extra_forbidden":
            return "is not a key of this configuration"
        case "missing":
            return "is required"
        case "union_tag_invalid" | "union_tag_not_found":
            expected = item.get("ctx", {}).get("expected_tags")
            return f"needs a kind that exists here{f': {expected}' if expected else ''}"
        case _:
            return re.sub(r"^(Value error, |Assertion failed, )", "", item["msg"])


def _nearest_key(path: Sequence[str], allowed: Sequence[str]) -> str:
    near = nearest(path[-1], allowed)
    return ".".join([*path[:-1], near]) if near else ""


def _without_tags(location: tuple[int | str, ...], values: Any) -> list[str]:
    """Drop the tags of discriminated unions, which users never write in a key."""
    path, node = [], values
    for part in location:
        if isinstance(node, dict) and part not in node and node.get("kind") == part:
            continue
        path.append(str(part))
        try:
            node = node[part]
        except (KeyError, IndexError, TypeError):
            node = None
    return path


def _names_at(model: Any, path: Sequence[str], values: Any) -> tuple[str, ...]:
    """Field names of the contract that stands at `path`."""
    node, kind = values, model
    for part in path:
        node = node.get(part) if isinstance(node, dict) else None
        kind = _child(kind, part, node)
    return tuple(sorted(kind.model_fields)) if isinstance(kind, type) and issubclass(kind, BaseModel) else ()


def field_at(model: Any, path: Sequence[str], values: Any) -> FieldInfo | None:
    """The contract field behind a dotted key, or None for a free mapping's entry."""
    node, kind, field = values, model, None
    for part in path:
        field = kind.model_fields.get(part) if isinstance(kind, type) and issubclass(kind, BaseModel) else None
        node = node.get(part) if isinstance(node, dict) else None
        kind = _child(kind, part, node)
    return field


def _child(kind: Any, part: str, value: Any) -> Any:
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


def _cross_faults(composition: Composition, spec: LaneSpec) -> Iterator[Fault]:
    """What no single field can see. Works on plain values, so that it also speaks when a field is wrong."""
    lane = composition.values["lane"]
    yield from _unknown_measurements(lane.get("gates"), composition, spec)
    space = lane.get("search_space")
    for key in space if isinstance(space, dict) else ():
        value = lookup(composition.values, key)
        if not isinstance(value, int | float) or isinstance(value, bool):
            yield Fault(
                key=f"lane.search_space.{key}",
                problem="does not name a number of this configuration",
                value=key,
                source=composition.source_of("lane.search_space"),
            )
    inputs = lane.get("inputs")
    for name in inputs if isinstance(inputs, dict) else ():
        if name not in spec.inputs:
            yield Fault(
                key=f"lane.inputs.{name}",
                problem="the lane has no such input",
                value=name,
                allowed=spec.inputs,
                source=composition.source_of(f"lane.inputs.{name}"),
            )


def _unknown_measurements(gates: Any, composition: Composition, spec: LaneSpec) -> Iterator[Fault]:
    known = sorted(spec.measurements)
    for name, gate in gates.items() if isinstance(gates, dict) and known else ():
        for field in ("metric", "baseline", "check"):
            value = gate.get(field) if isinstance(gate, dict) else None
            if isinstance(value, str) and value not in known:
                key = f"lane.gates.{name}.{field}"
                yield Fault(
                    key=key,
                    problem="the lane measures nothing of that name",
                    value=value,
                    source=composition.source_of(key),
                    allowed=tuple(known),
                    nearest=nearest(value, known),
                )
