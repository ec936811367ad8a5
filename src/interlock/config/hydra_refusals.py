"""Say what is wrong with a setting of Hydra itself (`hydra/sweeper=`, `hydra.sweeper.n_trials=`) and what was meant.

    fault, hint = hydra_fault(error, overrides)     # None: the refusal is about something else

Hydra names the first wrong one alone, in words that lead to `+KEY`; these are read here. Does not compose
(`interlock.config.compose`) and does not know the keys of an experiment (`interlock.config.validate`).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from omegaconf import OmegaConf

from interlock.config.known_keys import nearest_key
from interlock.errors import Fault

_NO_CHOICE = re.compile(r"Could not find '(?P<group>hydra/[\w/]+)/(?P<name>[^/']+)'")
_NO_KEY = re.compile(r"Could not (?:override|append to config) '(?P<key>hydra[./][^']+)'")
_WRONG_VALUE = re.compile(r"Error merging override (?P<text>\+*hydra\.\S+)")
_INSTALLED_BY = {
    ("hydra/sweeper", "optuna"): "pip install 'interlock[optuna]'",
    ("hydra/launcher", "joblib"): "pip install hydra-joblib-launcher",
}
"""Choices that a package brings, by how it is installed."""


def hydra_fault(error: BaseException, overrides: Sequence[str]) -> tuple[Fault, str | None] | None:
    """The fault behind a refusal of Hydra's, with the way out if there is one besides the nearest name.

    None when it is about something else. Hydra's instance must be the one that refused.
    """
    head = reason(error)[0]
    if found := _NO_CHOICE.search(head):
        return _no_choice(found["group"], found["name"], overrides)
    if found := _NO_KEY.search(head):
        key = found["key"].partition("@")[0]
        near = nearest_key(key, _known([text for text in overrides if not _names(text, key)]))
        source = _source(key, overrides)
        return Fault(
            key=key, problem="Hydra has no such key or group", has_value=False, source=source, nearest=near
        ), None
    if found := _WRONG_VALUE.search(head):
        key, _, value = found["text"].lstrip("+").partition("=")
        problem = reason(_first_cause(error))[0]
        return Fault(key=key, problem=problem, value=value, source=_source(key, overrides)), None
    return None


def reason(error: BaseException | None) -> list[str]:
    """Lines of the first message in the chain of causes; Hydra sometimes wraps one in an empty error."""
    while error is not None:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        if lines:
            return lines
        error = error.__cause__ or error.__context__
    return ["cannot be composed"]


def dotted_keys(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Every dotted key of a nested mapping, parents included."""
    for name, value in values.items():
        yield f"{prefix}{name}"
        if isinstance(value, dict):
            yield from dotted_keys(value, f"{prefix}{name}.")


def _first_cause(error: BaseException) -> BaseException:
    """The error at the end of the chain, which names the type that a value should have had."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _known(overrides: Sequence[str]) -> list[str]:
    """Hydra's own groups, and the keys that the chosen sweeper, launcher and so on bring."""
    groups = [
        f"hydra/{name}" for name in GlobalHydra.instance().config_loader().get_group_options("hydra", ObjectType.GROUP)
    ]
    chosen = [text for text in overrides if text.startswith("hydra/")]
    settings: Any = OmegaConf.to_container(compose("config", chosen, return_hydra_config=True).hydra, resolve=False)
    return [*groups, *dotted_keys({**settings, "runtime": None}, "hydra.")]


def _no_choice(group: str, name: str, overrides: Sequence[str]) -> tuple[Fault, str | None]:
    options = tuple(sorted(GlobalHydra.instance().config_loader().get_group_options(group, ObjectType.CONFIG)))
    missing = [choice for place, choice in _INSTALLED_BY if place == group and choice not in options]
    near = nearest_key(name, [*options, *missing])
    problem = "comes with a package that is not installed here" if name in missing else "there is no such choice"
    hint = f"{_INSTALLED_BY[group, near]} makes {group}={near} available" if near in missing else None
    fault = Fault(
        key=group,
        problem=problem,
        value=name,
        source=_source(group, overrides),
        allowed=options,
        nearest="" if near == name else near,
    )
    return fault, hint


def _source(key: str, overrides: Sequence[str]) -> str:
    return next((f"override {text}" for text in overrides if _names(text, key)), "")


def _names(text: str, key: str) -> bool:
    return text.lstrip("+~").split("=", 1)[0].partition("@")[0] == key
