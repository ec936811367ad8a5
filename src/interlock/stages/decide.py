"""Stage `decide`: choose what follows from the verdict, inside the closed set that it allows; write the lane report."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import yaml
from pydantic import TypeAdapter, ValidationError

from interlock.contracts.agent import Agent
from interlock.contracts.decision import Action, Decision, DecisionContext
from interlock.contracts.lane import Range
from interlock.contracts.lane_report import LaneReport
from interlock.contracts.spelling import spelled
from interlock.contracts.stage import Observations, StageRecord
from interlock.contracts.verdict import Judgement
from interlock.decisions import rules
from interlock.decisions.context import build_context
from interlock.decisions.evidence import Value
from interlock.errors import StageError
from interlock.lanes.spec import Progress, StageOutcome
from interlock.provenance.canonical import canonical_json, plain
from interlock.provenance.dotted import lookup
from interlock.provenance.files import write_atomic, write_json
from interlock.reports.decisions import decision_markdown
from interlock.reports.lane_report import actuals, artifact_list, observed, work_of
from interlock.stages.frame import Frame, run_of_train, run_stage
from interlock.stages.place import JUDGEMENT, OBSERVATIONS, Place

DECISION = "decision.json"
DECISION_PAGE = "decision.md"
LANE_REPORT = "lane_report.yaml"

_AGENTS = TypeAdapter(dict[str, Agent])
_SPACE = TypeAdapter(dict[str, Range])
_STATES: dict[Action, Literal["completed", "escalated"]] = {
    Action.ACCEPT: "completed",
    Action.ESCALATE: "escalated",
}


def run(place: Place, *, progress: Progress) -> StageRecord:
    """Decide about the run."""
    return run_stage("decide", place, _decide, progress=progress, identify=run_of_train)


def _decide(frame: Frame) -> StageOutcome:
    judgement = _judgement(frame.inputs["judge"] / JUDGEMENT)
    agents = _AGENTS.validate_json(canonical_json(frame.params["agents"]))
    decision = rules.decide(_context(frame, judgement, agents))
    write_json(frame.folder / DECISION, decision)
    write_atomic(frame.folder / DECISION_PAGE, decision_markdown(decision))
    report = _lane_report(frame, judgement, decision, agents)
    write_atomic(frame.folder / LANE_REPORT, yaml.safe_dump(plain(report), sort_keys=False, allow_unicode=True))
    frame.progress.message(f"decision: {decision.action}")
    return StageOutcome(
        facts={"action": decision.action.value, "decision_id": decision.decision_id},
        volatile_files=(LANE_REPORT,),  # it states durations, which differ between executions
    )


def _judgement(path: Path) -> Judgement:
    try:
        return Judgement.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        problem = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error.strerror
        raise StageError(
            f"the judgement is not valid: {problem}", path=path, hint=f"delete {path.parent} and run dvc repro"
        ) from error


def _context(frame: Frame, judgement: Judgement, agents: Mapping[str, Agent]) -> DecisionContext:
    """What the policy sees. A run that a person started begins its lineage, so this is its first attempt."""
    space = _SPACE.validate_json(canonical_json(frame.params["lane"].get("search_space", {})))
    current = {key: value for key in space if isinstance(value := lookup(frame.params, key), int | float)}
    lineage = frame.params["lineage"]
    return build_context(
        judgement,
        agent=_decider(agents),
        facts=_facts(frame),
        current=current,
        search_space=space,
        attempts=lineage["attempt"],
        max_attempts=frame.params["max_attempts"] or frame.params["recovery"]["gate_failures_max"],
        policy=rules.POLICY,
    )


def _decider(agents: Mapping[str, Agent]) -> str:
    """The one agent that owns this stage."""
    owners = [name for name, agent in agents.items() if "decide" in agent.stages]
    if len(owners) != 1:
        raise StageError(
            "exactly one agent must own the stage decide",
            key="agents",
            value=owners,
            hint="set `stages: [decide]` on one agent in conf/agent",
        )
    return owners[0]


def _facts(frame: Frame) -> dict[str, Value]:
    """Plain facts of the earlier stages, as `<stage>.<fact>`."""
    return {
        f"{stage}.{name}": value
        for stage, record in frame.records.items()
        for name, value in record.facts.items()
        if isinstance(value, bool | int | float | str) and value != ""
    }


def _lane_report(frame: Frame, judgement: Judgement, decision: Decision, agents: Mapping[str, Agent]) -> LaneReport:
    seconds = sum(_duration_s(frame.place.folder / stage / OBSERVATIONS) for stage in ("prepare", *frame.inputs))
    names = (
        name.rsplit("/", 1)[-1]
        for stage in ("train", "evaluate", "export")
        for name in sorted(frame.records[stage].artifacts)
        if "/" not in name
    )
    return LaneReport(
        lane=frame.place.lane,
        state=_STATES.get(decision.action, "failed"),
        artifacts=artifact_list(judgement.run_id, names),
        acceptance_results={row.gate: observed(row) for row in judgement.rows},
        actuals=actuals(seconds),
        managers_used=tuple(
            {spelled(name): work_of(agent.stages, frame.records["train"].facts)}
            for name, agent in agents.items()
            if agent.tier == "manager"
        ),
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
