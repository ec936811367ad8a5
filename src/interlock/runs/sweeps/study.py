"""The one seam for Optuna: which jobs an optimising sweep tries next, and which trainings it gives up.

    study = open_study(folder, search)
    texts = study.propose(3, space)        # overrides of trial 3: new, or what it was before a kill
    study.tell(3, result)

Trial numbers are job numbers. The study stands in `study.db` of the sweep's folder. Every trial is drawn with a seed
of its own, so that a sweep that was killed goes on with the trials that it would have had: the same seed gives the
same trials wherever jobs end in the same order. A failed trial stays open, because the same command tries it again.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from interlock.contracts.stage import StageName
from interlock.contracts.sweep import Goal, Search, SweepJob
from interlock.errors import ConfigError, Fault, PrunedError, UsageError
from interlock.lanes.spec import Item, Progress

if TYPE_CHECKING:
    import optuna

STUDY_FILE = "study.db"
LOSS = "validation/loss"
"""The curve that trainings are given up by."""
SAMPLERS: Mapping[str, str] = {"tpe": "TPESampler", "random": "RandomSampler"}
PRUNERS: Mapping[str, str] = {
    "none": "NopPruner",
    "median": "MedianPruner",
    "percentile": "PercentilePruner",
    "halving": "SuccessiveHalvingPruner",
    "hyperband": "HyperbandPruner",
}
_WAIT_FOR_DATABASE_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One searched key."""

    kind: Literal["float", "int", "choice"]
    low: float = 0.0
    """Smallest value."""
    high: float = 0.0
    """Largest value, itself included."""
    step: float | None = None
    """Distance of neighbours; None: any value, or every whole number."""
    log: bool = False
    """Whether factors count rather than differences."""
    choices: tuple[str, ...] = ()
    """Values of a choice, as they are spelled in an override."""

    def suggest(self, trial: "optuna.trial.Trial", key: str) -> str:
        """A value as it is spelled in an override."""
        match self.kind:
            case "choice":
                return str(trial.suggest_categorical(key, self.choices))
            case "int":
                step = int(self.step or 1)
                return str(trial.suggest_int(key, int(self.low), int(self.high), step=step, log=self.log))
            case _:
                return repr(trial.suggest_float(key, self.low, self.high, step=self.step, log=self.log))


def require_optuna() -> None:
    """Raise UsageError with the way to install it where Optuna is missing."""
    if find_spec("optuna") is None:
        raise UsageError(
            "needs Optuna, which is not installed here",
            key="hydra/sweeper",
            value="optuna",
            hint="pip install 'interlock[optuna]', or leave out hydra/sweeper=optuna and list the values: KEY=A,B",
        )


def check_search(search: Search, space: Mapping[str, Axis]) -> None:
    """Raise ConfigError for a sampler, a pruner or a key that Optuna will refuse, before anything runs."""
    faults = [*_setting_faults(search)]
    for key, axis in space.items():
        if axis.kind != "choice" and not axis.low <= axis.high:
            faults.append(
                Fault(key=key, problem="is an interval whose end lies under its start", value=search.space[key])
            )
        if axis.log and axis.low <= 0:
            faults.append(Fault(key=key, problem="a logarithmic search needs a start above 0", value=search.space[key]))
    if faults:
        raise ConfigError(faults, subject="hydra.sweeper", hint="nothing has run yet")


def _setting_faults(search: Search) -> Iterable[Fault]:
    for name, chosen, known, build in (
        ("sampler", search.sampler, SAMPLERS, lambda: _sampler(search, 0)),
        ("pruner", search.pruner, PRUNERS, lambda: _pruner(search)),
    ):
        if chosen not in known:
            yield Fault(key=f"hydra.sweeper.{name}", problem="there is no such choice", value=chosen, allowed=(*known,))
            continue
        try:
            build()
        except (TypeError, ValueError) as error:
            yield Fault(key=f"hydra.sweeper.{name}_options", problem=f"{chosen}: {error}", has_value=False)


class Study:
    """A persistent study. Several processes may report to it at once."""

    def __init__(self, study: "optuna.Study", search: Search) -> None:
        self._study, self._search = study, search

    def propose(self, number: int, space: Mapping[str, Axis]) -> list[str]:
        """The overrides of a trial: what it had before, or a new proposal. Numbers are asked for in order."""
        import optuna

        trials = self._study.get_trials(deepcopy=False)
        if number < len(trials) and trials[number].state.is_finished():
            return [f"{key}={_spelled(trials[number].params[key])}" for key in space]
        self._study.sampler = _sampler(self._search, number)
        known = number < len(trials)
        trial = optuna.trial.Trial(self._study, trials[number]._trial_id) if known else self._study.ask()
        assert trial.number == number, "trials are asked for in order"
        return [f"{key}={axis.suggest(trial, key)}" for key, axis in space.items()]

    def is_told(self, number: int) -> bool:
        """Whether the study knows how the trial ended."""
        trials = self._study.get_trials(deepcopy=False)
        return number < len(trials) and trials[number].state.is_finished()

    def tell(self, number: int, result: SweepJob | None) -> None:
        """Hand a result in, once. A failed or unfinished trial stays open."""
        import optuna

        if result is None or self.is_told(number):
            return
        if result.status == "finished" and result.objective is not None:
            self._study.tell(number, result.objective)
        elif result.status == "pruned":
            self._study.tell(number, state=optuna.trial.TrialState.PRUNED)

    def watching(self, number: int, progress: Progress) -> Progress:
        """Progress that reports the validation loss of trial `number` and ends its training where that is hopeless."""
        import optuna

        frozen = self._study.get_trials(deepcopy=False)[number]
        if self._search.pruner == "none" or frozen.state.is_finished():
            return progress
        trial = optuna.trial.Trial(self._study, frozen._trial_id)
        return Watching(progress, trial, goal=self._search.objective.goal, known=set(frozen.intermediate_values))


class Watching:
    """Passes everything on and tells the study each epoch's validation loss."""

    def __init__(self, inner: Progress, trial: "optuna.trial.Trial", *, goal: Goal, known: set[int]) -> None:
        self._inner, self._trial, self._known = inner, trial, known
        # Optuna compares in the direction of the objective, and a loss is better when it is smaller.
        self._sign = 1.0 if goal == "minimize" else -1.0

    def track(self, items: Iterable[Item], description: str, total: int | None = None) -> Iterable[Item]:
        """Pass on."""
        return self._inner.track(items, description, total)

    def message(self, text: str) -> None:
        """Pass on."""
        self._inner.message(text)

    def stage_begins(self, stage: StageName, run_id: str | None) -> None:
        """Pass on."""
        self._inner.stage_begins(stage, run_id)

    def curve(self, step: int, values: Mapping[str, float]) -> None:
        """Pass on, and raise PrunedError when the study gives the training up."""
        self._inner.curve(step, values)
        if LOSS not in values:
            return
        loss, at = values[LOSS], int(values.get("epoch", step))
        if at not in self._known:  # a training that resumed from an older state repeats what it told before
            self._known.add(at)
            self._trial.report(self._sign * loss, at)
        if at == max(self._known) and self._trial.should_prune():
            raise PrunedError(f"given up at epoch {at}: validation loss {loss:.4f} is behind that of earlier jobs")


def open_study(folder: Path, search: Search) -> Study:
    """Open the study of a sweep's folder, or begin it. Raises UsageError without Optuna."""
    require_optuna()
    return Study(_opened(folder, search.model_dump_json()), search)


@lru_cache(maxsize=4)  # a job's process opens it once; opening takes longer than a short job
def _opened(folder: Path, search: str) -> "optuna.Study":
    import optuna
    from sqlalchemy.engine import URL

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    wanted = Search.model_validate_json(search)
    url = URL.create("sqlite", database=str(folder / STUDY_FILE)).render_as_string()
    storage = optuna.storages.RDBStorage(url, engine_kwargs={"connect_args": {"timeout": _WAIT_FOR_DATABASE_S}})
    return optuna.create_study(
        storage=storage,
        study_name=folder.name,
        direction=wanted.objective.goal,
        load_if_exists=True,
        sampler=_sampler(wanted, 0),
        pruner=_pruner(wanted),
    )


def _sampler(search: Search, number: int) -> "optuna.samplers.BaseSampler":
    import optuna

    seed = int.from_bytes(hashlib.blake2b(f"{search.seed}/{number}".encode(), digest_size=4).digest(), "little")
    build: Callable[..., optuna.samplers.BaseSampler] = getattr(optuna.samplers, SAMPLERS[search.sampler])
    return build(**{**search.sampler_options, "seed": seed})


def _pruner(search: Search) -> "optuna.pruners.BasePruner":
    import optuna

    build: Callable[..., optuna.pruners.BasePruner] = getattr(optuna.pruners, PRUNERS[search.pruner])
    return build(**search.pruner_options)


def _spelled(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)
