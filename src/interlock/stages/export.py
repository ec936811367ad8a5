"""Stage `export`: ship the model only if the gates that are known by now pass; otherwise record why not."""

from interlock.contracts.stage import StageRecord
from interlock.contracts.verdict import Verdict
from interlock.gates.judgement import before_export, kpi_passed
from interlock.lanes.spec import Progress, StageOutcome
from interlock.provenance.workspace import interlock_home
from interlock.stages.baselines import beside_baselines
from interlock.stages.frame import Frame, run_of_train, run_stage
from interlock.stages.lane_work import lane_work
from interlock.stages.place import Place
from interlock.stages.verdicts import read_gates, read_measured


def run(place: Place, *, progress: Progress) -> StageRecord:
    """Export the lane's model."""
    return run_stage("export", place, _export, progress=progress, identify=run_of_train)


def _export(frame: Frame) -> StageOutcome:
    assert frame.run_id
    gates = before_export(read_gates(frame.params["lane"]["gates"]))
    measured = read_measured([frame.inputs["evaluate"]], run_id=frame.run_id)
    rows = beside_baselines(measured, gates, interlock_home(frame.place.workspace)).rows(gates)
    if kpi_passed(rows):
        return lane_work(frame)
    held = [row.reason for row in rows if row.severity != "advise" and row.verdict is not Verdict.PASS]
    reason = f"not exported: {'; '.join(held)}"
    frame.progress.message(reason)
    return StageOutcome(status="skipped", reason=reason)
