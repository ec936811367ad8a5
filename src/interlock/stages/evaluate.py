"""Stage `evaluate`: measure the trained model beside its baselines on the held-out split, and write the report."""

from interlock.contracts.stage import StageRecord
from interlock.lanes.spec import Progress
from interlock.stages.frame import Place, run_of_train, run_stage
from interlock.stages.lane_work import lane_work


def run(place: Place, *, progress: Progress) -> StageRecord:
    """Evaluate the lane's model."""
    return run_stage("evaluate", place, lane_work, progress=progress, identify=run_of_train)
