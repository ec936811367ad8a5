"""Compose every lane of `params.yaml` into `params/<lane>.yaml`, the canonical files that stages read.

`compose_workspace` validates every lane before `write_composed` writes the first byte, so a failing compose leaves the
last good files in place. Stages read the composed files through `interlock.stages.frame`, never this module.
"""

from collections.abc import Mapping
from pathlib import Path

import yaml

from interlock.config.compose import compose_lane
from interlock.config.inputs import in_order, lanes_needed
from interlock.config.params_file import PARAMS, lane_overrides, read_params
from interlock.config.validate import validate
from interlock.contracts.experiment import Experiment
from interlock.errors import ConfigError
from interlock.provenance.canonical import plain
from interlock.provenance.files import write_atomic

COMPOSED = "params"


def compose_workspace(workspace: Path) -> dict[str, Experiment]:
    """Compose and validate every lane of `params.yaml`, those first that others need.

    Raises one ConfigError with the faults of all lanes.
    """
    params = read_params(workspace / PARAMS)
    experiments, faults = {}, []
    for lane in params["lanes"]:
        try:
            composition = compose_lane(workspace / "conf", lane_overrides(params, lane))
            experiments[lane] = validate(composition, subject=f"lane {lane}")
        except ConfigError as error:
            faults += [fault for fault in error.faults if fault not in faults]
    if faults:
        raise ConfigError(faults, subject=f"{PARAMS} with conf/", hint="interlock explain KEY shows a key's meaning")
    return {lane: experiments[lane] for lane in in_order(_needs(experiments))}


def _needs(experiments: Mapping[str, Experiment]) -> dict[str, dict[str, str]]:
    return {lane: lanes_needed(experiment.lane.inputs) for lane, experiment in experiments.items()}


def composed_path(folder: Path, lane: str) -> Path:
    """Where the composed configuration of a lane stands under a workspace."""
    return folder / COMPOSED / f"{lane}.yaml"


def composed_text(experiment: Experiment) -> str:
    """The canonical YAML of an experiment: sorted keys, floats in one spelling."""
    return yaml.safe_dump(plain(experiment), sort_keys=True, allow_unicode=True, default_flow_style=False, width=120)


def write_composed(folder: Path, experiments: Mapping[str, Experiment]) -> list[str]:
    """Write `params/<lane>.yaml` for each lane whose text changed; returns the names of those lanes."""
    changed = []
    for lane, experiment in experiments.items():
        path, text = composed_path(folder, lane), composed_text(experiment)
        if not path.is_file() or path.read_text() != text:
            write_atomic(path, text)
            changed.append(lane)
    return changed
