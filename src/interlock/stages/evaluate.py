"""Stage `evaluate`: measure the trained model beside its baselines on the held-out split, and write the report."""

import json
from typing import Any

from interlock.contracts.stage import StageRecord
from interlock.lanes.spec import Progress, StageOutcome
from interlock.provenance.files import write_atomic
from interlock.reports.evaluation import evaluation_markdown
from interlock.stages.frame import Frame, run_of_train, run_stage
from interlock.stages.lane_work import lane_work
from interlock.stages.place import Place
from interlock.stages.verdicts import read_measured

REPORT = "eval_report.md"
EXAMPLES = "examples.json"
"""A lane may write it: `{"hits": [...], "misses": [...]}`, each a flat mapping."""


def run(place: Place, *, progress: Progress) -> StageRecord:
    """Evaluate the lane's model."""
    return run_stage("evaluate", place, _evaluate, progress=progress, identify=run_of_train)


def _evaluate(frame: Frame) -> StageOutcome:
    assert frame.run_id
    outcome = lane_work(frame)
    measured = read_measured([frame.folder], run_id=frame.run_id)
    examples = frame.folder / EXAMPLES
    report = evaluation_markdown(
        lane=frame.place.lane,
        run_id=frame.run_id,
        facts=_facts(frame),
        measurements=list(measured.measurements.values()),
        intervals=measured.intervals(),
        examples=json.loads(examples.read_text()) if examples.is_file() else {},
    )
    write_atomic(frame.folder / REPORT, report)
    return outcome


def _facts(frame: Frame) -> dict[str, Any]:
    """Plain facts of the dataset and the training; lists and mappings stay in the records."""
    found = {**frame.records["prepare"].facts, **frame.records["train"].facts}
    return {name: value for name, value in found.items() if not isinstance(value, list | dict)} | {
        "seed": frame.params["seed"],
        "hardware": frame.params["hardware"]["kind"],
        "threads": frame.params["hardware"]["threads"],
    }
