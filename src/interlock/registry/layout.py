"""Where an archived run keeps what. Only names and places; nothing is written here.

    runs/<run_id>/models/run_card.json            written last; what it lists is immutable
                        /<files of train, evaluate, export>
                        /records/<stage>.json     the stage records, from prepare on
                  attempts/<attempt>/             start, end, observations of each execution
                  judgements/<id>/  decisions/<id>/  approvals/
                  answers/<key>/                  a question to a language model, and every answer to it
                  revisions/<id>/<stage>/         what a later evaluate or export with other code gave

Stages share one flat folder, so that the model, its metrics and its report stand side by side. A name that an earlier
stage has taken goes into a folder of the later one: export's `measurements.json` is `export/measurements.json`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from interlock.contracts.stage import STAGES, Artifact, Observations, StageName, StageRecord
from interlock.errors import ProvenanceError
from interlock.provenance.identity import RUN_ID_PATTERN

CARD = "run_card.json"
RECORDS = "records"
DATASET_CARD = "dataset_card.json"
MODEL_STAGES: tuple[StageName, ...] = ("prepare", "train", "evaluate", "export")
"""Stages that a card covers."""
RESTORE = "it was changed after it was written; restore it from a backup or from a teammate's archive"
"""Way out for a file of an archived run: neither DVC nor a stage brings it back."""
_TAKEN = {RECORDS, CARD, *STAGES}
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True, kw_only=True)
class StageFiles:
    """A finished stage with the folder it stands in."""

    folder: Path
    record: StageRecord
    record_text: str
    """The bytes of `record.json`, as they were read."""
    observations: Observations
    observations_text: str


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """The finished stages of one run, verified to belong together."""

    run_id: str
    lane: str
    stages: Mapping[StageName, StageFiles]
    model_files: tuple[str, ...]
    """The lane's declaration of its model, as `<stage>/<file>`."""
    parent_run: str | None = None
    """Run whose decision led to this one, as its configuration says; lineage alone, in no identity."""


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A stage's file and what it must contain."""

    stage: StageName
    name: str
    """Name in the stage's folder."""
    artifact: Artifact
    volatile: bool
    """Its bytes may differ between executions."""


def run_folder(home: Path, run_id: str) -> Path:
    """Folder of an archived run. Raises ProvenanceError for text that is no run id."""
    if not re.fullmatch(RUN_ID_PATTERN, run_id):
        raise ProvenanceError("not a run id", key="run_id", value=run_id, hint="16 hexadecimal digits")
    return home / "runs" / run_id


def id_folder(parent: Path, name: str) -> Path:
    """Folder of a judgement, decision or attempt. Raises ProvenanceError for a name that could leave `parent`."""
    if not _ID.fullmatch(name):
        raise ProvenanceError("not usable as a folder's name", path=parent, value=name, hint="restore the record")
    return parent / name


def placements(run: FinishedRun) -> dict[str, Placed]:
    """Every archived file by its name in `models/`. Of prepare only the dataset's card: DVC keeps the data."""
    placed: dict[str, Placed] = {}
    for stage in MODEL_STAGES:
        if stage not in run.stages:
            continue
        found = run.stages[stage]
        files = {**found.record.artifacts, **found.observations.volatile_artifacts}
        for name in sorted(files):
            if stage == "prepare" and name != DATASET_CARD:
                continue
            target = _target(stage, safe_name(name, found.folder), placed)
            volatile = name in found.record.volatile
            placed[target] = Placed(stage=stage, name=name, artifact=files[name], volatile=volatile)
    return placed


def placed_model_files(run: FinishedRun, placed: Mapping[str, Placed]) -> tuple[str, ...]:
    """Where the lane's model files went, in the lane's order; a file that the run does not have is left out."""
    where = {f"{item.stage}/{item.name}": target for target, item in placed.items()}
    return tuple(where[name] for name in run.model_files if name in where)


def safe_name(name: str, folder: Path) -> str:
    """The name itself. Raises ProvenanceError for one that is absolute, hidden in `..`, or not in plain form."""
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\\" in name or str(path) != name or "\0" in name:
        raise ProvenanceError("a recorded file name leaves its folder", path=folder, value=name, hint="run it again")
    return name


def _target(stage: StageName, name: str, placed: Mapping[str, Placed]) -> str:
    if name in placed or name.partition("/")[0] in _TAKEN:
        return f"{stage}/{name}"
    return name
