"""What a job has to wait for: other directors' work, a person's approval, resources. Each with the way out.

Asked before a job starts and again before it trains, because an approval is bound to the run id, which exists once the
data is prepared. A person is asked by an event; reservations are made by the director (`interlock.runs.jobs.director`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from interlock.contracts.reservation import Resource
from interlock.contracts.spelling import agent_id, spelled
from interlock.errors import ApprovalError
from interlock.provenance.dotted import lookup
from interlock.registry.approvals import needs, require
from interlock.registry.approving import ask
from interlock.runs.jobs.card_inputs import missing_data
from interlock.runs.jobs.folder import JobRecord
from interlock.stages import train
from interlock.stages.frame import open_frame
from interlock.stages.place import Place, load_record, read_composed
from interlock.stages.progress import Silent

_CARD = "dataset_card.json"
_COUNTED = ("documents", "passages", "pairs", "samples", "count")


@dataclass(frozen=True, kw_only=True)
class Wait:
    """One thing that is not there yet."""

    kind: Literal["director", "approval", "resource"]
    reason: str
    """What is missing, in one sentence."""
    way_out: str
    """What somebody has to do."""

    def __str__(self) -> str:
        return f"{self.reason}\n  way out: {self.way_out}"


def missing_work(record: JobRecord, workspace: Path) -> list[Wait]:
    """Prerequisites of the card that other directors have not made yet."""
    waits = []
    for director, path in record.prerequisites:
        if missing_data(path, workspace):
            reason = f"{spelled(agent_id(director))} has not made {path} yet"
            waits.append(Wait(kind="director", reason=reason, way_out=f"put it at {path} below the project"))
    return waits


def missing_approvals(place: Place, home: Path, *, now: datetime) -> list[Wait]:
    """Approvals that training needs and that nobody has given, once a person is asked; the data must be prepared."""
    facts = training_facts(place)
    wanted = needs(facts)
    if not wanted:
        return []
    run_id = open_frame("train", place, progress=Silent(), identify=train.identify).run_id
    assert run_id is not None
    waits = []
    for need in wanted:
        try:
            require(home, need, subject=run_id, name=run_id, now=now)
        except ApprovalError as error:
            ask(home, need, subject=run_id, lane=place.lane, run=run_id)
            waits.append(Wait(kind="approval", reason=f"run {run_id} {error.message}", way_out=str(error.hint)))
    return waits


def training_facts(place: Place) -> dict[str, Any]:
    """What the rules for approvals ask of a training. An estimate is the ceiling on its hours: it halts there."""
    config = read_composed(place.params)
    card = _dataset_card(place)
    dataset = str(card.get("name") or load_record(place.folder / "prepare").facts.get("dataset") or "")
    return {
        "is_gpu": lookup(config, "hardware.kind") not in ("cpu", "mps"),
        "estimated_hours": lookup(config, "budget.compute_hours_max"),
        "dataset": dataset,
        "is_production_data": dataset in (lookup(config, "control.production_datasets") or ()),
        "samples": _samples(card),
    }


def resources_of(config: Mapping[str, Any]) -> dict[Resource, float]:
    """What a job of this configuration holds while it runs."""
    kind, threads = lookup(config, "hardware.kind"), float(lookup(config, "hardware.threads") or 1)
    if kind == "cuda":
        return {"cpu": threads, "cuda": 1.0}
    return {"cpu": threads, "mps": 1.0} if kind == "mps" else {"cpu": threads}


def _dataset_card(place: Place) -> dict[str, Any]:
    try:
        found = json.loads((place.folder / "prepare" / _CARD).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _samples(card: Mapping[str, Any]) -> int | None:
    """How many samples the data has: its documents, or the items of its splits; None for a card that counts nothing."""
    splits = card.get("splits")
    parts = splits.values() if isinstance(splits, dict) else ()
    in_splits = sum(max(_counts(part), default=0) for part in parts)
    found = [*_counts({name: card.get(name) for name in _COUNTED}), *([in_splits] if in_splits else [])]
    return max(found, default=None)


def _counts(part: Any) -> list[int]:
    values = part.values() if isinstance(part, dict) else [part]
    return [value for value in values if isinstance(value, int) and not isinstance(value, bool)]
