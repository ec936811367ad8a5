"""Stage `prepare` of the lane: the dataset, the candidate lists of every split, and the check of their quality.

    corpus, queries, qrels, dataset_card.json      as the query tower prepares them
    lists_{train,validation,test}.parquet          the lists that are reranked (`lists.py`)
    retrieved_test.parquet                         the first stage's own results, for the figure from end to end
    quality.{json,md,csv}                          the check of the negatives (`quality.py`)

The first stage must have been made from the same dataset: otherwise its training queries may be this lane's test.
"""

from typing import cast

from interlock.errors import StageError
from interlock.lanes.query_tower.config import QueryTower
from interlock.lanes.query_tower.encoders import FittedTower, load_tower
from interlock.lanes.reranker.config import FIRST_STAGE, Reranker
from interlock.lanes.reranker.lists import write_lists
from interlock.lanes.reranker.mining import Mined, Miner
from interlock.lanes.reranker.quality import checked, write_quality
from interlock.lanes.retrieval.datasets.config import SPLITS
from interlock.lanes.retrieval.datasets.preparation import dataset_facts, prepare_dataset
from interlock.lanes.retrieval.datasets.prepared import PreparedDataset
from interlock.lanes.retrieval.datasets.relations import document_groups
from interlock.lanes.spec import LaneInput, StageJob, StageOutcome
from interlock.lanes.training.device import prepared_device

LISTS_FILE = "lists_{split}.parquet"
RETRIEVED_FILE = "retrieved_test.parquet"


def prepare(job: StageJob) -> StageOutcome:
    """Write everything. Raises DataError for bad data, StageError for a first stage that does not fit."""
    body = cast(Reranker, job.lane)
    card = prepare_dataset(body.data, job.folder, root=job.workspace, progress=job.progress)
    first_stage = first_stage_of(job, dataset_sha256=card.sha256)
    data = PreparedDataset.open(job.folder)
    mined = _mined(job, body, data, first_stage)
    for split, found in mined.items():
        write_lists(job.folder / LISTS_FILE.format(split=split), found.lists)
    write_lists(job.folder / RETRIEVED_FILE, mined["test"].retrieved)
    quality = checked(data, mined)
    write_quality(job.folder, quality, mined)
    return StageOutcome(facts={**dataset_facts(card), "first_stage": first_stage.run_id, "candidates": quality})


def first_stage_of(job: StageJob, *, dataset_sha256: str) -> LaneInput:
    """The query tower that this run reranks for. Raises StageError when it does not fit this lane's data."""
    key = f"lane.inputs.{FIRST_STAGE}"
    found = job.lane_inputs.get(FIRST_STAGE)
    if found is None or not isinstance(found.lane, QueryTower):
        raise StageError(
            "a reranker needs a query tower to rerank for",
            key=key, value=None if found is None else f"{found.reference} of kind {found.lane.kind}",
            hint="set it to lane:query_tower, or to run:<id> of one",
        )  # fmt: skip
    if found.facts.get("dataset_sha256") != dataset_sha256:
        raise StageError(
            f"the query tower was trained on another dataset (sha256 {str(found.facts.get('dataset_sha256'))[:12]}, "
            f"here {dataset_sha256[:12]}): what it has learned may hold this lane's test queries",
            key=key, value=found.reference,
            hint="give both lanes the same data, splits and packages, and train the tower again; or name another tower",
        )  # fmt: skip
    return found


def load_first_stage(found: LaneInput, job: StageJob) -> FittedTower:
    """The tower with its weights, as it was trained."""
    return load_tower(cast(QueryTower, found.lane), found.trained, workspace=job.workspace)


def _mined(job: StageJob, body: Reranker, data: PreparedDataset, first_stage: LaneInput) -> dict[str, Mined]:
    groups = document_groups(body.data, data.doc_ids, root=job.workspace)
    mined: dict[str, Mined] = {}
    with prepared_device(job.hardware) as device:
        tower = load_first_stage(first_stage, job)
        tower.network.to(device)
        miner = Miner(data, tower, body.data.candidates, groups=groups, device=device, threads=job.hardware.threads)
        for split in SPLITS:
            job.progress.message(f"mining candidates for {len(data.queries(split)):,} {split} queries")
            mined[split] = miner.mine(split)
    return mined
