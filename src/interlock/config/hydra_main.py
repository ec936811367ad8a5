"""Run Hydra's own main: single runs and sweeps with any launcher. Jobs see plain values, never Hydra's types."""

import argparse
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import ChoiceSweep, Glob, QuotedString
from omegaconf import DictConfig, OmegaConf

from interlock.config import plugins
from interlock.config.compose import (
    ROOT,
    Composition,
    enumerates_sweeps,
    group_options,
    parse,
    unknown_choice,
    with_defaults_open,
)
from interlock.errors import ConfigError, Fault, UsageError

Job = Callable[[int | None, str, Composition], None]
"""Called with the job's number in its sweep (None for a single run), the name of its lane and its configuration."""

_ONLY_PRINT = ("--help", "-h", "--hydra-help", "--version", "--cfg", "-c", "--info", "-i", "--shell-completion", "-sc")


_COMMANDS = ("run", "multirun", "cfg", "info", "shell_completion")
_TALKATIVE = ("hydra._internal.core_plugins.basic_launcher", "hydra_plugins.hydra_joblib_launcher._core")
"""Launchers that announce every job, those that were done before, too; a job names itself when it begins."""
_ELSEWHERE = ("--config-path", "--config-name", "--config-dir")


class _Flags(argparse.ArgumentParser):
    """Hydra's own flags, so that flag values are told from overrides and refusals read like ours."""

    def __init__(self) -> None:
        super().__init__(prog="interlock run", add_help=False, allow_abbrev=False)
        for names in (
            ("--help", "-h"),
            ("--hydra-help",),
            ("--version",),
            ("--resolve",),
            ("--run", "-r"),
            ("--multirun", "-m"),
            ("--shell-completion", "-sc"),
        ):
            self.add_argument(*names, action="store_true")
        for names in (
            ("--package", "-p"),
            ("--config-path", "-cp"),
            ("--config-name", "-cn"),
            ("--config-dir", "-cd"),
            ("--experimental-rerun",),
        ):
            self.add_argument(*names)
        self.add_argument("--cfg", "-c", choices=["job", "hydra", "all"])
        info = ["all", "config", "defaults", "defaults-tree", "plugins", "searchpath"]
        self.add_argument("--info", "-i", const="all", nargs="?", choices=info)
        self.add_argument("overrides", nargs="*")

    def error(self, message: str) -> NoReturn:
        """Raise UsageError instead of printing and leaving."""
        raise UsageError(message, key="interlock run", hint="interlock run [FLAGS OF HYDRA] KEY=VALUE ...; see --help")


def overrides_of(argv: Sequence[str]) -> list[str]:
    """The overrides among the arguments; the rest are Hydra's flags and their values.

    Raises UsageError or ConfigError for any other word, for flags that lead away from `conf/`, and for a sweep that
    nothing asked to run.
    """
    flags = _Flags().parse_intermixed_args(list(argv))
    overrides = list(flags.overrides or [])
    for name in _ELSEWHERE:
        value = getattr(flags, name.strip("-").replace("-", "_"))
        if value is not None:
            raise UsageError(
                "configurations are composed from conf/ alone",
                key=name,
                value=value,
                hint="add a folder with 'hydra.searchpath=[file://...]', choose a file with experiment=NAME",
            )
    for text in overrides:
        if "=" not in text and not text.startswith("~"):
            raise UsageError("is neither a flag nor KEY=VALUE", key=text, hint=f"write {text}=VALUE, or leave it out")
    many = is_multirun(argv)
    for text in overrides:
        if not many and parse(text).is_sweep_override():
            raise UsageError(
                "is a sweep of several runs, which needs -m",
                key=text,
                hint=f"interlock run -m {text}; for one list value write {text.split('=', 1)[0]}=[A,B]",
            )
    return overrides


def is_multirun(argv: Sequence[str]) -> bool:
    """Whether the command line asks for a sweep."""
    flags = _Flags().parse_intermixed_args(list(argv))
    return flags.multirun or any(text.lstrip("+").upper() == "HYDRA.MODE=MULTIRUN" for text in flags.overrides or [])


def only_prints(argv: Sequence[str]) -> bool:
    """Whether Hydra will print something instead of running jobs."""
    return any(text.split("=", 1)[0] in _ONLY_PRINT for text in argv)


def run_main(conf: Path, argv: Sequence[str], job: Job, *, checked: bool = False) -> None:
    """Hand `argv` to Hydra as it stands and call `job` for each job, here or wherever the launcher runs it.

    `job` must be importable by name. `checked`: `runnable_overrides` has looked at `argv` already. Raises UsageError
    for the flag that loads pickles, SystemExit as Hydra does.
    """
    overrides = overrides_of(argv) if checked else runnable_overrides(conf, argv)
    plugins.register()
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    # Hydra takes overrides in one piece only; behind them, --info does not take one for its value.
    settled = with_defaults_open(conf, overrides)
    sys.argv = ["interlock run", *settled, *(text for text in argv if text not in overrides)]
    hydra.main(version_base="1.3", config_path=str(conf), config_name=ROOT)(_Task(job))()


def runnable_overrides(conf: Path, argv: Sequence[str]) -> list[str]:
    """The overrides among the arguments. Raises UsageError, ConfigError for what Hydra would refuse or misread."""
    if any(text.startswith("--experimental-rerun") for text in argv):
        raise UsageError(
            "loads a pickle, which Interlock never does",
            key="--experimental-rerun",
            hint="give the overrides again: interlock run KEY=VALUE",
        )
    overrides = overrides_of(argv)
    _refuse_two_commands(argv)
    _refuse_unknown_choices(conf, overrides)
    _refuse_intervals(conf, overrides)
    return overrides


def _refuse_two_commands(argv: Sequence[str]) -> None:
    flags = _Flags().parse_intermixed_args(list(argv))
    given = [f"--{name.replace('_', '-')}" for name in _COMMANDS if getattr(flags, name)]
    if len(given) > 1:
        raise UsageError("only one of these flags can be given", key=" ".join(given), hint=f"leave out {given[-1]}")


def _refuse_intervals(conf: Path, overrides: Sequence[str]) -> None:
    intervals = [text for text in overrides if parse(text).is_interval_sweep()]
    if intervals and enumerates_sweeps(conf, overrides):
        raise UsageError(
            "is an interval, which only an optimising sweeper can search",
            key=intervals[0],
            hint="choose one with hydra/sweeper=NAME, or list the values: KEY=A,B,C",
        )


def _refuse_unknown_choices(conf: Path, overrides: Sequence[str]) -> None:
    """Check every option of every sweep over a group before the first job starts."""
    if any("hydra.searchpath" in text for text in overrides):
        return  # more options may come from there
    groups, faults = group_options(conf), []
    for text in overrides:
        override = parse(text)
        sweep: Any = override.value()
        options = groups.get(override.key_or_group, ())
        if isinstance(sweep, Glob) and not sweep.filter(list(options)) and not override.is_hydra_override():
            problem = "matches no choice" if options else "is no group, and glob() chooses among a group's files"
            allowed = options or tuple(groups)
            faults.append(Fault(key=override.key_or_group, problem=problem, value=text, allowed=allowed))
        for item in sweep.list if isinstance(sweep, ChoiceSweep) and options else ():
            name = item.text if isinstance(item, QuotedString) else item
            if not isinstance(name, list) and name not in options:
                faults.append(unknown_choice(override.key_or_group, name, text, options))
    if faults:
        raise ConfigError(faults, subject="sweep", hint="correct the override; nothing has run yet")


class _Task:
    """What Hydra calls; a launcher that runs jobs elsewhere pickles it by name."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.__module__, self.__name__, self.__qualname__ = job.__module__, job.__name__, job.__name__

    def __call__(self, tree: DictConfig) -> None:
        settings: Any = HydraConfig.get()
        number = OmegaConf.select(settings, "job.num", throw_on_missing=False)  # missing in single runs
        values: Any = OmegaConf.to_container(tree, resolve=True)
        groups: Mapping[str, tuple[str, ...]] = {}
        conf = next(Path(source.path) for source in settings.runtime.config_sources if source.provider == "main")
        composition = Composition(values, tuple, tuple(settings.overrides.task), groups, conf=conf)
        self.job(number, str(settings.runtime.choices["lane"]), composition)
