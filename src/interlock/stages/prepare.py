"""Stage `prepare`: read, check and split the source, write the dataset with its card. Many runs share it."""

from interlock.contracts.stage import StageRecord
from interlock.lanes.spec import Progress
from interlock.stages.frame import run_stage
from interlock.stages.lane_work import lane_work
from interlock.stages.place import Place


def run(place: Place, *, progress: Progress) -> StageRecord:
    """Prepare the lane's dataset."""
    return run_stage("prepare", place, lane_work, progress=progress, identify=lambda frame: None)
