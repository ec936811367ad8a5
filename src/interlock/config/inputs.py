"""Inputs of a lane: which other lanes and runs it is made from, checked and pinned while composing.

    lane.inputs.base: lane:toy                   stays; what that lane gives is known when it has run
    lane.inputs.base: run:0123456789abcdef   ->  run:0123456789abcdef@sha256:<digest of what is used of it>
    lane.inputs.base: registry:toy@production -> the same for the run that holds the stage now
    lane.inputs.base: null                       as if it were not written

Every door composes a lane by itself, so other lanes are looked up in `params.yaml`: there stands which of them run and
how. Does not read trained files, nor verdicts: the stages that use them do.
"""

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from interlock.config.compose import Composition, compose_lane, nearest
from interlock.config.freshness import source_digests
from interlock.config.params_file import PARAMS, lane_overrides, read_params
from interlock.config.pins import REGISTRY_FORMS, holder, refusal
from interlock.contracts.input import pinned, taken_apart
from interlock.errors import ConfigError, Fault, InterlockError
from interlock.lanes.spec import InputSpec, LaneSpec
from interlock.provenance.canonical import canonical_json
from interlock.provenance.workspace import interlock_home
from interlock.registry.derive import refuse_unrecorded_verdict
from interlock.registry.recorded import refuse_unrecorded
from interlock.stages.inputs import read_source

_LANE = re.compile(r"lane:(?P<lane>[A-Za-z0-9_][A-Za-z0-9_.-]*)")
_RUN = re.compile(r"run:(?P<run>[0-9a-f]{16})(?P<pin>@sha256:[0-9a-f]{64})?")
_FORMS = f"lane:NAME, run:ID, {REGISTRY_FORMS}"
_KEY, _ALLOW = "lane.inputs", "lane.allow_unpassed"


def with_inputs(composition: Composition, spec: LaneSpec) -> tuple[Composition, list[Fault]]:
    """The composition with every archived input pinned to its bytes, and everything that is wrong with its inputs."""
    lane = composition.values["lane"]
    given = lane.get("inputs")
    if not isinstance(given, dict):
        return composition, []  # the contract says what it must be
    named = {name: value for name, value in given.items() if value is not None}
    pins, faults = {}, [*_names(named, composition, spec), *_allowances(lane.get("allow_unpassed"), named, composition)]
    for item in spec.inputs:
        if item.name not in named:
            continue
        try:
            pins[item.name] = _pin(named[item.name], item, composition)
        except ConfigError as error:
            faults += error.faults
    if {**named, **pins} != given:
        values = deepcopy(composition.values)
        values["lane"]["inputs"] = {**named, **pins}
        composition = replace(composition, values=values)
    return composition, faults


def as_planned(conf: Path, lane: str) -> Composition:
    """Another lane as `params.yaml` composes it, which is how every door takes a lane that it was not told about."""
    return _as_planned(conf, lane, canonical_json(source_digests(conf.parent)))


@lru_cache(maxsize=16)
def _as_planned(conf: Path, lane: str, sources: str) -> Composition:
    """Kept from one job of a sweep to the next, as long as the sources have the same bytes."""
    return compose_lane(conf, lane_overrides(read_params(conf.parent / PARAMS), lane))


def _names(named: Mapping[str, Any], composition: Composition, spec: LaneSpec) -> Iterator[Fault]:
    """Inputs that the lane does not have, and those that it cannot be without."""
    known = tuple(item.name for item in spec.inputs)
    for name in named:
        if name not in known:
            near = nearest(str(name), known)
            yield Fault(
                key=f"{_KEY}.{name}",
                problem="the lane has no such input" if known else "the lane takes no inputs; remove it",
                value=named[name],
                source=composition.source_of(f"{_KEY}.{name}"),
                allowed=tuple(f"{_KEY}.{other}" for other in known),
                nearest=f"{_KEY}.{near}" if near else "",
            )
    for item in spec.inputs:
        if item.required and item.name not in named:
            key = f"{_KEY}.{item.name}"
            problem = f"is required: the lane is made from a run of {' or '.join(item.kinds)}; write {_FORMS}"
            yield Fault(key=key, problem=problem, has_value=False, source=composition.source_of(key))


def _allowances(allowed: Any, named: Mapping[str, Any], composition: Composition) -> Iterator[Fault]:
    """Permissions for an input that is not there would be taken for one that is."""
    for name in allowed if isinstance(allowed, dict) else ():
        if name not in named:
            near, key = nearest(str(name), tuple(named)), f"{_ALLOW}.{name}"
            yield Fault(
                key=key,
                problem="allows nothing: the lane is given no such input",
                value=allowed[name],
                source=composition.source_of(key),
                allowed=tuple(f"{_ALLOW}.{other}" for other in named),
                nearest=f"{_ALLOW}.{near}" if near else "",
            )


def _pin(value: Any, item: InputSpec, composition: Composition) -> str:
    """The composed form of one input. Raises ConfigError."""
    key = f"{_KEY}.{item.name}"
    if isinstance(value, str) and (found := _LANE.fullmatch(value)):
        _refuse_lane(found["lane"], key, item, composition)
        return value
    if isinstance(value, str) and value.startswith("registry:"):
        otherwise = "interlock registry promote one, or name a run: run:ID"
        run_id = holder(value, key, composition, forms=_FORMS, otherwise=otherwise)
        return _pinned_run(run_id, "", value, item, composition)
    if isinstance(value, str) and (found := _RUN.fullmatch(value)):
        return _pinned_run(found["run"], found["pin"] or "", value, item, composition)
    raise refusal(key, f"must be {_FORMS}", value, composition)


def _pinned_run(run_id: str, pin: str, value: str, item: InputSpec, composition: Composition) -> str:
    key = f"{_KEY}.{item.name}"
    if composition.conf is None:
        raise refusal(key, "cannot be looked up: it is not known which workspace composes it", value, composition)
    home = interlock_home(composition.conf.parent)
    if not (home / "runs" / run_id / "models" / "run_card.json").is_file():
        problem = f"run {run_id} is not in the archive; interlock pull brings it, or interlock sync where it was made"
        raise refusal(key, problem, value, composition)
    try:
        refuse_unrecorded(home, [run_id])
        refuse_unrecorded_verdict(home, run_id)
        source = read_source(home / "runs" / run_id)
    except InterlockError as error:
        problem = f"run {run_id} cannot be used: {error.message}; interlock verify {run_id} says what is wrong"
        raise refusal(key, problem, value, composition) from error
    if source.kind not in item.kinds:
        problem = f"run {run_id} is of kind {source.kind}, and this input takes {' or '.join(item.kinds)}"
        raise refusal(key, problem, value, composition)
    reference = pinned(run_id, source.sha256)
    if pin and reference != f"run:{run_id}{pin}":
        problem = f"run {run_id} is not what it was when this was written down; it is {reference}"
        raise refusal(key, problem, value, composition)
    return reference


def _refuse_lane(name: str, key: str, item: InputSpec, composition: Composition) -> None:
    """Raise ConfigError for a lane that does not run, is of another kind, or leads back to this one."""
    value = f"lane:{name}"
    lanes = _lanes_run(key, value, composition)
    if name not in lanes:
        near = nearest(name, lanes)
        raise refusal(
            key,
            f"the lane {name} is not run: `lanes` in {PARAMS} does not list it",
            value,
            composition,
            allowed=tuple(f"lane:{other}" for other in lanes),
            near=f"lane:{near}" if near else "",
        )
    if name == composition.lane:
        raise refusal(key, "the lane would need its own result; an earlier run of it is run:ID", value, composition)
    kind = str(_planned_lane(name, key, composition).get("kind"))
    if kind not in item.kinds:
        problem = f"the lane {name} is of kind {kind}, and this input takes {' or '.join(item.kinds)}"
        raise refusal(key, problem, value, composition)
    if way := _way_back([name], key, composition):
        circle = " -> ".join((composition.lane, *way))
        problem = f"the lanes need each other in a circle, {circle}; name an earlier run in one of them: run:ID"
        raise refusal(key, problem, value, composition)


def _lanes_run(key: str, value: str, composition: Composition) -> tuple[str, ...]:
    if composition.conf is None or not (composition.conf.parent / PARAMS).is_file():
        problem = f"cannot be looked up: there is no {PARAMS}, which says which lanes run"
        raise refusal(key, problem, value, composition)
    return tuple(read_params(composition.conf.parent / PARAMS)["lanes"])


def _planned_lane(name: str, key: str, composition: Composition) -> Mapping[str, Any]:
    """`lane.*` of another lane; only its kind and its inputs are looked at here."""
    assert composition.conf is not None
    try:
        found = as_planned(composition.conf, name).values.get("lane")
    except ConfigError as error:
        problem = f"the lane {name} cannot be composed: {error.faults[0].problem}"
        raise refusal(key, problem, f"lane:{name}", composition) from error
    return found if isinstance(found, dict) else {}


def _way_back(way: list[str], key: str, composition: Composition) -> list[str]:
    """Lanes from the first one on the way to the one that is composed; empty when none leads there."""
    inputs = _planned_lane(way[-1], key, composition).get("inputs")
    for value in inputs.values() if isinstance(inputs, dict) else ():
        found = _LANE.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            continue
        if found["lane"] == composition.lane:
            return [*way, composition.lane]
        if found["lane"] not in way and (whole := _way_back([*way, found["lane"]], key, composition)):
            return whole
    return []


def lanes_needed(inputs: Mapping[str, str]) -> dict[str, str]:
    """Lanes of the same pipeline among composed inputs, by the name of the input."""
    named = {name: taken_apart(reference).lane for name, reference in inputs.items()}
    return {name: lane for name, lane in named.items() if lane is not None}


def in_order(needs: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Lanes such that each comes after those that it needs, else in the order given; there are no circles by now."""
    done: list[str] = []

    def place(lane: str) -> None:
        for needed in needs.get(lane, {}).values():
            place(needed)
        if lane not in done and lane in needs:
            done.append(lane)

    for lane in needs:
        place(lane)
    return done
