"""Stage `prepare` of the lane: read the source, check it, split it. Torch-free; read back by `examples.py`."""

from typing import cast

from interlock.lanes.directional_adapter.config import DirectionalAdapter
from interlock.lanes.passages.preparation import prepare_passages
from interlock.lanes.spec import StageJob, StageOutcome


def prepare(job: StageJob) -> StageOutcome:
    """Write the prepared passages. Raises DataError for bad input; see `interlock.lanes.passages`."""
    body = cast(DirectionalAdapter, job.lane)
    card = prepare_passages(body.data, job.folder, root=job.workspace, progress=job.progress)
    job.progress.message(f"{card.name}: {card.documents:,} documents, sha256 {card.sha256[:12]}")
    pairs = {split: count.passages - count.documents for split, count in sorted(card.splits.items())}
    return StageOutcome(
        facts={
            "dataset": card.name,
            "dataset_sha256": card.sha256,
            "documents": card.documents,
            "pairs": pairs,
            "class_balance": {split: {"forward": count, "backward": count} for split, count in pairs.items()},
            "splits_correct": card.split_check.correct,
        }
    )
