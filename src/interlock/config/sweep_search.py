"""Read what an optimising sweep searches and optimises from Hydra's grammar and `hydra.sweeper`.

Directions are declared: by the gate that judges the metric, or on the command line. Does not optimise
(`interlock.runs.sweeps.study`).
"""

from collections.abc import Mapping
from typing import Any, get_args

from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep
from pydantic import ValidationError

from interlock.config.sweep_plan import SweepSettings
from interlock.contracts.gate import BaselineGate, Gate, ThresholdGate
from interlock.contracts.sweep import Goal, Objective, Search
from interlock.errors import ConfigError, Fault, UsageError
from interlock.runs.sweeps.study import Axis

VALIDATION_LOSS = "validation_loss_best"
"""What is optimised unless told otherwise: validation data chooses, test data proves."""
_GOALS: dict[str, Goal] = {"at_least": "maximize", "at_most": "minimize"}


def read_search(settings: SweepSettings, space: Mapping[str, Override], gates: Mapping[str, Gate]) -> Search:
    """The search that `hydra.sweeper` asks for. Raises ConfigError, UsageError."""
    options = {key: value for key, value in settings.options.items() if key not in ("_target_", "params")}
    objective = _objective(options.pop("metric", None), options.pop("direction", None), gates)
    options |= {name: options[name] or {} for name in ("sampler_options", "pruner_options")}
    texts = {key: str(override.input_line).split("=", 1)[1] for key, override in space.items()}
    try:
        return Search(space=texts, objective=objective, **options)
    except ValidationError as error:
        faults = [
            Fault(key=".".join(["hydra.sweeper", *map(str, item["loc"])]), problem=item["msg"], value=item.get("input"))
            for item in error.errors()
        ]
        raise ConfigError(faults, subject="hydra.sweeper", hint="nothing has run yet") from error


def axes_of(space: Mapping[str, Override]) -> dict[str, Axis]:
    """The searched keys as axes."""
    return {key: _axis(override) for key, override in space.items()}


def _axis(override: Override) -> Axis:
    sweep: Any = override.value()
    log = "log" in sweep.tags
    if isinstance(sweep, ChoiceSweep):
        return Axis(kind="choice", choices=tuple(str(text) for text in override.sweep_string_iterator()))
    whole = _is_whole(sweep)
    kind = "int" if whole else "float"
    if isinstance(sweep, RangeSweep):
        values: list[Any] = list(sweep.range())
        step = abs(sweep.step) if len(values) > 1 else None
        return Axis(kind="int" if whole else "float", low=min(values), high=max(values), step=step)
    assert isinstance(sweep, IntervalSweep)
    assert sweep.start is not None
    assert sweep.end is not None
    return Axis(kind="int" if kind == "int" else "float", low=sweep.start, high=sweep.end, log=log)


def _is_whole(sweep: Any) -> bool:
    ends = (sweep.start, sweep.end) if isinstance(sweep, IntervalSweep) else (sweep.start, sweep.stop, sweep.step)
    return all(isinstance(value, int) for value in ends)


def _objective(metric: str | None, direction: str | None, gates: Mapping[str, Gate]) -> Objective:
    if direction is not None and direction not in get_args(Goal):
        fault = Fault(key="hydra.sweeper.direction", problem="there is no such direction", value=direction)
        raise ConfigError([fault], subject="hydra.sweeper", hint=f"write one of {', '.join(get_args(Goal))}")
    declared = _declared(metric, gates)
    goal = direction or declared
    if goal is None:
        raise UsageError(
            "no gate says which way this metric is better",
            key="hydra.sweeper.metric",
            value=metric,
            hint="add hydra.sweeper.direction=minimize or =maximize",
        )
    if declared is not None and goal != declared:
        raise UsageError(
            f"contradicts what is declared for {metric or VALIDATION_LOSS}: {declared}",
            key="hydra.sweeper.direction",
            value=direction,
            hint="leave hydra.sweeper.direction out",
        )
    return Objective(metric=metric or VALIDATION_LOSS, goal="minimize" if goal == "minimize" else "maximize")


def _declared(metric: str | None, gates: Mapping[str, Gate]) -> Goal | None:
    if metric is None or metric == VALIDATION_LOSS:
        return "minimize"
    for gate in gates.values():
        if isinstance(gate, ThresholdGate | BaselineGate) and gate.metric == metric:
            return _GOALS[gate.direction]
    return None
