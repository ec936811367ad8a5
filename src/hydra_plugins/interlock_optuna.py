"""`hydra/sweeper=optuna`: lets Hydra find Interlock's optimising sweeper (`interlock.commands.sweep_jobs`).

Hydra takes plug-ins from the namespace package `hydra_plugins` alone and imports every module in it at each start, so
this one imports nothing of Interlock or Optuna. `from __future__ import annotations` would break that import: Hydra
loads the module before it is in `sys.modules`, where dataclasses look annotations up.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional  # noqa: UP035  omegaconf reads these annotations

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf


@dataclass
class OptunaSweeperConf:
    """The keys of `hydra.sweeper`."""

    _target_: str = "hydra_plugins.interlock_optuna.InterlockOptunaSweeper"
    metric: Optional[str] = None  # noqa: UP045
    direction: Optional[str] = None  # noqa: UP045
    n_trials: int = 20
    batch: int = 1
    seed: int = 0
    sampler: str = "tpe"
    sampler_options: Any = None  # a mapping; declared as one, Hydra would take its keys with + alone
    pruner: str = "median"
    pruner_options: Any = None
    params: Optional[Dict[str, str]] = None  # noqa: UP006, UP045


ConfigStore.instance().store(group="hydra/sweeper", name="optuna", node=OptunaSweeperConf, provider="interlock")


class InterlockOptunaSweeper(Sweeper):
    """Hands Hydra's launcher to the sweep that `interlock run` has planned."""

    def __init__(self, **settings: Any) -> None:
        self.config: Optional[DictConfig] = None  # noqa: UP045
        self.launcher: Optional[Launcher] = None  # noqa: UP045
        self.hydra_context: Optional[HydraContext] = None  # noqa: UP045
        self._task: Any = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called by Hydra before `sweep`."""
        self.config, self.hydra_context, self._task = config, hydra_context, task_function
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: List[str]) -> None:  # noqa: UP006
        """Run the planned sweep; `arguments` are what it was planned from."""
        search = getattr(getattr(self._task, "job", None), "search", None)
        if search is None:
            raise RuntimeError("this sweeper works in `interlock run -m` alone")
        assert self.config is not None
        assert self.launcher is not None
        folder = Path(str(self.config.hydra.sweep.dir))
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        search(self.launcher.launch)
