"""Make a decision count: archive, event log, journal, index, trackers. Once; again changes nothing.

    recorded = record(home, decided, made_at="2026-03-01T10:00:00+00:00")

Files of a decision appear one by one and `decision.json` last, so one without it is none. What an interrupted process
left undone is made up for by the next `interlock decide`, or by `interlock sync`. Does not ask anybody.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from interlock.contracts.decision import Decision
from interlock.decisions import journal
from interlock.provenance.attempts import run_lock
from interlock.provenance.canonical import pretty_json
from interlock.registry.archive import archive_statement
from interlock.registry.derive import BY_HAND, DECISION, DECISIONS, WHEN, decided_proposal, news
from interlock.registry.kept import kept_proposals
from interlock.registry.spending import spent_proposals
from interlock.reports.decisions import decision_texts
from interlock.reports.lane_report import report_text
from interlock.runs.deciding.deciding import Decided
from interlock.runs.deciding.reporting import lane_report
from interlock.runs.sync import LOCK_WAIT_S, sign_archived

POLICY_FILE = "policy.json"
"""Agents and models that decided, and what a person said."""
LANE_REPORT = "lane_report.yaml"


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A decision in its place."""

    folder: Path
    events: int
    """Events written down; 0 where it was recorded before."""


def record(home: Path, decided: Decided, *, made_at: str) -> Recorded:
    """Archive a decision that was made outside of the pipeline; `made_at` is UTC, ISO 8601.

    Raises BusyError when another process works on the run's archive for long, ProvenanceError for a journal or a log
    that was changed.
    """
    return keep(home, decided.decision, _texts(home, decided, made_at=made_at))


def keep(home: Path, decision: Decision, files: Mapping[str, str]) -> Recorded:
    """The same for a decision of any kind upon an archived run; `files` by name, `decision.json` among them."""
    with run_lock(home, f"archive-{decision.run_id}", wait_s=LOCK_WAIT_S):
        folder = archive_statement(home, decision.run_id, DECISIONS, decision.decision_id, main=DECISION, files=files)
        proposals = spent_proposals(home, decision.run_id)
        proposals.append(decided_proposal(home, decision.run_id, folder, source=BY_HAND))
        events = news(home, [*proposals, *kept_proposals(home, decision.run_id)])
        journal.write(home, decision)
        sign_archived(home, decision.run_id, is_news=bool(events))
    return Recorded(folder=folder, events=events)


def _texts(home: Path, decided: Decided, *, made_at: str) -> dict[str, str]:
    return {
        **decision_texts(decided.decision, decided.context),
        LANE_REPORT: report_text(lane_report(home, decided)),
        POLICY_FILE: decided.configured.policy_text,
        WHEN: pretty_json({"at": made_at, "source": BY_HAND}),
    }
