"""Explain one key: its value, where that was set, what it means, and how each door spells an override of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    """Explain a dotted key or a group. Raises ConfigError with the nearest key when there is none."""
    params = read_params(workspace / "params.yaml")
    lane = lane or params["lanes"][0]
    composition = compose_lane(workspace / "conf", lane_overrides(params, lane))
    if key in composition.groups:
        return _group(composition, key, lane, several=len(params["lanes"]) > 1)
    names = list(_keys(composition.values))
    if key not in names:
        fault = Fault(
            key=key,
            problem="there is no such key",
            has_value=False,
            nearest=nearest_key(key, [*names, *composition.groups]),
            allowed=tuple(composition.groups),
        )
        raise ConfigError([fault], subject=f"lane {lane}", hint="interlock compose --print shows every key")
    model = experiment_model(find_lane(composition.values["lane"]["kind"]))
    field = field_at(model, key.split("."), composition.values)
    value = lookup(composition.values, key)
    return Explanation(
        key=key,
        lane=lane,
        value=value,
        source=composition.source_of(key),
        meaning=" ".join((field.description or "").split()) if field else "",
        type=_type_name(field.annotation) if field else type(value).__name__,
        doors=doors(key, spell(value), lane=lane, several=len(params["lanes"]) > 1),
    )


def doors(key: str, text: str, *, lane: str, several: bool) -> dict[str, str]:
    """The same override through each door.

    `text` is the value in Hydra's grammar. Where `several` lanes run, an override in params.yaml is for this lane
    alone, because the others may not have the key.
    """
    place = f"lane_overrides.{lane}" if several else "overrides"
    top, _, rest = place.partition(".")
    return {
        "params.yaml, then dvc repro": f"{top}: {_nested([rest] * bool(rest) + key.split('.'), text)}",
        "one experiment": f"dvc exp run -S '++{place}.{key}={text}'",
        "without DVC": f"interlock run lane={lane} {key}={text}",
        "sweep": f"interlock run -m lane={lane} {key}={text},OTHER",
        "experiment file": f"conf/experiment/NAME.yaml: {_nested(key.split('.'), text)}",
    }


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
    text = getattr(annotation, "__name__", None) if isinstance(annotation, type) else str(annotation)
    return str(text).replace("typing.", "").replace("NoneType", "null")
