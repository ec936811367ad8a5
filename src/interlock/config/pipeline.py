"""Render `dvc.yaml` from the composed configuration, and refuse to run when the committed one no longer fits.

One compose stage, then six stages per lane. Prepare and train depend on the keys they read, so that `dvc status` names
what was tuned; the other stages on one digest of theirs, and all on a digest of their code
(`interlock.stages.declared`). Later stages depend on the `outputs.json` of earlier ones, which holds the digests of all
they hand over, so that logs, durations and a rerun with the same result never make anything run again.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from interlock.config.freshness import STAMP
from interlock.config.params import COMPOSED
from interlock.config.plugins import conf_files
from interlock.contracts.experiment import Experiment
from interlock.contracts.input import taken_apart
from interlock.contracts.stage import STAGE_INPUTS, STAGE_PARAMS, STAGES, StageName
from interlock.errors import ConfigError, Fault
from interlock.lanes.catalog import find_lane
from interlock.lanes.spec import LaneSpec, load_object
from interlock.provenance.canonical import plain
from interlock.provenance.environment import LOCK_FILE
from interlock.provenance.files import write_atomic, write_json
from interlock.stages.code import dependency_name, stage_code
from interlock.stages.declared import DECLARED, stage_digests
from interlock.stages.inputs import TAKING
from interlock.stages.place import OUTPUTS, VERDICT

DVC_FILE = "dvc.yaml"
_CODE = ("pipelines", "src/interlock")
_KEY_BY_KEY: tuple[StageName, ...] = ("prepare", "train")

_HEADER = "# Rendered by `interlock pipeline render` from conf/ and params.yaml; edit those instead.\n"


def render(workspace: Path, experiments: Mapping[str, Experiment]) -> str:
    """The text of `dvc.yaml` for these lanes."""
    document: dict[str, Any] = {
        "stages": {"compose": _compose_stage(workspace, experiments)},
        "metrics": [],
        "plots": [],
    }
    for lane, experiment in experiments.items():
        spec = find_lane(experiment.lane.kind)
        for stage in STAGES:
            document["stages"][f"{lane}-{stage}"] = _lane_stage(workspace, lane, stage, spec, experiment)
        folder = f"artifacts/lanes/{lane}"
        document["metrics"] += [f"{folder}/{name}" for name in spec.metrics]
        document["plots"] += [
            {f"{folder}/{plot.file}": {"x": plot.x, "y": list(plot.y), "title": f"{lane}: {plot.title}"}}
            for plot in spec.plots
        ]
    return _HEADER + yaml.safe_dump(document, sort_keys=False, width=120)


def write_rendered(workspace: Path, experiments: Mapping[str, Experiment]) -> bool:
    """Write `dvc.yaml` if its text changed; returns whether it did."""
    path, text = workspace / DVC_FILE, render(workspace, experiments)
    if path.is_file() and path.read_text() == text:
        return False
    write_atomic(path, text)
    return True


def require_rendered(workspace: Path, experiments: Mapping[str, Experiment]) -> None:
    """Raise ConfigError when `dvc.yaml` differs from what the configuration and the code ask for."""
    path = workspace / DVC_FILE
    committed = yaml.safe_load(path.read_text()) if path.is_file() else {}
    wanted = yaml.safe_load(render(workspace, experiments))
    if committed == wanted:
        return
    stages = {**committed.get("stages", {}), **wanted["stages"]}
    stale = [name for name in stages if committed.get("stages", {}).get(name) != wanted["stages"].get(name)]
    fault = Fault(
        key=DVC_FILE,
        has_value=False,
        source=str(path),
        problem=f"no longer fits conf/, params.yaml or the imports ({', '.join(stale) or 'metrics or plots'})",
    )
    raise ConfigError([fault], subject=DVC_FILE, hint="interlock pipeline render")


def write_declared(workspace: Path, experiments: Mapping[str, Experiment]) -> None:
    """Note the code and the configuration that each stage would run with; the same ones write the same bytes."""
    digests = {
        lane: stage_digests(workspace, find_lane(experiment.lane.kind), plain(experiment))
        for lane, experiment in experiments.items()
    }
    write_json(workspace / DECLARED, digests)


def _compose_stage(workspace: Path, experiments: Mapping[str, Experiment]) -> dict[str, Any]:
    specs = {experiment.lane.kind: find_lane(experiment.lane.kind) for experiment in experiments.values()}
    composed = [f"{COMPOSED}/{lane}.yaml" for lane in experiments]
    return {
        "cmd": "python pipelines/compose.py",
        "deps": ["conf", *_CODE, *_plug_ins(workspace, specs.values())],
        "params": ["experiment", "lanes", "overrides", "lane_overrides"],
        # Kept while composing, so that a refused configuration leaves the last good files in place.
        "outs": [{name: {"persist": True}} for name in (*composed, DECLARED, STAMP)],
    }


def _plug_ins(workspace: Path, specs: Iterable[LaneSpec]) -> list[str]:
    """Code and YAML of lanes that live in packages of their own, file by file: their folders hold caches too."""
    files: set[Path] = set()
    for spec in specs:
        files.update(file for stage in STAGES for file in stage_code(stage, spec, workspace))
        files.update(conf_files(spec))
    ours = tuple(workspace / name for name in ("conf", *_CODE))
    return _names(workspace, tuple(file for file in files if not any(file.is_relative_to(folder) for folder in ours)))


def _lane_stage(workspace: Path, lane: str, stage: StageName, spec: LaneSpec, experiment: Experiment) -> dict[str, Any]:
    handed = [f"artifacts/lanes/{lane}/{name}/outputs.json" for name in STAGE_INPUTS[stage]]
    handed += _of_other_lanes(stage, experiment)
    sources = _sources(workspace, spec, experiment) if stage == "prepare" else []
    if stage in _KEY_BY_KEY:
        keys = [{f"{COMPOSED}/{lane}.yaml": list(STAGE_PARAMS[stage])}, {DECLARED: _declared(lane, stage, experiment)}]
    else:
        keys = [{DECLARED: [f"{lane}.{stage}"]}]
    return {
        "cmd": f"python pipelines/{stage}.py {lane}",
        "deps": [*handed, *sources, LOCK_FILE],
        "params": keys,
        "outs": [f"artifacts/lanes/{lane}/{stage}"],
    }


def _declared(lane: str, stage: StageName, experiment: Experiment) -> list[str]:
    """Its code; of prepare also the verdicts of archived runs that it is made from."""
    has_archived = any(taken_apart(reference).run_id for reference in experiment.lane.inputs.values())
    verdicts = [f"{lane}.{stage}.verdicts"] if stage == "prepare" and has_archived else []
    return [f"{lane}.{stage}.code", *verdicts]


def _of_other_lanes(stage: StageName, experiment: Experiment) -> list[str]:
    """What the stage reads of lanes that this one is made from.

    Prepare runs first and refuses for all of them, so it alone depends on the verdict: one that changes trains nothing.
    """
    named = [taken_apart(reference).lane for reference in experiment.lane.inputs.values()]
    folders = [f"artifacts/lanes/{name}" for name in sorted({name for name in named if name}) if stage in TAKING]
    verdicts = [f"{folder}/judge/{VERDICT}" for folder in folders if stage == "prepare"]
    return [*(f"{folder}/train/{OUTPUTS}" for folder in folders), *verdicts]


def _sources(workspace: Path, spec: LaneSpec, experiment: Experiment) -> list[str]:
    """What the lane's data is read from."""
    paths: list[Path] = load_object(spec.sources)(experiment.lane, workspace) if spec.sources else []
    return _names(workspace, tuple(paths))


def _names(workspace: Path, files: tuple[Path, ...]) -> list[str]:
    """Paths as DVC spells them: relative inside the project, absolute outside (a plug-in's code, outside data)."""
    return sorted(dependency_name(file, workspace) for file in files)
