"""From the executives' reports to the context of one decision: a view for each, and every fact with its pointer.

A pointer names the report as it is kept beside the decision, `release/<agent>.json`, so that `interlock why` and
`interlock verify` find it in the archive. Views share no fact: three votes rest on three reports.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence

from interlock.contracts.decision import Action, DecisionContext, Evidence, View
from interlock.contracts.release import ExecutiveReport
from interlock.contracts.verdict import fold
from interlock.decisions.actions import allowed_actions
from interlock.decisions.evidence import evidence_id, pointer
from interlock.provenance.canonical import pretty_json
from interlock.registry.verification.releases import release_id
from interlock.runs.releasing.situation import Situation

FOLDER = "release"
"""Folder of the reports beside the decision."""
_ROW_FIELDS = ("verdict", "metric", "observed", "bound", "other_bound", "target", "n", "reason", "on_failure")


def report_file(report: ExecutiveReport) -> str:
    """Where a report is kept, relative to the decision's folder."""
    return f"{FOLDER}/{report.agent}.json"


def report_text(report: ExecutiveReport) -> str:
    """The bytes of a report."""
    return pretty_json(report)


def release_context(situation: Situation, reports: Sequence[ExecutiveReport], *, agent: str) -> DecisionContext:
    """What the executive team decides upon."""
    rows = tuple(row for report in reports for row in report.rows)
    by_agent = {report.agent: tuple(_evidence(report)) for report in reports}
    evidence = tuple(sorted((item for items in by_agent.values() for item in items), key=lambda item: item.id))
    verdict = fold(rows)
    run_id = situation.candidate.run_id
    return DecisionContext(
        kind="release",
        agent=agent,
        run_id=run_id,
        judgement_id=release_id(run_id, rows, evidence),
        lane=situation.lane,
        verdict=verdict,
        rows=rows,
        evidence=evidence,
        views={
            report.agent: View(
                rows=tuple(row.gate for row in report.rows),
                evidence=tuple(item.id for item in by_agent[report.agent]),
            )
            for report in reports
        },
        current={},
        search_space={},
        attempts=1,
        max_attempts=1,
        allowed=tuple(_open(allowed_actions(verdict, policy="rules", kind="release"), situation)),
    )


def _open(actions: Iterable[Action], situation: Situation) -> Iterator[Action]:
    """A rollback is of what answers live requests; nothing else can be rolled back."""
    return (action for action in actions if action is not Action.ROLLBACK or situation.candidate.is_live)


def _evidence(report: ExecutiveReport) -> Iterator[Evidence]:
    file = report_file(report)
    sha256 = hashlib.sha256(report_text(report).encode()).hexdigest()
    for index, row in enumerate(report.rows):
        for field in _ROW_FIELDS:
            value = getattr(row, field)
            if value is not None and value != "":
                shown = str(value) if field == "verdict" else value
                at = pointer(file, "rows", index, field, sha256=sha256)
                yield Evidence(id=evidence_id("gate", row.gate, field), value=shown, pointer=at)
    for name, value in report.facts.items():
        yield Evidence(id=evidence_id(name), value=value, pointer=pointer(file, "facts", name, sha256=sha256))
    if report.candidate.stage:
        at = pointer(file, "candidate", "stage", sha256=sha256)
        yield Evidence(id=evidence_id(report.agent, "candidate_stage"), value=report.candidate.stage, pointer=at)
