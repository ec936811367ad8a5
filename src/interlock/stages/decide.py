"""Stage `decide`: choose what follows from the verdict, inside the closed set that it allows; write the lane report.

    context.json  settings.json  decision.json  decision.md  lane_report.yaml (volatile)

Asks nobody: where the configuration names language models, their recorded answers are replayed, and one that is
missing is an error. Asking and recording is `interlock decide RUN`, in `interlock.runs.deciding`.
"""

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from interlock.contracts.agent import Agent
from interlock.contracts.decision import Decision, DecisionContext
from interlock.contracts.lane_report import LaneReport
from interlock.contracts.llm import LanguageModels, NoModel
from interlock.contracts.stage import Observations, StageRecord
from interlock.contracts.verdict import Judgement
from interlock.decisions import policies
from interlock.decisions.answers import Answers, Replaying
from interlock.decisions.context import lane_context
from interlock.decisions.sources import stage_sources
from interlock.errors import NotRecordedError, StageError
from interlock.lanes.spec import Progress, StageOutcome
from interlock.provenance.files import write_atomic
from interlock.provenance.workspace import interlock_home
from interlock.reports.decisions import decision_texts
from interlock.reports.lane_report import actuals, artifact_list, managers_used, observed, report_text, state_of
from interlock.stages.frame import Frame, run_of_train, run_stage
from interlock.stages.place import JUDGEMENT, OBSERVATIONS, Place

LANE_REPORT = "lane_report.yaml"


def run(place: Place, *, progress: Progress) -> StageRecord:
    """Decide about the run."""
    return run_stage("decide", place, _decide, progress=progress, identify=run_of_train)


def _decide(frame: Frame) -> StageOutcome:
    judgement = _judgement(frame.inputs["judge"] / JUDGEMENT)
    agents, llm = policies.read(frame.params)
    context = lane_context(stage_sources(frame.place.folder), frame.params)
    decision = _replayed(frame, context, agents, llm)
    for name, text in decision_texts(decision, context).items():
        write_atomic(frame.folder / name, text)
    report = _lane_report(frame, judgement, decision, agents)
    write_atomic(frame.folder / LANE_REPORT, report_text(report))
    frame.progress.message(f"decision: {decision.action}")
    return StageOutcome(
        facts={"action": decision.action.value, "decision_id": decision.decision_id},
        volatile_files=(LANE_REPORT,),  # it states durations, which differ between executions
    )


def _replayed(
    frame: Frame, context: DecisionContext, agents: Mapping[str, Agent], llm: NoModel | LanguageModels
) -> Decision:
    """What the agent's policy decides with recorded answers alone, whatever `llm.mode` says."""
    assert frame.run_id
    if isinstance(llm, LanguageModels):
        llm = llm.model_copy(update={"mode": "replay"})
    folder = interlock_home(frame.place.workspace) / "runs" / frame.run_id / "answers"
    try:
        return policies.build(context.agent, agents, llm, Replaying(Answers(folder))).decide(context)
    except NotRecordedError as error:
        step = error.trail[-1]
        raise StageError(
            f"{step.agent} would ask {step.model}, and no answer to this question is recorded",
            path=folder / str(step.key),
            hint=f"interlock decide {frame.run_id} asks and records the answer, then run this again; "
            "with llm=none the rules decide",
        ) from error


def _judgement(path: Path) -> Judgement:
    try:
        return Judgement.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        problem = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error.strerror
        raise StageError(
            f"the judgement is not valid: {problem}", path=path, hint=f"delete {path.parent} and run dvc repro"
        ) from error


def _lane_report(frame: Frame, judgement: Judgement, decision: Decision, agents: Mapping[str, Agent]) -> LaneReport:
    seconds = sum(_duration_s(frame.place.folder / stage / OBSERVATIONS) for stage in frame.inputs)
    names = (
        name.rsplit("/", 1)[-1]
        for stage in ("train", "evaluate", "export")
        for name in sorted(frame.records[stage].artifacts)
        if "/" not in name
    )
    return LaneReport(
        lane=frame.place.lane,
        state=state_of(decision.action),
        artifacts=artifact_list(judgement.run_id, names),
        acceptance_results={row.gate: observed(row) for row in judgement.rows},
        actuals=actuals(seconds, tokens=decision.usage.tokens, cost_usd=decision.usage.usd),
        managers_used=managers_used(agents, frame.records["train"].facts),
        run_id=judgement.run_id,
        verdict=judgement.verdict.value,
        remarks=_recovered(frame.inputs["train"] / OBSERVATIONS),
    )


def _recovered(path: Path) -> tuple[str, ...]:
    """Every fault of the training and what was done about it."""
    told = Observations.model_validate_json(path.read_text()).facts.get("recovery") if path.is_file() else None
    return tuple(str(item) for item in told) if isinstance(told, list) else ()


def _duration_s(path: Path) -> float:
    return Observations.model_validate_json(path.read_text()).duration_s if path.is_file() else 0.0
