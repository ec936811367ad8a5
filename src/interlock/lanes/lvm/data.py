"""Stage `prepare` of the lane: ordered passages, checked and split by document. Torch-free."""

from typing import cast

from interlock.lanes.lvm.config import Lvm
from interlock.lanes.passages.preparation import prepare_passages
from interlock.lanes.spec import StageJob, StageOutcome


def prepare(job: StageJob) -> StageOutcome:
    """Write the prepared passages. Raises DataError for bad input; see `interlock.lanes.passages`."""
    body = cast(Lvm, job.lane)
    card = prepare_passages(body.data, job.folder, root=job.workspace, progress=job.progress)
    job.progress.message(f"{card.name}: {card.passages:,} passages, sha256 {card.sha256[:12]}")
    return StageOutcome(
        facts={
            "dataset": card.name,
            "dataset_sha256": card.sha256,
            "documents": {split: count.documents for split, count in sorted(card.splits.items())},
            "passages": card.passages,
            "splits_correct": card.split_check.correct,
        }
    )
