"""Stage `train`: give the run its identity, then train; a run that was killed resumes to the same bits."""

from interlock.contracts.lane import BODY_KEYS
from interlock.contracts.stage import StageRecord
from interlock.errors import StageError
from interlock.lanes.spec import Progress
from interlock.provenance.identity import run_id
from interlock.stages.frame import Frame, run_stage
from interlock.stages.lane_work import lane_work
from interlock.stages.place import Place


def run(place: Place, *, progress: Progress) -> StageRecord:
    """Train the lane's model."""
    return run_stage("train", place, lane_work, progress=progress, identify=identify)


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
        input_digests={},
        code_sha256=frame.key.code_sha256,
        lock_sha256=frame.key.lock_sha256,
    )
