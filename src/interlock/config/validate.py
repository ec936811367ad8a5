"""Turn a composition into a validated `Experiment`, or into one error that lists every fault.

Hydra composes, pydantic decides: unknown keys, wrong types, NaN, infinities and missing values are refused by whichever
door they came. Also checks what no single field can see: metric names of gates and keys of the search space.
"""

import json
import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ValidationError, create_model

from interlock.config.compose import Composition, nearest
from interlock.config.inputs import with_inputs
from interlock.config.known_keys import kind_at, known_keys, names_at, nearest_key
from interlock.config.pins import with_pins
from interlock.contracts.experiment import Experiment
from interlock.contracts.lane import LanePolicy
from interlock.errors import ConfigError, Fault, UsageError
from interlock.lanes.catalog import find_lane, lane_kinds
from interlock.lanes.spec import LaneSpec
from interlock.provenance.dotted import lookup
from interlock.provenance.environment import redact, redact_text

MISSING = "???"
_SPACE = "lane.search_space"


def validate(composition: Composition, *, subject: str) -> Experiment:
    """Return the experiment, its `lane` narrowed to the lane's own model. Raises ConfigError with all faults."""
    spec = _lane_spec(composition, subject)
    model = experiment_model(spec)
    composition, unpinned = with_pins(composition)
    composition, wrong_inputs = with_inputs(composition, spec)
    faults = [*_missing(composition), *unpinned, *wrong_inputs, *_cross_faults(composition, spec)]
    try:
        # From JSON text: strict mode then takes lists for tuples, and NaN is seen as what it is.
        experiment = model.model_validate_json(_as_json(composition.values, subject))
    except ValidationError as error:
        faults += _faults(error, composition, model, skip={fault.key for fault in faults})
    if faults:
        wrong = {fault.key for fault in faults}
        said = [fault for fault in faults if not (fault.key == f"{_SPACE}.{fault.value}" and fault.value in wrong)]
        shown = map(_without_secrets, sorted(said, key=lambda fault: fault.key))
        raise ConfigError(tuple(shown), subject=subject)
    return experiment


def experiment_model(spec: LaneSpec) -> type[Experiment]:
    """The experiment contract whose `lane` is this lane's body with gates and search space."""
    lane = create_model(f"Lane_{spec.kind}", __base__=(spec.body_model(), LanePolicy))
    return create_model(f"Experiment_{spec.kind}", __base__=Experiment, lane=(lane, ...))


def _without_secrets(fault: Fault) -> Fault:
    """The fault with API keys blacked out: somebody pasted one where its variable's name belongs."""
    return replace(fault, value=redact(fault.value), source=redact_text(fault.source))


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
    said = set(skip)
    for item in error.errors(include_url=False):
        path = _without_tags(item["loc"], composition.values)
        for fault in _unknown(item, path, composition, model) or [_wrong(item, path, composition)]:
            if fault.key not in said:
                yield fault
            if fault.nearest:
                said.add(fault.key)  # an entry that nobody meant lacks many keys; one sentence names it


def _wrong(item: Any, path: Sequence[str], composition: Composition) -> Fault:
    """A known key with a wrong value, or without one."""
    kind, value, options = item["type"], item.get("input"), _options(item)
    if kind.startswith("union_tag") and isinstance(value, dict):
        path, value = [*path, "kind"], value.get("kind")
    key = ".".join(path) or "lane"
    has_value = kind != "missing" and not isinstance(value, dict)
    return Fault(
        key=key,
        problem=_problem(item),
        value=value if has_value else None,
        has_value=has_value,
        source=composition.source_of(key),
        allowed=options,
        nearest=nearest(str(value), options) if options and has_value else "",
    )


def _unknown(item: Any, path: Sequence[str], composition: Composition, model: type[BaseModel]) -> list[Fault]:
    """Faults of keys that the contract does not have, and of a new entry of a mapping that is not complete.

    Overrides are named in full, so that `lane.optimizr.lr` meets `lane.optimizer.lr` and not only `lane.optimizer`.
    """
    wrong = _foreign(item, path, model, composition.values)
    if wrong is None:
        return []
    place, is_extra = ".".join(wrong), item["type"] == "extra_forbidden"
    keys = [key for text in composition.overrides if _is_at(key := _key_of(text), place)] or [place] * is_extra
    known = [name for name in known_keys(model, composition.values) if not _is_at(name, place)]
    allowed = names_at(model, wrong[:-1], composition.values)
    if len(wrong) == 1:
        allowed, known = tuple(sorted({*allowed, *composition.groups})), [*known, *composition.groups]
    lacks = path[-1] if item["type"] == "missing" else "kind"
    faults = [
        Fault(
            key=key,
            problem=_problem(item) if is_extra else f"would make a new entry {wrong[-1]}, which lacks {lacks}",
            value=item.get("input") if key == place else lookup(composition.values, key),
            has_value=is_extra and not isinstance(item.get("input"), dict),
            source=composition.source_of(key),
            allowed=allowed,
            nearest=nearest_key(key, known),
        )
        for key in dict.fromkeys(keys)
    ]
    return [fault for fault in faults if is_extra or fault.nearest]


def _foreign(item: Any, path: Sequence[str], model: type[BaseModel], values: Any) -> Sequence[str] | None:
    """Path of what should not be there: the key itself, or the entry of a mapping that an incomplete value made."""
    if item["type"] == "extra_forbidden":
        return path
    if item["type"] not in ("missing", "union_tag_not_found"):
        return None
    entry = path[:-1] if item["type"] == "missing" else path
    is_entry = entry and typing.get_origin(kind_at(model, entry[:-1], values)) is dict
    return entry if is_entry else None


def _key_of(override: str) -> str:
    return override.lstrip("+~").split("=", 1)[0].strip()


def _is_at(key: str, place: str) -> bool:
    return key == place or key.startswith(f"{place}.")


def _options(item: Any) -> tuple[str, ...]:
    """What a closed choice would accept, as pydantic words it."""
    if item["type"] not in ("literal_error", "union_tag_invalid", "enum"):
        return ()
    context: Mapping[str, Any] = item.get("ctx", {})
    return tuple(re.findall(r"'([^']*)'", str(context.get("expected_tags") or context.get("expected") or "")))


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


def _without_tags(location: tuple[int | str, ...], values: Any) -> list[str]:
    """Drop the tags of discriminated unions, which users never write in a key."""
    path, node = [], values
    for part, following in zip(location, [*location[1:], None], strict=True):
        if isinstance(node, dict) and node.get("kind") == part and (part not in node or following in node):
            continue
        path.append(str(part))
        try:
            node = node[part]
        except (KeyError, IndexError, TypeError):
            node = None
    return path


def _cross_faults(composition: Composition, spec: LaneSpec) -> Iterator[Fault]:
    """What no single field can see. Works on plain values, so that it also speaks when a field is wrong."""
    lane = composition.values["lane"]
    yield from _unknown_measurements(lane.get("gates"), composition, spec)
    space = lane.get("search_space")
    for key in space if isinstance(space, dict) else ():
        value = lookup(composition.values, key)
        if not isinstance(value, int | float) or isinstance(value, bool):
            yield Fault(
                key=f"{_SPACE}.{key}",
                problem="does not name a number of this configuration",
                value=key,
                source=composition.source_of(_SPACE),
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
