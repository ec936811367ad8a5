"""Call the lane's own function for a stage, showing it exactly the configuration that the stage may see."""

from pydantic import TypeAdapter

from interlock.contracts.hardware import CpuTarget, Hardware
from interlock.contracts.lane import LaneBody
from interlock.lanes.spec import StageJob, StageOutcome
from interlock.provenance.dotted import lookup
from interlock.stages.frame import Frame
from interlock.stages.inputs import open_inputs


def lane_work(frame: Frame) -> StageOutcome:
    """Build the lane's job from the frame and run it."""
    hardware = frame.params.get("hardware")
    job = StageJob(
        lane=_visible_body(frame),
        seed=frame.params.get("seed", 0),
        hardware=TypeAdapter(Hardware).validate_python(hardware) if hardware else CpuTarget(kind="cpu"),
        folder=frame.folder,
        workspace=frame.place.workspace,
        inputs=frame.inputs,
        records=frame.records,
        state=frame.state,
        run_id=frame.run_id,
        evaluator_sha256=frame.key.code_sha256,
        compute_hours_max=float(frame.ceilings.get("compute_hours_max", float("inf"))),
        progress=frame.progress,
        warm_start=frame.warm_start,
        halt=frame.halt,
        lane_inputs=open_inputs(
            frame.lane_inputs, frame.place, allowed=_allowed(frame), earlier=frame.records.values()
        ),
    )
    return frame.spec.stage_function(frame.stage)(job)


def _allowed(frame: Frame) -> dict[str, bool]:
    """Inputs that need not have passed. Prepare alone tracks it, so that allowing one never trains again."""
    params = frame.records["prepare"].params if "prepare" in frame.records else frame.params
    return dict(lookup(params, "lane.allow_unpassed") or {})


def _visible_body(frame: Frame) -> LaneBody:
    """The lane's body with only the tracked keys: reading another one fails instead of going stale unnoticed."""
    whole = frame.spec.body(frame.lane)
    tracked = {name: getattr(whole, name) for name in frame.params["lane"] if name in type(whole).model_fields}
    return type(whole).model_construct(**tracked)
