"""Explain one key: its value, where that was set, what it means, and how each door spells an override of it."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from interlock.config.compose import Composition, compose_lane
from interlock.config.known_keys import field_at, nearest_key
from interlock.config.params_file import lane_overrides, read_params, spell
from interlock.config.validate import experiment_model
from interlock.errors import ConfigError, Fault
from interlock.lanes.catalog import find_lane
from interlock.provenance.dotted import lookup


@dataclass(frozen=True)
class Explanation:
    """Everything a user may want to know about one configuration key."""

    key: str
    lane: str
    value: Any
    """The composed value; for a group the chosen option."""
    source: str
    """File or override that set it."""
    meaning: str
    """From the contract; empty for a free mapping's entry."""
    type: str
    """The accepted type, or the options of a group."""
    doors: dict[str, str]
    """How each door spells an override with the present value."""


def explain(workspace: Path, key: str, *, lane: str | None = None) -> Explanation:
    """Explain a dotted key or a group, in `lane` or in the first lane of params.yaml that has it.

    Raises ConfigError with the nearest key when there is none.
    """
    params = read_params(workspace / "params.yaml")
    lane, composition = _lane_with(workspace, key, lanes=[lane] if lane else params["lanes"], params=params)
    if key in composition.groups:
        return _group(composition, key, lane, several=len(params["lanes"]) > 1)
    model = experiment_model(find_lane(composition.values["lane"]["kind"]))
    field, described = _fields(model, key, composition.values)
    value = lookup(composition.values, key)
    return Explanation(
        key=key,
        lane=lane,
        value=value,
        source=composition.source_of(key),
        meaning=" ".join((described.description or "").split()) if described else "",
        type=_type_name(field.annotation) if field else type(value).__name__,
        doors=doors(key, spell(value), lane=lane, several=len(params["lanes"]) > 1),
    )


def _lane_with(workspace: Path, key: str, *, lanes: list[str], params: Mapping[str, Any]) -> tuple[str, Composition]:
    faults = []
    for lane in lanes:
        composition = compose_lane(workspace / "conf", lane_overrides(params, lane))
        names = list(_keys(composition.values))
        if key in composition.groups or key in names:
            return lane, composition
        nearest = nearest_key(key, [*names, *composition.groups])
        faults.append(Fault(key=key, problem="there is no such key", has_value=False, nearest=nearest))
    near = next((fault for fault in faults if fault.nearest), faults[0])
    hint = "interlock compose --print shows every key; --lane NAME asks about a lane outside params.yaml"
    if (group := key.partition(".")[0]) in composition.groups and group != key:
        hint = f"another choice may have it: interlock explain {group} lists them, conf/{group}/ holds them"
    raise ConfigError([near], subject=f"the configuration of {', '.join(lanes)}", hint=hint)


def _fields(model: Any, key: str, values: Any) -> tuple[FieldInfo | None, FieldInfo | None]:
    """The contract's field, and the one that describes it: an entry of a free mapping is described by the mapping's."""
    parts = key.split(".")
    field = field_at(model, parts, values)
    return field, field or field_at(model, parts[:-1], values)


def doors(key: str, text: str, *, lane: str, several: bool) -> dict[str, str]:
    """The same override through each door.

    `text` is the value in Hydra's grammar. Where `several` lanes run, an override in params.yaml is for this lane
    alone, because the others may not have the key.
    """
    place = f"lane_overrides.{lane}" if several else "overrides"
    top, _, rest = place.partition(".")
    return {
        "params.yaml, then dvc repro": f"{top}: {_nested([rest] * bool(rest) + key.split('.'), text)}",
        "one experiment": f"dvc exp run -S {_argument(f'++{place}.{key}={text}', always=True)}",
        "without DVC": f"interlock run lane={lane} {_argument(f'{key}={text}')}",
        "sweep": f"interlock run -m lane={lane} {_argument(f'{key}={text},OTHER')}",
        "experiment file": f"conf/experiment/NAME.yaml: {_nested(key.split('.'), text)}",
    }


def _argument(text: str, *, always: bool = False) -> str:
    """One word of a POSIX shell that reads as `text`; `always` quotes what needs no quotes."""
    quoted = shlex.quote(text)
    if quoted == text:
        return f"'{text}'" if always else text
    return f'"{text}"' if "'" in text and not set(text) & set('"$`!\\') else quoted


def _nested(parts: list[str], text: str) -> str:
    return "".join(f"{{{part}: " for part in parts) + text + "}" * len(parts)


def _group(composition: Composition, group: str, lane: str, *, several: bool) -> Explanation:
    chosen = [layer.file for layer in composition.layers() if layer.file.parent.name == group]
    option = chosen[-1].stem if chosen else ""
    spelled = doors(group, option, lane=lane, several=several)
    spelled["experiment file"] = f"conf/experiment/NAME.yaml: defaults: [override /{group}: {option}]"
    return Explanation(
        key=group,
        lane=lane,
        value=option,
        source=str(chosen[-1]) if chosen else "",
        meaning=_first_comment(chosen[-1]) if chosen else "a group of configuration files",
        type=f"one of {', '.join(composition.groups[group])}",
        doors=spelled,
    )


def _first_comment(file: Path) -> str:
    lines = [line.lstrip("# ") for line in file.read_text().splitlines() if line.startswith("# ")]
    return " ".join(line for line in lines if not line.startswith("@package"))


def _keys(values: Any, prefix: str = "") -> Any:
    for name, value in values.items():
        yield f"{prefix}{name}"
        if isinstance(value, dict):
            yield from _keys(value, f"{prefix}{name}.")


def _type_name(annotation: Any) -> str:
    """The type as Python writes it, without the limits that `Annotated` adds."""
    if get_origin(annotation) is Annotated:
        return _type_name(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return " | ".join(_type_name(part) for part in get_args(annotation))
    if get_origin(annotation) is dict:
        return f"dict[{', '.join(_type_name(part) for part in get_args(annotation))}]"
    if annotation is NoneType:
        return "null"
    text = getattr(annotation, "__name__", None) if isinstance(annotation, type) else str(annotation)
    return str(text).replace("typing.", "")
