"""Stage `train` of the lane: train on the order of consecutive passages, then fit the temperature on validation pairs.

    model.safetensors  checkpoints/  loss.csv  train_log.jsonl  train.json

`checkpoints/` hold the adapter before its temperature is set.
"""

from typing import cast

import torch

from interlock.lanes.directional_adapter.adapter import MODEL_FILE, FittedAdapter, features_of, untrained
from interlock.lanes.directional_adapter.calibration import fit_temperature
from interlock.lanes.directional_adapter.config import DirectionalAdapter
from interlock.lanes.directional_adapter.examples import pairs_of
from interlock.lanes.directional_adapter.features import PassageFeatures
from interlock.lanes.directional_adapter.inputs import PairInputs, scores_of
from interlock.lanes.directional_adapter.ordering import OrderTraining
from interlock.lanes.passages.prepared import PreparedPassages
from interlock.lanes.retrieval.datasets.config import SplitName
from interlock.lanes.spec import StageJob, StageOutcome
from interlock.lanes.training.device import prepared_device
from interlock.lanes.training.loop import TRAIN_LOG, TrainingResult, fit
from interlock.lanes.training.resume import ResumableData
from interlock.lanes.training.seeds import derived_seed, seed_all
from interlock.lanes.training.states import disk_error
from interlock.provenance.files import write_json


def train(job: StageJob) -> StageOutcome:
    """Train the adapter; a run that was killed goes on from its last state and ends in the same bits."""
    body = cast(DirectionalAdapter, job.lane)
    seed_all(derived_seed(job.seed, "start"))
    job.progress.message("counting features")
    features = features_of(body.model)
    training, validation = _inputs(job, body, "train", features), _inputs(job, body, "validation", features)
    adapter = FittedAdapter(untrained(body.model, training), features)
    result = _fit(job, body, adapter, training, validation)
    _calibrate(job, adapter, validation)
    return _write(job, adapter, result)


def _inputs(job: StageJob, body: DirectionalAdapter, split: SplitName, features: PassageFeatures) -> PairInputs:
    pairs = pairs_of(PreparedPassages.open(job.inputs["prepare"]).documents(split))
    limited = pairs.limited(body.trainer.limit_pairs, seed=derived_seed(job.seed, "limit"))
    return PairInputs.of(limited, features)


def _fit(
    job: StageJob, body: DirectionalAdapter, adapter: FittedAdapter, training: PairInputs, validation: PairInputs
) -> TrainingResult:
    module = OrderTraining(adapter.network, optimizer=body.optimizer)
    batches = ResumableData(
        training, validation, batch_size=body.trainer.batch_size, seed=job.seed, num_workers=body.trainer.num_workers
    )
    return fit(job, module, batches, body.trainer)


def _calibrate(job: StageJob, adapter: FittedAdapter, validation: PairInputs) -> None:
    job.progress.message("fitting the temperature")
    with prepared_device(job.hardware) as device:
        network = adapter.network.to(device).eval()
        temperature = fit_temperature(scores_of(network, validation, device=device))
        network.cpu().temperature.fill_(temperature)


def _write(job: StageJob, adapter: FittedAdapter, result: TrainingResult) -> StageOutcome:
    try:
        adapter.save(job.folder / MODEL_FILE)
    except OSError as error:
        raise disk_error(error, job.folder) from error
    facts = {
        **result.facts(),
        "temperature": adapter.network.temperature.item(),
        "parameters": sum(parameter.numel() for parameter in adapter.network.parameters()),
        "dimensions": int(adapter.network.bias_D.shape[0]),
        "torch": torch.__version__.split("+")[0],
    }
    write_json(job.folder / "train.json", facts)
    return StageOutcome(facts=facts, volatile_files=(TRAIN_LOG,), volatile_facts=result.volatile)
