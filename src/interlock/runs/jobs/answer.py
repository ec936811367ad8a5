"""The lane report that answers a job card, from the judgement, the decision and the stages' records.

`lane_report(job, workspace)` reads what the stages left behind and writes nothing.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from interlock.contracts.acceptance import Comparison, parse_check
from interlock.contracts.job import RUN_ID
from interlock.contracts.lane_report import LaneReport
from interlock.contracts.spelling import spelled
from interlock.contracts.stage import StageName, StageRecord
from interlock.contracts.verdict import Cause, GateResult, Judgement, Verdict
from interlock.errors import ProvenanceError, StageError
from interlock.provenance.canonical import plain
from interlock.registry.layout import run_folder
from interlock.registry.spending import spend
from interlock.reports.lane_report import Observed, actuals, artifact_list, observed, state_of, work_of
from interlock.runs.jobs.folder import JobFolder, JobRecord
from interlock.runs.jobs.managers import managers_of
from interlock.runs.jobs.states import JobEvent
from interlock.runs.sync import finished_stages
from interlock.stages.place import JUDGEMENT, read_composed

_USUAL = ("run_card.json", "model.safetensors", "metrics.json", "eval_report.md")
_RECOVERY = "recovery.json"


def lane_report(job: JobFolder, workspace: Path) -> LaneReport:
    """The answer to a job whose stages are finished and archived. Raises StageError where they are not."""
    record, place = job.record(), job.place(workspace)
    stages = finished_stages(place.folder)
    if "decide" not in stages:
        raise StageError("the stages have not finished", path=place.folder, hint=f"interlock job status {job.id}")
    records = {name: files.record for name, files in stages.items()}
    judgement = _judgement(place.folder / "judge" / JUDGEMENT)
    missing = missing_artifacts(record, job.home, judgement.run_id)
    action, cost = str(records["decide"].facts.get("action")), spend(run_folder(job.home, judgement.run_id))
    return LaneReport(
        lane="Models",
        state="failed" if missing and action == "accept" else state_of(action),
        artifacts=artifact_list(judgement.run_id, _archived(job.home, judgement.run_id, record)),
        acceptance_results=dict(_results(record, judgement, records)),
        actuals=actuals(
            sum(files.observations.duration_s for files in stages.values()), tokens=cost.tokens, cost_usd=cost.usd
        ),
        managers_used=tuple(_managers(read_composed(place.params), records)),
        job=job.id,
        run_id=judgement.run_id,
        verdict=judgement.verdict.value,
        missing_artifacts=missing,
        remarks=tuple(_remarks(job, judgement, place.folder)),
    )


def report_yaml(report: LaneReport) -> str:
    """The report as people and the architect read it: empty additions are left out."""
    values = plain(report)
    kept = {key: value for key, value in values.items() if value not in (None, []) or key in _SOURCE}
    return yaml.safe_dump(kept, sort_keys=False, allow_unicode=True, width=120)


def read_report(path: Path) -> LaneReport:
    """A report that was written. Raises ProvenanceError when it cannot be read."""
    try:
        return LaneReport.model_validate_json(json.dumps(yaml.safe_load(path.read_text())))
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
        hint = "remove the file and submit the card again: it is written anew from the records"
        raise ProvenanceError("the lane report cannot be read", path=path, hint=hint) from error


_SOURCE = ("lane", "state", "artifacts", "acceptance_results", "actuals", "managers_used")


def missing_artifacts(record: JobRecord, home: Path, run_id: str) -> tuple[str, ...]:
    """Expected artifacts that the archive lacks; `artifacts/` in a card stands for INTERLOCK_HOME."""
    wanted = [path.replace(RUN_ID, run_id) for path in record.expected_artifacts]
    return tuple(path for path in wanted if not _stands(home / path.removeprefix("artifacts/")))


def _stands(path: Path) -> bool:
    return any(path.iterdir()) if path.is_dir() else path.is_file()


def _archived(home: Path, run_id: str, record: JobRecord) -> list[str]:
    """The usual files and those that the card expects, as far as they are there; relative to `models/`."""
    prefix = f"artifacts/runs/{RUN_ID}/models/"
    expected = [path.removeprefix(prefix) for path in record.expected_artifacts if path.startswith(prefix)]
    models = home / "runs" / run_id / "models"
    return [name for name in dict.fromkeys((*_USUAL, *expected, "model.onnx")) if _stands(models / name)]


def _results(
    record: JobRecord, judgement: Judgement, records: Mapping[StageName, StageRecord]
) -> Iterator[tuple[str, Observed]]:
    """The card's checks in the card's words, then the other blocking gates."""
    rows = {row.gate: row for row in judgement.rows}
    for demand in record.demands:
        yield _name(demand.check), observed(rows[demand.gate]) if demand.gate else "prepare" in records
    asked = {demand.gate for demand in record.demands}
    for row in judgement.rows:
        if row.gate not in asked:
            yield row.gate, observed(row)


def _name(text: str) -> str:
    """`loss` of `loss<0.005`: as the card calls it."""
    check = parse_check(text)
    return text[: text.index(check.operator)].strip() if isinstance(check, Comparison) else check.name


def _managers(config: Mapping[str, Any], records: Mapping[StageName, StageRecord]) -> Iterator[dict[str, str]]:
    for agent, stages in managers_of(config):
        skipped = [stage for stage in stages if stage in records and records[stage].status == "skipped"]
        did = work_of(stages, records["train"].facts) + (" - skipped" if skipped else "")
        yield {spelled(agent): did}


def _remarks(job: JobFolder, judgement: Judgement, folder: Path) -> Iterator[str]:
    for row in judgement.rows:
        if row.verdict is not Verdict.PASS and row.cause is not Cause.NOT_EXPORTED:
            yield _remark(row)
    if waiting := [row.gate for row in judgement.rows if row.cause is Cause.NOT_EXPORTED]:
        yield f"nothing was exported, because the gates above do not pass; {', '.join(waiting)} wait for it"
    for entry in job.journal():
        if entry.event is JobEvent.WORKER_LOST:
            yield f"a worker of {entry.details.get('manager')} was replaced: {entry.details.get('reason')}"
    yield from _healed(folder / "train" / _RECOVERY)


def _remark(row: GateResult) -> str:
    advice = f" {row.on_failure}" if row.on_failure else ""
    return f"{row.gate} ({row.severity}): {row.verdict}: {row.reason}.{advice}"


def _healed(path: Path) -> tuple[str, ...]:
    """What recovery changed on the way to the weights."""
    from interlock.contracts.recovery import RecoveryReport

    try:
        return RecoveryReport.model_validate_json(path.read_bytes()).says if os.path.exists(path) else ()
    except (OSError, ValidationError):
        return ("recovery.json cannot be read",)


def _judgement(path: Path) -> Judgement:
    try:
        return Judgement.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise StageError("the judgement cannot be read", path=path, hint="interlock job submit CARD again") from error
