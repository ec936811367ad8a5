"""The lane report of a decision that was made outside of the pipeline, from the archive alone.

The decide stage writes its own from the stage folders; both state what is recorded and prove nothing.
"""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from interlock.contracts.card import RunCard
from interlock.contracts.lane_report import LaneReport
from interlock.contracts.stage import Observations, StageRecord
from interlock.registry.archive import read_card
from interlock.registry.layout import DATASET_CARD, RECORDS, run_folder
from interlock.registry.spending import spend
from interlock.reports.lane_report import actuals, artifact_list, managers_used, observed, state_of
from interlock.runs.deciding.deciding import Decided


def lane_report(home: Path, decided: Decided) -> LaneReport:
    """What the run took and gave, and what was decided. Raises RegistryError for a run without a card."""
    run_id, context = decided.decision.run_id, decided.context
    card, cost = read_card(home, run_id), spend(run_folder(home, run_id))
    return LaneReport(
        lane=decided.decision.lane,
        state=state_of(decided.decision.action),
        artifacts=artifact_list(run_id, _names(card)),
        acceptance_results={row.gate: observed(row) for row in context.rows},
        actuals=actuals(_seconds(home, card, decided.judgement), tokens=cost.tokens, cost_usd=cost.usd),
        managers_used=managers_used(decided.configured.agents, _train_facts(home, run_id)),
        run_id=run_id,
        verdict=context.verdict.value,
        remarks=card.observations.recovery,
    )


def _names(card: RunCard) -> list[str]:
    return [name for name in sorted(card.artifacts) if "/" not in name and name != DATASET_CARD]


def _seconds(home: Path, card: RunCard, judgement: str) -> float:
    """All stages up to the verdict, as far as the archive has them; a judgement made by hand took no stage."""
    seconds, record = card.observations.duration_mins * 60, run_folder(home, card.run_id) / "judgements" / judgement
    if not (record / "record.json").is_file():
        return seconds
    for path in (run_folder(home, card.run_id) / "attempts").glob("*/judge.observations.json"):
        try:
            return seconds + Observations.model_validate_json(path.read_bytes()).duration_s
        except ValidationError:
            continue
    return seconds


def _train_facts(home: Path, run_id: str) -> dict[str, Any]:
    path = run_folder(home, run_id) / "models" / RECORDS / "train.json"
    return dict(StageRecord.model_validate_json(path.read_bytes()).facts) if path.is_file() else {}
