"""Stage `train` of the lane: what the tower fitted is taken over, the rest is learned from graded lists.

    model.safetensors  checkpoints/  loss.csv  train_log.jsonl  train.json

With the input `baseline_model` the weights start as that reranker's; what belongs to the first stage stays the present
one's.
"""

from dataclasses import replace
from typing import cast

import numpy as np
import torch

from interlock.errors import StageError
from interlock.lanes.query_tower.encoders import FittedTower
from interlock.lanes.reranker.config import BASELINE, Reranker
from interlock.lanes.reranker.data import LISTS_FILE, first_stage_of, load_first_stage
from interlock.lanes.reranker.fronts import GradedLists
from interlock.lanes.reranker.lists import Lists, read_lists
from interlock.lanes.reranker.model import InteractionNetwork
from interlock.lanes.reranker.ranking import RerankTraining
from interlock.lanes.reranker.scorers import MODEL_FILE, Scorer, load_scorer, new_scorer
from interlock.lanes.retrieval.datasets.config import SplitName
from interlock.lanes.retrieval.datasets.prepared import PreparedDataset
from interlock.lanes.spec import LaneInput, StageJob, StageOutcome
from interlock.lanes.training.device import prepared_device
from interlock.lanes.training.loop import TRAIN_LOG, TrainingResult, fit
from interlock.lanes.training.resume import ResumableData
from interlock.lanes.training.seeds import derived_seed, seed_all
from interlock.lanes.training.states import disk_error
from interlock.provenance.files import write_json

TOWER_BUFFERS = ("idf_K", "pivot")
"""What a baseline does not bring along."""


def train(job: StageJob) -> StageOutcome:
    """Train the reranker; a run that was killed goes on from its last state and ends in the same bits."""
    body = cast(Reranker, job.lane)
    seed_all(derived_seed(job.seed, "start"))
    data = PreparedDataset.open(job.inputs["prepare"])
    first_stage = first_stage_of(job, dataset_sha256=data.card.sha256)
    with prepared_device(job.hardware):
        scorer = _started(job, body, load_first_stage(first_stage, job))
        job.progress.message("matching queries and candidates")
        training = _graded(job, body, scorer, data, "train")
        validation = _graded(job, body, scorer, data, "validation")
        if isinstance(scorer.network, InteractionNetwork) and BASELINE not in job.lane_inputs:
            scorer.network.fit(training.inputs.take(np.arange(len(training))))
    module = RerankTraining(scorer.network, optimizer=body.optimizer, trainer=body.trainer)
    batches = ResumableData(
        training, replace(validation, draws=None), batch_size=body.trainer.batch_size, seed=job.seed,
        num_workers=body.trainer.num_workers,
    )  # fmt: skip
    return _write(job, scorer, fit(job, module, batches, body.trainer), len(training))


def _started(job: StageJob, body: Reranker, tower: FittedTower) -> Scorer:
    scorer = new_scorer(body, tower, workspace=job.workspace)
    if (baseline := job.lane_inputs.get(BASELINE)) is not None:
        _take_over(scorer, baseline, job)
    return scorer


def _take_over(scorer: Scorer, baseline: LaneInput, job: StageJob) -> None:
    key = f"lane.inputs.{BASELINE}"
    if not isinstance(baseline.lane, Reranker):
        raise StageError("a baseline must be a reranker", key=key, value=baseline.lane.kind, hint="name another run")
    weights = load_scorer(baseline.lane, baseline.trained, workspace=job.workspace).network.state_dict()
    own = scorer.network.state_dict()
    weights |= {name: own[name] for name in TOWER_BUFFERS if name in own}
    try:
        scorer.network.load_state_dict(weights)
    except RuntimeError as error:
        raise StageError(
            f"the baseline's weights do not fit this model: {error}",
            key=key, value=baseline.reference, hint="give lane.model the baseline's values, or leave it out",
        ) from error  # fmt: skip
    job.progress.message(f"starting from run {baseline.run_id}")


def _graded(job: StageJob, body: Reranker, scorer: Scorer, data: PreparedDataset, split: SplitName) -> GradedLists:
    lists = read_lists(job.inputs["prepare"] / LISTS_FILE.format(split=split))
    chosen = _chosen(lists, body, seed=job.seed)
    kept = lists.take(chosen)
    return GradedLists(
        inputs=scorer.inputs(data, split, kept, chosen), lists=kept, weight=_weights(kept, body),
        draws=body.trainer.candidates_per_step, seed=derived_seed(job.seed, "candidates"),
    )  # fmt: skip


def _chosen(lists: Lists, body: Reranker, *, seed: int) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Queries to learn from, ascending."""
    chosen = np.flatnonzero(_weights(lists, body))
    limit = body.trainer.limit_queries
    if limit is not None and len(chosen) > limit:
        order = np.random.default_rng(derived_seed(seed, "limit")).permutation(len(chosen))
        chosen = np.sort(chosen[order[:limit]])
    return chosen


def _weights(lists: Lists, body: Reranker) -> "np.ndarray[tuple[int], np.dtype[np.float32]]":
    """How much each list counts."""
    return np.where(lists.is_retrieved(), np.float32(1.0), np.float32(body.trainer.unretrieved_weight))


def _write(job: StageJob, scorer: Scorer, result: TrainingResult, num_lists: int) -> StageOutcome:
    try:
        scorer.save(job.folder / MODEL_FILE)
    except OSError as error:
        raise disk_error(error, job.folder) from error
    facts = {
        **result.facts(),
        "lists": num_lists,
        "parameters": sum(p.numel() for p in scorer.network.parameters() if p.requires_grad),
        "baseline": job.lane_inputs[BASELINE].run_id if BASELINE in job.lane_inputs else None,
        "torch": torch.__version__.split("+")[0],
    }
    write_json(job.folder / "train.json", facts)
    return StageOutcome(facts=facts, volatile_files=(TRAIN_LOG,), volatile_facts=result.volatile)
