"""Baselines named by the registry, pinned to a run's id while composing.

    lane.gates.r_at_5_over_production.baseline_run: registry:query_tower@production   ->   0123456789abcdef

The composed configuration holds the id alone, whichever door composed it. A pointer that moves later takes effect at
the next compose (`interlock compose`, or any change that makes DVC compose): that is what pinned means.

Does not read what the run measured, nor whether it is in this archive: the stages that judge do.
"""

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

from interlock.config.compose import Composition
from interlock.errors import ConfigError, Fault
from interlock.provenance.workspace import interlock_home

_NAMED = re.compile(r"registry:(?P<name>[^@:\s]+)@(?P<stage>[^@:\s]+)")
_STAGES = ("production", "staging")
"""Stages that one model of a lane holds. Nobody chose a candidate, and the newest one is soon the run itself."""
REGISTRY_FORMS = "registry:LANE@production or registry:LANE@staging"
"""How a stage of the registry is named, for messages."""


def with_pins(composition: Composition) -> tuple[Composition, list[Fault]]:
    """The composition with every `baseline_run` as a run id, and the faults of those that name none.

    `run:<id>` is taken for the id, because Hydra reads an id of digits alone as a number.
    """
    values = composition.values
    faults: list[Fault] = []
    for name, stated in _stated(values):
        try:
            run_id = _run_of(stated, f"lane.gates.{name}.baseline_run", composition)
        except ConfigError as error:
            faults += error.faults
            continue
        if run_id != stated:
            values = deepcopy(values) if values is composition.values else values
            values["lane"]["gates"][name]["baseline_run"] = run_id
    return replace(composition, values=values), faults


def _stated(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What is written down as `baseline_run`, by gate."""
    lane = values.get("lane")
    gates = lane.get("gates") if isinstance(lane, dict) else None
    for name, gate in gates.items() if isinstance(gates, dict) else ():
        if isinstance(gate, dict) and gate.get("baseline_run") is not None:
            yield name, gate["baseline_run"]


def _run_of(value: Any, key: str, composition: Composition) -> Any:
    """The run id that a value stands for; a value of any other form is left to the contract."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise refusal(key, "was read as a number; write run:ID for an id that looks like one", value, composition)
    if isinstance(value, str) and value.startswith("registry:"):
        otherwise = "set it to null, or interlock registry promote one"
        return holder(value, key, composition, forms=f"a run id, run:ID, {REGISTRY_FORMS}", otherwise=otherwise)
    return value.removeprefix("run:") if isinstance(value, str) else value


def holder(value: str, key: str, composition: Composition, *, forms: str, otherwise: str) -> str:
    """The run whose model holds the stage that `registry:<lane or kind>@<stage>` names.

    Raises ConfigError with one fault: `forms` is what could be written at `key`, `otherwise` the way out where no model
    holds the stage.
    """
    named = _NAMED.fullmatch(value)
    if named is None or named["stage"] not in _STAGES:
        raise refusal(key, f"must be {forms}", value, composition)
    if composition.conf is None:
        raise refusal(key, "cannot be looked up: it is not known which workspace composes it", value, composition)
    found = _models(interlock_home(composition.conf.parent), named["name"], named["stage"])
    if not found:
        raise refusal(key, f"no model of {named['name']} is in {named['stage']}; {otherwise}", value, composition)
    if len(found) > 1:
        problem = f"more than one lane has a model in {named['stage']}; name the lane"
        raise refusal(
            key, problem, value, composition, allowed=tuple(f"registry:{lane}@{named['stage']}" for lane in found)
        )
    return next(iter(found.values()))


def _models(home: Path, name: str, stage: str) -> dict[str, str]:
    """Runs by lane whose model holds the stage: of the lane with this name, else of lanes of this kind.

    Where two were promoted without knowing of each other, the one that everybody sees there.
    """
    from interlock.registry.holders import holders
    from interlock.registry.queries import list_models

    models = {model.id: model for model in list_models(home)}
    held = {item.lane: models[item.model_id] for item in holders(home) if item.stage == stage}
    if name in held:
        return {name: held[name].run_id}
    return {lane: model.run_id for lane, model in held.items() if model.model_type == name}


def refusal(
    key: str, problem: str, value: Any, composition: Composition, *, allowed: tuple[str, ...] = (), near: str = ""
) -> ConfigError:
    """One fault of a composed key, with the file or override that set it."""
    return ConfigError(
        [Fault(key=key, problem=problem, value=value, source=composition.source_of(key), allowed=allowed, nearest=near)]
    )
