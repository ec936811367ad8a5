"""Turn the command line of a sweep into jobs that are composed and validated before the first one starts.

    settings = read_settings(conf, overrides)           # which sweeper and launcher Hydra will use
    jobs = compose_jobs(conf, expand(conf, settings))   # raises one ConfigError with the faults of all jobs

Expanding is left to Hydra's own basic sweeper, so that job numbers agree with what it launches. Does not write files
(`interlock.runs.sweeps.jobs`) and starts nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep, Transformer
from hydra.errors import HydraException
from omegaconf import OmegaConf

from interlock.config.compose import compose_each, first_values, hydra_settings, parse, parse_all
from interlock.config.inputs import as_planned, lanes_needed
from interlock.config.params import composed_text
from interlock.config.validate import validate
from interlock.contracts.experiment import Experiment
from interlock.errors import ConfigError, Fault, UsageError
from interlock.runs.sweeps.jobs import ComposedJob

_SHOWN_JOBS = 4
SWEEPERS = ("basic", "optuna")


@dataclass(frozen=True, kw_only=True)
class SweepSettings:
    """What Hydra was told about the sweep."""

    sweeper: str
    """Name of the sweeper."""
    launcher: str
    """Name of the launcher."""
    options: Mapping[str, Any]
    """`hydra.sweeper`, plain."""
    overrides: tuple[str, ...]
    """From the command line, after those of `hydra.sweeper.params`."""
    folder: str = ""
    """Where Hydra writes, from the workspace."""


def read_settings(conf: Path, overrides: Sequence[str]) -> SweepSettings:
    """Ask Hydra which sweeper and launcher it will use. Raises UsageError for a sweeper that cannot plan."""
    settings = hydra_settings(conf, first_values(overrides))
    options: Any = OmegaConf.to_container(settings.sweeper, resolve=True)
    choices = settings.runtime.choices
    found = SweepSettings(
        sweeper=str(choices.get("hydra/sweeper")),
        launcher=str(choices.get("hydra/launcher")),
        options=options,
        overrides=(*(f"{key}={value}" for key, value in (options.get("params") or {}).items()), *overrides),
        folder=str(settings.sweep.dir),
    )
    if found.sweeper not in SWEEPERS:
        raise UsageError(
            "is a sweeper whose jobs are not known before they run",
            key="hydra/sweeper",
            value=found.sweeper,
            hint=f"choose one of {', '.join(SWEEPERS)}",
        )
    return found


def expand(conf: Path, settings: SweepSettings) -> list[list[str]]:
    """The overrides of every job in Hydra's order. Raises ConfigError for a sweep that the basic sweeper refuses."""
    for text in settings.overrides:
        if getattr(parse(text).value(), "shuffle", False):
            raise UsageError(
                "is in another order each time, so the same command would not find its sweep again",
                key="shuffle()",
                value=text,
                hint="leave shuffle() out",
            )
    try:
        (jobs,) = BasicSweeper.split_arguments(parse_all(conf, settings.overrides), None)
    except HydraException as error:
        fault = Fault(key="sweep", problem=str(error).splitlines()[0], has_value=False)
        raise ConfigError([fault], subject="sweep", hint="nothing has run yet") from error
    return [list(job) for job in jobs]


def compose_jobs(
    conf: Path, jobs: Sequence[Sequence[str]], *, first: int = 0, name_jobs: bool = True
) -> list[ComposedJob]:
    """Compose and validate every job. Raises one ConfigError that lists each fault once, with the jobs that have it.

    `name_jobs` is False for jobs that only try out what a search may propose.
    """
    composed: list[ComposedJob] = []
    faults: dict[str, tuple[Fault, list[int]]] = {}
    for number, (overrides, found) in enumerate(zip(jobs, compose_each(conf, jobs), strict=True), start=first):
        try:
            if isinstance(found, ConfigError):
                raise found
            experiment = validate(found, subject=f"job {number}")
            needs = _needs(conf, experiment)
        except ConfigError as error:
            for fault in error.faults:
                faults.setdefault(str(fault), (fault, []))[1].append(number)
            continue
        composed.append(
            ComposedJob(
                overrides=tuple(text for text in overrides if not _is_hydras(text)),
                lane=str(found.lane),
                text=composed_text(experiment),
                experiment=experiment,
                needs=needs,
            )
        )
    if faults:
        listed = [_with_jobs(fault, numbers, len(jobs)) if name_jobs else fault for fault, numbers in faults.values()]
        subject = f"sweep of {len(jobs)} jobs" if name_jobs else "what the sweep may try"
        raise ConfigError(listed, subject=subject, hint="correct it; nothing has run yet")
    return composed


def _needs(conf: Path, experiment: Experiment) -> tuple[ComposedJob, ...]:
    """Lanes that a job is made from, as `params.yaml` composes them. Raises ConfigError where one is refused."""
    found = []
    for lane in dict.fromkeys(lanes_needed(experiment.lane.inputs).values()):
        other = validate(as_planned(conf, lane), subject=f"lane {lane}")
        text, needs = composed_text(other), _needs(conf, other)
        found.append(ComposedJob(overrides=(), lane=lane, text=text, experiment=other, needs=needs))
    return tuple(found)


def search_space(settings: SweepSettings) -> tuple[list[str], dict[str, Override]]:
    """Split an optimising sweep into its fixed overrides and the swept ones by key.

    Raises ConfigError for a sweep that cannot be searched, UsageError when nothing is swept.
    """
    fixed, space, faults = [], {}, []
    for text in settings.overrides:
        override = parse(text)
        if not override.is_sweep_override():
            fixed.append(text)
        elif isinstance(override.value(), ChoiceSweep | RangeSweep | IntervalSweep):
            space[override.get_key_element()] = override
        else:
            faults.append(Fault(key=override.key_or_group, problem="cannot be searched", value=text))
    if faults:
        raise ConfigError(faults, subject="sweep", hint="write interval(A,B), range(A,B) or a list of values A,B")
    if not space:
        raise UsageError(
            "there is nothing to search", key="hydra/sweeper=optuna", hint="sweep a key: KEY=interval(0.0001,0.01)"
        )
    return fixed, space


def corners(fixed: Sequence[str], space: Mapping[str, Override]) -> list[list[str]]:
    """Jobs at the lower and at the upper end of every searched key: what is out of bounds shows before anything runs.

    A choice has no ends, so each of its values is tried by itself with the others at their first.
    """
    ends = {key: _ends(override) for key, override in space.items()}
    low = {key: values[0] for key, values in ends.items()}
    tried = [low, {key: values[-1] for key, values in ends.items()}]
    tried += [low | {key: value} for key, values in ends.items() for value in values[1:]]
    jobs = [[*fixed, *(f"{key}={value}" for key, value in point.items())] for point in tried]
    return [job for index, job in enumerate(jobs) if job not in jobs[:index]]


def _ends(override: Override) -> list[str]:
    value: Any = override.value()
    if isinstance(value, ChoiceSweep):
        return [str(text) for text in override.sweep_string_iterator()]
    if isinstance(value, RangeSweep):
        texts = [str(text) for text in override.sweep_string_iterator()]
        return [texts[0], texts[-1]]
    return [str(Transformer.encode(value.start)), str(Transformer.encode(value.end))]


def _is_hydras(text: str) -> bool:
    """Whether an override is about Hydra itself, which a job does not see among its own."""
    return text.lstrip("+~").startswith(("hydra.", "hydra/"))


def _with_jobs(fault: Fault, numbers: Sequence[int], total: int) -> Fault:
    if len(numbers) == total:
        return fault
    shown = ", ".join(str(number) for number in numbers[:_SHOWN_JOBS])
    more = f" and {len(numbers) - _SHOWN_JOBS} more" if len(numbers) > _SHOWN_JOBS else ""
    where = f"job{'s' if len(numbers) > 1 else ''} {shown}{more}"
    return replace(fault, source=f"{fault.source} in {where}" if fault.source else where)
