"""What DVC watches of a stage besides files: digests of its code and of its configuration, in `params/stages.json`.

The compose stage writes them. It depends on all code, takes about a second when any of it changed, and only the stages
whose own digest changed run after it: one value instead of sixty files per stage, which keeps `dvc repro` quick with
many lanes. A stage refuses to run with other code than DVC was told of, for instance when a file is edited while
`dvc repro` is at work.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interlock.contracts.stage import STAGE_PARAMS, STAGES, StageName
from interlock.errors import StageError
from interlock.lanes.catalog import find_lane
from interlock.lanes.spec import LaneSpec
from interlock.provenance.canonical import sha256_json
from interlock.provenance.closure import code_digest
from interlock.provenance.dotted import select
from interlock.provenance.workspace import interlock_home
from interlock.stages.code import stage_code
from interlock.stages.inputs import verdicts_digest
from interlock.stages.pinned import JUDGING, pinned_digest
from interlock.stages.place import Place, read_composed

DECLARED = "params/stages.json"
"""`{lane: {stage: {code: sha256, config: sha256}}}`; in prepare also `verdicts` of archived runs that are inputs."""


def stage_digests(workspace: Path, spec: LaneSpec, config: Mapping[str, Any]) -> dict[StageName, dict[str, str]]:
    """Digests of every stage of a lane with this composed configuration; StageError for code that cannot be read."""
    found = {
        stage: {
            "code": code_digest(stage_code(stage, spec, workspace), workspace),
            "config": _config_digest(stage, workspace, config),
        }
        for stage in STAGES
    }
    if (verdicts := verdicts_digest(config, interlock_home(workspace))) is not None:
        found["prepare"]["verdicts"] = verdicts
    return found


def _config_digest(stage: StageName, workspace: Path, config: Mapping[str, Any]) -> str:
    """Digest of the keys that the stage reads, and of the runs that gates among them are pinned to."""
    keys = sha256_json(select(config, STAGE_PARAMS[stage]))
    pinned = pinned_digest(config, interlock_home(workspace)) if stage in JUDGING else None
    return keys if pinned is None else sha256_json([keys, pinned])


def require_declared_code(stage: StageName, place: Place) -> None:
    """Raise StageError when the code on disk is not what the compose stage wrote down for this stage."""
    key = f"{place.lane}.{stage}.code"
    try:
        noted = json.loads((place.workspace / DECLARED).read_text())[place.lane][stage]["code"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StageError(
            "does not say which code this stage is to run", path=DECLARED, key=key, hint="dvc repro composes it"
        ) from error
    spec = find_lane(str(read_composed(place.params).get("lane", {}).get("kind")))
    if code_digest(stage_code(stage, spec, place.workspace), place.workspace) != noted:
        raise StageError(
            "the code was changed after DVC looked at it, so this would run other code than DVC knows of",
            path=DECLARED,
            key=key,
            hint="dvc repro again: it composes first",
        )
