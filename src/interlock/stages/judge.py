"""Stage `judge`: fold all gates into one verdict with reasons. A verdict that is no pass is a result, not an error."""

from interlock.contracts.stage import StageRecord
from interlock.lanes.spec import Progress, StageOutcome
from interlock.provenance.files import write_atomic, write_json
from interlock.provenance.workspace import interlock_home
from interlock.reports.verdicts import verdict_markdown
from interlock.stages.baselines import baseline_texts, beside_baselines
from interlock.stages.frame import Frame, run_of_train, run_stage
from interlock.stages.place import JUDGEMENT, VERDICT, Place
from interlock.stages.verdicts import read_gates, read_measured

VERDICT_PAGE = "verdict.md"


def run(place: Place, *, progress: Progress) -> StageRecord:
    """Judge the run."""
    return run_stage("judge", place, _judge, progress=progress, identify=run_of_train)


def _judge(frame: Frame) -> StageOutcome:
    assert frame.run_id
    measured = read_measured([frame.inputs["evaluate"], frame.inputs["export"]], run_id=frame.run_id)
    gates = read_gates(frame.params["lane"]["gates"])
    measured = beside_baselines(measured, gates, interlock_home(frame.place.workspace))
    judgement = measured.judgement(frame.place.lane, gates)
    write_json(frame.folder / JUDGEMENT, judgement)
    write_json(frame.folder / VERDICT, {"run_id": frame.run_id, "verdict": judgement.verdict.value})
    write_atomic(frame.folder / VERDICT_PAGE, verdict_markdown(judgement))
    for name, text in baseline_texts(measured).items():
        write_atomic(frame.folder / name, text)
    frame.progress.message(f"verdict: {judgement.verdict}")
    return StageOutcome(facts={"verdict": judgement.verdict.value, "judgement_id": judgement.judgement_id})
