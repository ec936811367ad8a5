"""What people are shown of faults: of a lane's last training, and of a lineage."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from interlock.contracts.recovery import RecoveryEvent, RecoveryReport
from interlock.errors import ProvenanceError
from interlock.provenance.workspace import interlock_home
from interlock.recovery.strikes import since_success, training_failures
from interlock.runs.healing.lineage import FOLDER, Lineage
from interlock.runs.healing.telling import sentence
from interlock.stages.healed import RECOVERY
from interlock.stages.place import RECORD


def told_of(workspace: Path, lane: str) -> tuple[str, ...]:
    """Faults of the lane's finished training, or else of the lineage that failed last under the lane's name."""
    folder = workspace / "artifacts" / "lanes" / lane / "train"
    if (folder / RECORD).is_file():
        return _reported(folder / RECOVERY)
    logs = sorted((interlock_home(workspace) / FOLDER).glob("*.jsonl"), key=lambda path: path.stat().st_mtime)
    for path in reversed(logs):
        events = Lineage(path.parents[2], path.stem).events()
        if events and events[-1].lane == lane:
            return tuple(sentence(event) for event in since_success(events))
    return ()


def shown_lineage(lineage: Lineage) -> list[dict[str, Any]]:
    """Every event of a lineage in a row each."""
    events = lineage.events()
    return [_row(event, training_failures(events[: index + 1])) for index, event in enumerate(events)]


def _row(event: RecoveryEvent, failures: int) -> dict[str, Any]:
    told = sentence(event) if event.kind == "fault" else f"run {event.run_id} {event.verdict or event.next_run or ''}"
    return {"at": event.at, "kind": event.kind, "run_id": event.run_id, "lane": event.lane, "failures": failures,
            "fault": event.classified.fault.value if event.classified else "", "told": told}  # fmt: skip


def _reported(path: Path) -> tuple[str, ...]:
    try:
        return RecoveryReport.model_validate_json(path.read_bytes()).says if path.is_file() else ()
    except ValidationError as error:
        raise ProvenanceError(
            "what training says of its faults cannot be read", path=path, hint="run the stage again: dvc repro"
        ) from error
