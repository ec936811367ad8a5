"""`params.yaml`, the short file a person edits: read, checked, and spelled as Hydra overrides for one lane.

A value in it means what it means on the command line (`interlock.config.params_yaml`). Does not compose
(`interlock.config.params`).
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from interlock.config.compose import lane_names, nearest
from interlock.config.params_yaml import read_yaml
from interlock.errors import ConfigError, Fault

PARAMS = "params.yaml"
_RESERVED = frozenset({"null", "true", "false", "nan", "inf"})
_KEYS = ("experiment", "lanes", "overrides", "lane_overrides")
_KEYED_BY_KEYS = frozenset({"lane.search_space"})
"""Mappings whose own keys are dotted keys; they are spelled in one piece."""


def lane_overrides(params: Mapping[str, Any], lane: str) -> list[str]:
    """The Hydra overrides that stand for one lane of `params.yaml`; the lane's own ones come last and win."""
    return [
        f"lane={lane}",
        f"experiment={spell(params['experiment'])}",
        *flatten(params["overrides"]),
        *flatten(params["lane_overrides"].get(lane, {})),
    ]


def flatten(tree: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Spell a nested mapping as Hydra overrides: `{lane: {optimizer: {lr: 0.1}}}` -> `["lane.optimizer.lr=0.1"]`."""
    return list(_flat(tree, prefix))


def _flat(tree: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for name, value in tree.items():
        if isinstance(value, Mapping) and value and f"{prefix}{name}".lstrip("+") not in _KEYED_BY_KEYS:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}={spell(value)}"


def spell(value: Any) -> str:
    """Write a value in Hydra's override grammar; strings are quoted, so that `1e3` stays a string."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case list() | tuple():
            return f"[{','.join(spell(item) for item in value)}]"
        case Mapping():
            return f"{{{','.join(f'{key}: {spell(item)}' for key, item in value.items())}}}"
        case _:
            return _quoted(str(value))


def _quoted(text: str) -> str:
    if text.isascii() and text.isidentifier() and text.lower() not in _RESERVED:
        return text
    # In Hydra's grammar a backslash escapes a quote, and itself only right before one.
    escaped = re.sub(r"(\\*)('|$)", lambda match: match[1] * 2 + ("\\'" if match[2] else ""), text)
    return f"'{escaped}'"


def read_params(path: Path) -> dict[str, Any]:
    """Read `params.yaml`; raises ConfigError naming unknown keys, missing lanes and wrong types."""
    try:
        found = read_yaml(path.read_text(encoding="utf-8"))
        values = _with_names_resolved({} if found is None else found)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, OmegaConfBaseException) as error:
        fault = Fault(key=PARAMS, problem=f"cannot be read: {' '.join(str(error).split())}", has_value=False)
        hint = "write it as UTF-8 YAML: experiment, lanes, overrides and lane_overrides"
        raise ConfigError([fault], subject=str(path), hint=hint) from error
    faults = list(_params_faults(values, path))
    if faults or not isinstance(values, dict):
        raise ConfigError(faults, subject=str(path))
    given = {str(key): value for key, value in values.items() if value is not None}
    params: dict[str, Any] = {"overrides": {}, "lane_overrides": {}, **given}
    params["lane_overrides"] = {lane: tree or {} for lane, tree in params["lane_overrides"].items()}
    return params


def _with_names_resolved(values: Any) -> Any:
    """Resolve interpolations in `experiment` and `lanes`; in overrides they mean keys of the composed configuration."""
    if not isinstance(values, dict):
        return values
    names = {key: values[key] for key in ("experiment", "lanes") if key in values}
    resolved: Any = OmegaConf.to_container(OmegaConf.create(names), resolve=True)
    return {**values, **resolved}


def _params_faults(values: Any, path: Path) -> Iterator[Fault]:
    if not isinstance(values, dict):
        yield Fault(key=PARAMS, problem="must be a mapping", value=values, allowed=_KEYS)
        return
    if not values:
        yield Fault(key=PARAMS, problem="is empty; it needs at least experiment and lanes", has_value=False)
        return
    for key in values:
        if key not in _KEYS:
            yield Fault(
                key=str(key),
                problem="is not a key of params.yaml",
                value=values[key],
                source=str(path),
                allowed=_KEYS,
                nearest=nearest(str(key), _KEYS),
            )
    if not isinstance(values.get("experiment"), str):
        yield Fault(key="experiment", problem="must name a file of conf/experiment", value=values.get("experiment"))
    lanes, known = values.get("lanes"), lane_names(path.parent / "conf")
    if not isinstance(lanes, list) or not lanes:
        yield Fault(key="lanes", problem="must list at least one lane, as in [NAME]", value=lanes, allowed=known)
        lanes = []
    yield from _override_faults("overrides", values.get("overrides"), path)
    per_lane = values.get("lane_overrides")
    if not isinstance(per_lane, dict | None):
        yield _not_a_mapping("lane_overrides", per_lane, path)
        per_lane = None
    for lane, tree in (per_lane or {}).items():
        yield from _override_faults(f"lane_overrides.{lane}", tree, path)
    yield from _lane_faults(lanes, per_lane or {}, known, path)


def _not_a_mapping(key: str, value: Any, path: Path) -> Fault:
    example = "{lane: {optimizer: {lr: 0.1}}}" if key != "lane_overrides" else "{LANE: {seed: 2}}"
    return Fault(key=key, problem=f"must be a mapping, as in {example}", value=value, source=str(path))


def _override_faults(place: str, tree: Any, path: Path) -> Iterator[Fault]:
    """`lane` and `experiment` are chosen at the top; here they would turn one lane into another."""
    if not isinstance(tree, dict | None):
        yield _not_a_mapping(place, tree, path)
        return
    for name, value in (tree or {}).items():
        key = str(name).lstrip("+~")
        chosen = {"lane": "lanes", "experiment": "experiment"}.get(key.partition("@")[0])
        if chosen and not isinstance(value, dict):
            yield Fault(
                key=f"{place}.{name}",
                problem=f"would run another {key} under this one's name; choose it with `{chosen}:` at the top",
                value=value,
                source=str(path),
            )


def _lane_faults(lanes: list[Any], per_lane: Mapping[Any, Any], known: tuple[str, ...], path: Path) -> Iterator[Fault]:
    for lane in [*lanes, *per_lane]:
        if lane not in known:
            yield Fault(
                key="lanes",
                problem="there is no such lane in conf/lane",
                value=lane,
                source=str(path),
                allowed=known,
                nearest=nearest(str(lane), known),
            )
    for lane in per_lane:
        if lanes and lane in known and lane not in lanes:
            yield Fault(
                key=f"lane_overrides.{lane}",
                problem="overrides a lane that `lanes` does not run",
                has_value=False,
                source=str(path),
                allowed=tuple(lanes),
            )
