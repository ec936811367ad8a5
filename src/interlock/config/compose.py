"""Compose one lane's configuration from `conf/` and overrides with Hydra, and know which file set which key.

The only module that talks to Hydra's composition. It returns plain dicts; `interlock.config.validate` decides whether
they are a valid experiment. Does not write files (`interlock.config.files`) and does not run sweeps (`interlock run`).
"""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra._internal.config_repository import CachingConfigRepository
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, ValueType
from hydra.errors import HydraException
from hydra.plugins.config_source import ConfigResult
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from interlock.config import plugins
from interlock.config.hydra_refusals import dotted_keys, hydra_fault, reason
from interlock.config.known_keys import nearest_key
from interlock.errors import ConfigError, Fault

ROOT = "config"
# What a broken YAML file can end in; Hydra itself raises ValueError for a wrong defaults list or header.
_UNREADABLE = (HydraException, OmegaConfBaseException, yaml.YAMLError, OSError, ValueError, RecursionError)

_NOTHING_TO_DELETE = re.compile(r"^Could not delete(?: from config\.)? '([^']+)'(?: does not exist|\. No match)")


@dataclass(frozen=True)
class Layer:
    """One file that took part in a composition."""

    file: Path
    """The YAML file."""
    package: str
    """Dotted place where its content landed; empty for the root."""


@dataclass(frozen=True)
class Composition:
    """A composed but not yet validated configuration."""

    values: dict[str, Any]
    """Resolved plain values; `???` where a mandatory one is missing."""
    layers: Callable[[], tuple[Layer, ...]]
    """Gives the files in the order in which they were merged (later ones win); found out only when asked."""
    overrides: tuple[str, ...]
    """Overrides as given."""
    groups: Mapping[str, tuple[str, ...]]
    """Option names of every configuration group."""
    lane: str = ""
    """Name of the chosen lane; empty where the caller knows it."""
    conf: Path | None = None
    """The workspace's `conf/`; None: not known, so nothing is looked up in a registry."""

    def source_of(self, key: str) -> str:
        """Say which override or file set the dotted key; empty when none did."""
        for text in reversed(self.overrides):
            name = text.lstrip("+~").split("=", 1)[0]
            if name not in self.groups and (key == name or key.startswith(f"{name}.")):
                return f"override {text}"
        for layer in reversed(self.layers()):
            if _holds(layer, key):
                return str(layer.file)
        return ""


def compose_lane(conf: Path, overrides: Sequence[str] = ()) -> Composition:
    """Compose `conf/config.yaml` with Hydra overrides, e.g. `["lane=query_tower", "seed=2"]`.

    Raises ConfigError naming the override, the nearest group, option or key, and what is allowed.
    """
    with _hydra(conf):
        return _composed(conf, overrides, _groups())


def compose_each(conf: Path, jobs: Sequence[Sequence[str]]) -> Iterator[Composition | ConfigError]:
    """Compose many sets of overrides, each to its configuration or to the error that refuses it.

    Reads every file of `conf/` once, where `compose_lane` reads them again for each set.
    """
    with _hydra(conf):
        if not any("hydra.searchpath" in text for overrides in jobs for text in overrides):
            loader: Any = GlobalHydra.instance().config_loader()
            loader.repository = _ReadOnce(loader.repository)
        groups = _groups()
        for overrides in jobs:
            try:
                yield _composed(conf, overrides, groups)
            except ConfigError as error:
                yield error


class _ReadOnce(CachingConfigRepository):
    """Keeps what was read from one composition to the next; Hydra copies the repository for each."""

    def __deepcopy__(self, memo: dict[int, Any]) -> "_ReadOnce":
        return self

    def load_config(self, config_path: str) -> ConfigResult | None:
        """A copy, because Hydra merges overrides into what it is given."""
        return deepcopy(super().load_config(config_path))


def _composed(conf: Path, overrides: Sequence[str], groups: Mapping[str, tuple[str, ...]]) -> Composition:
    _refuse_unknown_groups(overrides, groups)
    forced = [_forced(text, groups) for text in overrides]
    try:
        tree = compose(ROOT, overrides=forced, return_hydra_config=True)
    except _UNREADABLE as error:
        raise _refusal(error, conf, overrides) from error
    lane = str(tree.hydra.runtime.choices.get("lane"))
    with open_dict(tree):
        del tree["hydra"]
    return Composition(_resolved(tree), cache(lambda: _layers(conf, forced)), tuple(overrides), groups, lane, conf)


def hydra_settings(conf: Path, overrides: Sequence[str]) -> DictConfig:
    """Hydra's own settings, `hydra.*`, as these overrides compose them; leaves out what belongs to one run."""
    with _hydra(conf):
        groups = _groups()
        _refuse_unknown_groups(overrides, groups)
        try:
            tree = compose(ROOT, overrides=[_forced(text, groups) for text in overrides], return_hydra_config=True)
        except _UNREADABLE as error:
            raise _refusal(error, conf, overrides) from error
        settings: DictConfig = tree.hydra
        return settings


def lane_names(conf: Path) -> tuple[str, ...]:
    """Names of the lanes that `conf/lane` and installed lane packages offer."""
    with _hydra(conf):
        return tuple(sorted(GlobalHydra.instance().config_loader().get_group_options("lane")))


def group_options(conf: Path) -> dict[str, tuple[str, ...]]:
    """Option names of every configuration group of `conf/` and of installed lane packages."""
    with _hydra(conf):
        return _groups()


def enumerates_sweeps(conf: Path, overrides: Sequence[str]) -> bool:
    """Whether Hydra's basic sweeper is chosen, which runs every value and so has no use for an interval."""
    with _hydra(conf):
        loader = GlobalHydra.instance().config_loader()
        try:
            found = loader.compute_defaults_list(ROOT, first_values(overrides), run_mode=RunMode.RUN).defaults
        except _UNREADABLE as error:
            raise _refusal(error, conf, overrides) from error
    return any(item.config_path == "hydra/sweeper/basic" for item in found)


def first_values(overrides: Sequence[str]) -> list[str]:
    """Replace each sweep (`lr=1e-3,3e-4`) by its first value, so that a whole sweep can be checked before it starts.

    Leaves out `glob(...)` and `interval(...)`, which have no values before a sweeper expands them.
    """
    plain = []
    for text in overrides:
        override = parse(text)
        if override.is_interval_sweep() or override.value_type == ValueType.GLOB_CHOICE_SWEEP:
            continue
        if override.is_sweep_override():
            key = text.split("=", 1)[0]
            first = next(iter(override.sweep_string_iterator()), None)
            if first is None:
                fault = Fault(key=key, problem="sweeps over no value at all", value=text.split("=", 1)[1])
                raise ConfigError([fault], subject="override", hint="give range(START,STOP) with START below STOP")
            text = f"{key}={first}"
        plain.append(text)
    return plain


@contextmanager
def _hydra(conf: Path) -> Iterator[None]:
    if not (conf / f"{ROOT}.yaml").is_file():
        raise ConfigError(
            [Fault(key="conf", problem="there is no configuration here", value=str(conf / f"{ROOT}.yaml"))],
            hint="run the command in the root of an Interlock project",
        )
    plugins.register()
    # hydra.main, when it is running us, holds the global instance; put it back when done.
    outer = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(conf.resolve()), version_base="1.3"):
            yield
    finally:
        GlobalHydra.instance().hydra = outer


def _groups() -> dict[str, tuple[str, ...]]:
    # The loader's own get_group_options reads all of conf/ again for every call.
    repository: Any = GlobalHydra.instance().config_loader().repository  # type: ignore[attr-defined]
    names = set(repository.get_group_options("", ObjectType.GROUP)) - {"hydra"}
    return {name: tuple(repository.get_group_options(name, ObjectType.CONFIG)) for name in sorted(names)}


def parse(text: str) -> Override:
    """Read one override in Hydra's grammar. Raises ConfigError when it is not one."""
    try:
        return OverridesParser.create().parse_override(text)
    except HydraException as error:
        key = text.split("=", 1)[0]
        problem = f"is not an override of the form key=value: {str(error).splitlines()[0]}"
        raise ConfigError(
            [Fault(key=key, problem=problem, value=text, source="command line or params.yaml")], subject="override"
        ) from error


def parse_all(conf: Path, texts: Sequence[str]) -> list[Override]:
    """Read overrides in Hydra's grammar, such that a `glob(...)` among them knows the options of its group."""
    with _hydra(conf):
        loader = GlobalHydra.instance().config_loader()
    return [replace(parse(text), config_loader=loader) for text in texts]


def with_defaults_open(conf: Path, overrides: Sequence[str]) -> list[str]:
    """Prefix `++` to overrides of keys that no file of `conf/` sets, as composing here does for all of them.

    Hydra itself would refuse `lane.gates.loads.severity=advise` where the YAML leaves `severity` at its default.
    """
    with _hydra(conf):
        groups = _groups()
        plain = [text for text in overrides if _forced(text, groups) != text]
        if not plain:
            return list(overrides)
        values = _composed(conf, first_values([text for text in overrides if text not in plain]), groups).values
    return [f"++{text}" if text in plain and not _has(values, parse(text).key_or_group) else text for text in overrides]


def _has(values: Any, key: str) -> bool:
    for part in key.split("."):
        if not isinstance(values, dict) or part not in values:
            return False
        values = values[part]
    return True


def _forced(text: str, groups: Mapping[str, Any]) -> str:
    """Let unknown keys through Hydra, so that the contract names every wrong one at once with its nearest name."""
    override = parse(text)
    key = override.key_or_group
    plain = not (override.is_add() or override.is_delete() or override.is_force_add())
    return f"++{text}" if plain and key not in groups and "/" not in key and not key.startswith("hydra.") else text


def _refuse_unknown_groups(overrides: Sequence[str], groups: Mapping[str, tuple[str, ...]]) -> None:
    if any("hydra.searchpath" in text for text in overrides):
        return  # more options may come from there; Hydra itself refuses the unknown ones
    faults = []
    for text in overrides:
        override = parse(text)
        key, value = override.key_or_group, override.value()
        one = value is None or isinstance(value, str | int | float)
        if key in groups and not override.is_delete() and one and value not in groups[key]:
            faults.append(unknown_choice(key, value, text, groups[key]))
    if faults:
        raise ConfigError(faults)


def unknown_choice(group: str, value: object, override: str, options: tuple[str, ...]) -> Fault:
    """The fault of an override that picks an option its group does not have."""
    return Fault(
        key=group,
        problem="there is no such choice",
        value=value,
        source=f"override {override}",
        allowed=options,
        nearest=nearest(str(value), options),
    )


def nearest(name: str, names: Sequence[str]) -> str:
    """The most similar of `names`, or an empty string when none is similar."""
    return next(iter(difflib.get_close_matches(name, names, n=1, cutoff=0.5)), "")


def _layers(conf: Path, overrides: list[str]) -> tuple[Layer, ...]:
    """The files behind the composition; Hydra's own (under `hydra`) set nothing of ours."""
    with _hydra(conf):
        loader = GlobalHydra.instance().config_loader()
        found = loader.compute_defaults_list(ROOT, overrides, run_mode=RunMode.RUN).defaults
        folders = [folder for source in loader.get_sources() if (folder := _folder(source)) is not None]
    named = [(item.config_path, item.package or "") for item in found if item.config_path]
    layers = []
    for name, package in named:
        files = [file for folder in folders if (file := folder / f"{name}.yaml").is_file()]
        if files and not name.startswith("hydra/"):
            layers.append(Layer(files[0], package))
    return tuple(layers)


def _folder(source: Any) -> Path | None:
    """Where a search-path entry keeps its files: `file://` or an importable package, `pkg://`."""
    if source.scheme() == "file":
        return Path(source.path)
    if source.scheme() == "pkg" and source.path:
        spec = find_spec(source.path)
        return Path(next(iter(spec.submodule_search_locations))) if spec and spec.submodule_search_locations else None
    return None


def _holds(layer: Layer, key: str) -> bool:
    if layer.package and not key.startswith(f"{layer.package}."):
        return False
    node = yaml.safe_load(layer.file.read_text()) or {}
    for part in key.removeprefix(f"{layer.package}." if layer.package else "").split("."):
        if not isinstance(node, dict) or part not in node:
            return False
        node = node[part]
    return True


def _resolved(tree: DictConfig) -> dict[str, Any]:
    try:
        values = OmegaConf.to_container(tree, resolve=True, throw_on_missing=False)
    except (OmegaConfBaseException, ValueError, RecursionError) as error:
        key = str(getattr(error, "full_key", "") or "configuration")
        raise ConfigError([Fault(key=key, problem=reason(error)[0], has_value=False)]) from error
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items() if key != "hydra"}


def _refusal(error: BaseException, conf: Path, overrides: Sequence[str]) -> ConfigError:
    if isinstance(error, yaml.YAMLError | OSError | UnicodeDecodeError):
        faults = list(_broken_files(conf))
        if faults:
            return ConfigError(faults, subject=str(conf), hint="correct the file: UTF-8 text holding one YAML mapping")
    head, *rest = reason(error)
    if absent := _NOTHING_TO_DELETE.search(head):
        return ConfigError([_nothing_to_delete(absent[1], conf, overrides)])
    if found := hydra_fault(error, overrides):
        return ConfigError([found[0]], hint=found[1])
    source = "; ".join(rest[:2]) or f"{conf} with {' '.join(overrides) or 'no overrides'}"
    return ConfigError([Fault(key="conf", problem=head, has_value=False, source=source)])


def _nothing_to_delete(name: str, conf: Path, overrides: Sequence[str]) -> Fault:
    """The fault of `~KEY` or `~GROUP` for one that the configuration does not have."""
    groups = _groups()
    others = [text for text in overrides if not text.startswith("~")]
    known = [*groups, *dotted_keys(_composed(conf, others, groups).values)]
    key = name.partition("@")[0]
    text = next((text for text in overrides if text.lstrip("~").split("=", 1)[0] == key), f"~{key}")
    return Fault(
        key=key,
        problem="cannot be deleted: there is no such key or group",
        has_value=False,
        source=f"override {text}",
        nearest=nearest_key(key, known),
    )


def _broken_files(conf: Path) -> Iterator[Fault]:
    """Neither Hydra nor the decoder says which file it was reading."""
    loader = GlobalHydra.instance().config_loader()
    folders = [_folder(source) for source in loader.get_sources() if source.provider != "hydra"]
    for folder in dict.fromkeys([conf, *(folder for folder in folders if folder is not None)]):
        for file in sorted(folder.rglob("*.yaml")):
            try:
                OmegaConf.load(file)
            except _UNREADABLE as error:
                problem = f"cannot be read: {' '.join(str(error).split())}"
                yield Fault(key=str(file), problem=problem, has_value=False)
