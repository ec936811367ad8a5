"""Stage `prepare` of the lane: read the source, check it, split it. Torch-free; read back by `examples.py`."""

from typing import cast

from interlock.lanes.query_tower.config import QueryTower
from interlock.lanes.retrieval.datasets.preparation import dataset_facts, prepare_dataset
from interlock.lanes.spec import StageJob, StageOutcome


def prepare(job: StageJob) -> StageOutcome:
    """Write the prepared dataset. Raises DataError for bad input; see `interlock.lanes.retrieval.datasets`."""
    body = cast(QueryTower, job.lane)
    card = prepare_dataset(body.data, job.folder, root=job.workspace, progress=job.progress)
    job.progress.message(f"{card.name}: {card.documents:,} documents, sha256 {card.sha256[:12]}")
    return StageOutcome(facts=dataset_facts(card))
