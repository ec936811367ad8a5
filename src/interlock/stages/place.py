"""Where a lane runs, and how its records are read. Writing them is the frame's."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from interlock.contracts.stage import StageRecord
from interlock.errors import StageError
from interlock.provenance.digest import verify_files

RECORD = "record.json"
OUTPUTS = "outputs.json"
OBSERVATIONS = "observations.json"
JUDGEMENT = "judgement.json"
"""What the judge stage writes; named here so that reading it does not load the judge."""
VERDICT = "verdict.json"
"""Beside it: `{run_id, verdict}` alone, which lanes that are made from this one depend on."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a lane runs."""

    workspace: Path
    """Root of the project: code, conf, relative data paths."""
    folder: Path
    """Folder of the lane; each stage has a folder of its own below it."""
    params: Path
    """The composed configuration, `params/<lane>.yaml`."""
    lane: str
    """Name of the lane."""
    wait_s: float = 0.0
    """How long to wait for another process that works on the same run; DVC's stages do not wait."""
    needs: Mapping[str, "Place"] = field(default_factory=dict)
    """Lanes that have to be run before, by the name of the input; DVC knows them from `dvc.yaml`."""

    @classmethod
    def of_workspace(cls, workspace: Path, lane: str) -> "Place":
        """The place where DVC runs a lane."""
        folder = workspace / "artifacts" / "lanes" / lane
        return cls(workspace=workspace, folder=folder, params=workspace / "params" / f"{lane}.yaml", lane=lane)


def load_record(folder: Path, *, verify: bool = False) -> StageRecord:
    """Read a finished stage's record; with `verify` also compare every file. Raises StageError, ProvenanceError."""
    path = folder / RECORD
    if not path.is_file():
        raise StageError("this stage has not finished: it has no record", path=path, hint="run the pipeline: dvc repro")
    try:
        record = StageRecord.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise StageError(
            f"the record is not valid: {error.errors()[0]['msg']}", path=path, hint=f"delete {folder} and run dvc repro"
        ) from error
    if verify:
        verify_files(folder, record.artifacts)
    return record


def read_composed(path: Path) -> dict[str, Any]:
    """Read `params/<lane>.yaml`. Raises StageError when it is missing or not a mapping."""
    try:
        # Safe although YAML 1.1 reads `1e-4` as text: the compose stage writes floats in one spelling.
        values = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise StageError(
            f"the composed configuration cannot be read: {error}", path=path, hint="run interlock compose"
        ) from error
    if not isinstance(values, dict):
        raise StageError("the composed configuration is not a mapping", path=path, hint="run interlock compose")
    return values
