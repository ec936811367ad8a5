"""Stage `train` of the lane: fit what needs no training, train the rest, then fit the way back to the reference.

    model.safetensors  reference.*  checkpoints/  loss.csv  train_log.jsonl  train.json

`checkpoints/` hold the tower without its Echo-Loop head, which is solved once at the end.
"""

from typing import Any, cast

import numpy as np
import torch

from interlock.lanes.query_tower.config import QueryTower
from interlock.lanes.query_tower.contrast import TowerTraining
from interlock.lanes.query_tower.echo_head import Reference, fit_reference, set_echo_head
from interlock.lanes.query_tower.encoders import (
    MODEL_FILE,
    FittedTower,
    Source,
    encode_inputs,
    fit_tower,
    mine_rivals,
    refine_tower,
)
from interlock.lanes.query_tower.examples import (
    SplitTexts,
    limited,
    pairs_of,
    pairs_to_train_on,
    read_split,
    with_negatives,
)
from interlock.lanes.query_tower.inputs import DOCUMENT, QUERY
from interlock.lanes.query_tower.pairs import Pairs
from interlock.lanes.retrieval.datasets.prepared import PreparedDataset
from interlock.lanes.spec import StageJob, StageOutcome
from interlock.lanes.training.device import prepared_device
from interlock.lanes.training.loop import TRAIN_LOG, TrainingResult, fit
from interlock.lanes.training.resume import ResumableData
from interlock.lanes.training.seeds import derived_seed, seed_all
from interlock.lanes.training.states import disk_error
from interlock.provenance.files import write_json


def train(job: StageJob) -> StageOutcome:
    """Train the tower; a run that was killed goes on from its last state and ends in the same bits."""
    body = cast(QueryTower, job.lane)
    seed_all(derived_seed(job.seed, "start"))
    data = PreparedDataset.open(job.inputs["prepare"])
    limit = body.trainer.limit_pairs
    texts = limited(read_split(data, "train"), limit, seed=job.seed)
    training = _all_of(texts)
    with prepared_device(job.hardware) as device:
        job.progress.message("fitting features and reference")
        reference = fit_reference(body, training, seed=job.seed)
        tower = fit_tower(
            body, texts.documents, texts.queries, seed=job.seed, workspace=job.workspace,
            reference_dimensions=reference.dimensions,
        )  # fmt: skip
        tower.network.to(device)
        pairs = pairs_of(texts, tower)
        rivals_QR = mine_rivals(body, tower, pairs, device=device, threads=job.hardware.threads)
        refine_tower(body, tower, pairs, rivals_QR, seed=job.seed)
    training_pairs = with_negatives(pairs, rivals_QR, body.trainer, seed=job.seed)
    result = _fit(
        job, body, tower, training_pairs, pairs_of(limited(read_split(data, "validation"), limit, seed=job.seed), tower)
    )
    _fit_echo_head(job, body, tower, pairs, reference.vectors(training))
    return _write(job, tower, reference, result)


def _fit(job: StageJob, body: QueryTower, tower: FittedTower, pairs: Pairs, validation: Pairs) -> TrainingResult:
    module = TowerTraining(tower.network, optimizer=body.optimizer, trainer=body.trainer)
    trained, checked = (pairs_to_train_on(split, tower.front) for split in (pairs, validation))
    batches = ResumableData(
        trained, checked, batch_size=body.trainer.batch_size, seed=job.seed, num_workers=body.trainer.num_workers
    )
    return fit(job, module, batches, body.trainer)


def _fit_echo_head(
    job: StageJob, body: QueryTower, tower: FittedTower, pairs: Pairs, reference_NR: "np.ndarray[Any, Any]"
) -> None:
    """`reference_NR` holds documents first, then queries, as `_all_of` orders them."""
    job.progress.message("fitting the Echo-Loop head")
    with prepared_device(job.hardware) as device:
        network = tower.network.to(device).eval()
        vectors_ND = np.concatenate([
            encode_inputs(network, pairs.documents, DOCUMENT, device=device),
            encode_inputs(network, pairs.queries, QUERY, device=device),
        ])  # fmt: skip
        network.cpu()
        order = np.random.default_rng(derived_seed(job.seed, "echo")).permutation(len(vectors_ND))
        chosen = np.sort(order[: body.model.echo.max_texts])
        set_echo_head(network, vectors_ND[chosen], reference_NR[chosen], ridge=body.model.echo.ridge)


def _write(job: StageJob, tower: FittedTower, reference: Reference, result: TrainingResult) -> StageOutcome:
    try:
        tower.save(job.folder / MODEL_FILE)
    except OSError as error:
        raise disk_error(error, job.folder) from error
    reference.save(job.folder)
    facts = {
        **result.facts(),
        "reference_digest": reference.digest,
        "parameters": sum(p.numel() for p in tower.network.encoder.parameters() if p.requires_grad),
        "dimensions": tower.network.echo_head.in_features,
        "torch": torch.__version__.split("+")[0],
    }
    write_json(job.folder / "train.json", facts)
    return StageOutcome(facts=facts, volatile_files=(TRAIN_LOG,), volatile_facts=result.volatile)


def _all_of(texts: SplitTexts) -> Source:
    """Documents, then queries."""
    if isinstance(texts.documents, np.ndarray):
        return np.concatenate([texts.documents, np.asarray(texts.queries)])
    return [*texts.documents, *texts.queries]
