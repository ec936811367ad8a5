"""Stage `train`: give the run its identity, then train; a run that was killed resumes to the same bits.

A training that fails is healed inside stated bounds by `interlock.runs.healing`, which is loaded by name and so is in
no run's code digest: it decides which configuration is trained and never what a configuration gives. What it changed
is in the healed run's id, configuration and record.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from interlock.contracts.lane import BODY_KEYS
from interlock.contracts.stage import StageRecord
from interlock.errors import StageError
from interlock.lanes.spec import Progress, StageOutcome, load_object
from interlock.provenance.canonical import sha256_json
from interlock.provenance.digest import sha256_file
from interlock.provenance.files import copy_atomic
from interlock.provenance.identity import WARM_START as WARM_START_INPUT
from interlock.provenance.identity import run_id
from interlock.stages.frame import Frame, as_run, open_frame
from interlock.stages.healed import WARM_START, with_changes
from interlock.stages.inputs import GIVEN
from interlock.stages.lane_work import lane_work
from interlock.stages.place import Place

_HEALING = "interlock.runs.healing.training:train"


def run(place: Place, *, progress: Progress) -> StageRecord:
    """Train the lane's model."""
    train: Callable[[Frame], StageRecord] = load_object(_HEALING)
    return train(open_frame("train", place, progress=progress, identify=identify))


def identify(frame: Frame) -> str:
    """The run's id: everything its weights depend on, and nothing else."""
    dataset = frame.records["prepare"].facts.get("dataset_sha256")
    if not isinstance(dataset, str):
        raise StageError(
            "the prepare record names no dataset_sha256",
            path=frame.inputs["prepare"],
            hint="a lane's prepare must return it among its facts",
        )
    return run_id(
        lane_body={key: value for key, value in frame.params["lane"].items() if key in BODY_KEYS},
        seed=frame.params["seed"],
        hardware=frame.params["hardware"],
        dataset_sha256=dataset,
        input_digests=_input_digests(frame),
        code_sha256=frame.key.code_sha256,
        lock_sha256=frame.key.lock_sha256,
    )


def adjusted(frame: Frame, changes: Mapping[str, Any], warm_start: Path | None) -> Frame:
    """The training with new values at dotted keys and weights to begin with: another run, unless nothing changes."""
    warm_start = warm_start or given_warm_start(frame.place)
    params = with_changes(frame.params, changes)
    lane = with_changes({"lane": frame.lane}, {key: value for key, value in changes.items() if key.startswith("lane.")})
    key = replace(frame.key, params_sha256=sha256_json(params))
    changed = replace(frame, params=params, lane=lane["lane"], key=key, warm_start=warm_start)
    return as_run(changed, identify(changed))


def given_warm_start(place: Place) -> Path | None:
    """Weights laid beside the stages for a run that is repeated from the archive."""
    path = place.folder / GIVEN / WARM_START
    return path if path.is_file() else None


def trained(frame: Frame) -> StageOutcome:
    """Call the lane's train function; weights that it begins with are kept beside its model."""
    if frame.warm_start is None:
        return lane_work(frame)
    kept = frame.folder / WARM_START
    copy_atomic(frame.warm_start, kept)
    return lane_work(replace(frame, warm_start=kept))


def _input_digests(frame: Frame) -> dict[str, str]:
    digests = {name: use.sha256 for name, use in frame.lane_inputs.items()}
    return digests | ({WARM_START_INPUT: sha256_file(frame.warm_start)} if frame.warm_start else {})
