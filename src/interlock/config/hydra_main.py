"""Run Hydra's own main: single runs and sweeps with any launcher. Jobs see plain values, never Hydra's types."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from interlock.config import plugins
from interlock.config.compose import ROOT, Composition
from interlock.errors import UsageError

Job = Callable[[int | None, str, Composition], None]
"""Called with the job's number in its sweep (None for a single run), the name of its lane and its configuration."""

_ONLY_PRINT = ("--help", "-h", "--hydra-help", "--version", "--cfg", "-c", "--info", "-i", "--shell-completion", "-sc")


def overrides_of(argv: Sequence[str]) -> list[str]:
    """The overrides among the arguments; the rest are Hydra's flags and their values."""
    return [text for text in argv if not text.startswith("-") and ("=" in text or text.startswith("~"))]


def only_prints(argv: Sequence[str]) -> bool:
    """Whether Hydra will print something instead of running jobs."""
    return any(text.split("=", 1)[0] in _ONLY_PRINT for text in argv)


def run_main(conf: Path, argv: Sequence[str], job: Job) -> None:
    """Hand `argv` to Hydra as it stands and call `job` for each job, here or wherever the launcher runs it.

    `job` must be importable by name. Raises UsageError for the flag that loads pickles, SystemExit as Hydra does.
    """
    if any(text.startswith("--experimental-rerun") for text in argv):
        raise UsageError(
            "loads a pickle, which Interlock never does", key="--experimental-rerun",
            hint="give the overrides again: interlock run KEY=VALUE",
        )
    plugins.register()
    sys.argv = ["interlock run", *argv]
    hydra.main(version_base="1.3", config_path=str(conf), config_name=ROOT)(_Task(job))()


class _Task:
    """What Hydra calls; a launcher that runs jobs elsewhere pickles it by name."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self.__module__, self.__name__, self.__qualname__ = job.__module__, job.__name__, job.__name__

    def __call__(self, tree: DictConfig) -> None:
        settings: Any = HydraConfig.get()
        number = OmegaConf.select(settings, "job.num", throw_on_missing=False)  # missing in single runs
        values: Any = OmegaConf.to_container(tree, resolve=True)
        groups: Mapping[str, tuple[str, ...]] = {}
        composition = Composition(values, tuple, tuple(settings.overrides.task), groups)
        self._job(number, str(settings.runtime.choices["lane"]), composition)
