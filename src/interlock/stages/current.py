"""Is what a stage left behind still what it would leave now? One answer for the runner and for `interlock status`.

A stage is current when its record fits the configuration, the code, the environment, the data it was read from and the
stages before it, and when not a byte of its files has changed.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from interlock.contracts.input import InputUse
from interlock.contracts.stage import STAGE_INPUTS, STAGE_PARAMS, StageName, StageRecord
from interlock.errors import InterlockError
from interlock.lanes.catalog import find_lane
from interlock.lanes.spec import LaneSpec, load_object
from interlock.provenance.canonical import sha256_json
from interlock.provenance.closure import code_digest
from interlock.provenance.digest import files_under, sha256_file
from interlock.provenance.dotted import select
from interlock.provenance.environment import environment_digest
from interlock.provenance.workspace import interlock_home
from interlock.stages.code import stage_code
from interlock.stages.inputs import input_uses, require_passed
from interlock.stages.pinned import JUDGING, pinned_digest
from interlock.stages.place import OUTPUTS, Place, load_record, read_composed


@dataclass(frozen=True, kw_only=True)
class StageKey:
    """Digests of everything that a stage's result follows from, besides the stages before it."""

    params_sha256: str
    """The configuration."""
    code_sha256: str
    """The code."""
    lock_sha256: str
    """The environment: the lock, and where the installed packages differ from it."""
    sources_sha256: str | None
    """The files outside the project that prepare reads, and the runs that gates of export and judge are pinned to; None
    where there are none."""


_MEANING = {
    "params_sha256": "the configuration",
    "code_sha256": "the code",
    "lock_sha256": "the lock or the installed packages",
    "sources_sha256": "the data that it reads, or a run that its gates are pinned to,",
}


def stage_key(
    stage: StageName, place: Place, spec: LaneSpec, config: Mapping[str, Any], *, environment: str | None = None
) -> StageKey:
    """The key that a record written now would carry; `environment` is its digest, where it is known already."""
    return StageKey(
        params_sha256=sha256_json(select(config, STAGE_PARAMS[stage])),
        code_sha256=code_digest(stage_code(stage, spec, place.workspace), place.workspace),
        lock_sha256=environment or environment_digest(place.workspace),
        sources_sha256=_sources_digest(stage, place.workspace, spec, config),
    )


def prepared_name(place: Place) -> str:
    """Name of a folder that all lanes with the same data, code of prepare, environment and inputs can share."""
    config = read_composed(place.params)
    key = stage_key("prepare", place, find_lane(str(config.get("lane", {}).get("kind"))), config)
    uses = input_uses("prepare", place, config)
    return sha256_json(vars(key) | ({"lane_inputs": uses} if uses else {}))[:16]


def why_not_current(stage: StageName, place: Place, *, environment: str | None = None) -> str:
    """What has changed since the stage ran, or that it has not finished; empty when it is current.

    `environment` is the digest of the environment, where it is known already: it takes longer than the rest.
    """
    try:
        config = read_composed(place.params)
        if stage == "prepare":
            require_passed(place, config)
        record = load_record(place.folder / stage, verify=True)
        key = stage_key(
            stage, place, find_lane(str(config.get("lane", {}).get("kind"))), config, environment=environment
        )
        inputs = {name: sha256_file(place.folder / name / OUTPUTS) for name in STAGE_INPUTS[stage]}
        return (
            _difference(record, key, inputs)
            or _other_input(record, input_uses(stage, place, config))
            or _other_run(record, place)
        )
    except InterlockError as error:
        where = Path(str(error.path)).name if error.path else error.key
        return f"{where}: {error.message}" if where else error.message
    except OSError as error:
        return f"{error.filename}: {error.strerror}"


def _difference(record: StageRecord, key: StageKey, inputs: Mapping[StageName, str]) -> str:
    asked = record.model_copy(update={"params_sha256": record.asked_params_sha256 or record.params_sha256})
    for field in fields(key):
        if getattr(asked, field.name) != getattr(key, field.name):
            return f"{_MEANING[field.name]} changed since it ran"
    changed = [name for name, digest in inputs.items() if record.inputs.get(name) != digest]
    return f"{', '.join(changed)} ran again since" if changed else ""


def _other_input(record: StageRecord, uses: Mapping[str, InputUse]) -> str:
    """Which input is another run now, or has another verdict where that counts."""
    for name in sorted({*record.lane_inputs, *uses}):
        before, now = record.lane_inputs.get(name), uses.get(name)
        if before != now:
            was, is_ = (f"run {use.run_id}, {use.verdict or 'its files'}" if use else "none" for use in (before, now))
            return f"the input {name} changed since it ran: it was {was}, and is {is_}"
    return ""


def _other_run(record: StageRecord, place: Place) -> str:
    if record.run_id is None or record.stage == "train":
        return ""
    trained = load_record(place.folder / "train").run_id
    return "" if record.run_id == trained else f"it is of run {record.run_id}, training is of run {trained}"


def _sources_digest(stage: StageName, workspace: Path, spec: LaneSpec, config: Mapping[str, Any]) -> str | None:
    """Digest over names and bytes of all files that the lane's data is read from, or over pinned runs."""
    if stage in JUDGING:
        return pinned_digest(config, interlock_home(workspace))
    if stage != "prepare" or spec.sources is None:
        return None
    digest, found = hashlib.sha256(), False
    for path in load_object(spec.sources)(spec.body(config["lane"]), workspace):
        for name in files_under(path) if path.is_dir() else [path.name]:
            file = path / name if path.is_dir() else path
            digest.update(f"{name}\0{sha256_file(file)}\0".encode())
            found = True
    return digest.hexdigest() if found else None
