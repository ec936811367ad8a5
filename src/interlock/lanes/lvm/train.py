"""Stage `train` of the lane: fit the frozen encoder on the training passages, then train the predictor on its vectors.

model.safetensors  reference.*  checkpoints/  loss.csv  train_log.jsonl  train.json
"""

from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from interlock.errors import StageError
from interlock.lanes.lvm.config import Lvm
from interlock.lanes.lvm.model import NextVector, direction_loss
from interlock.lanes.lvm.sequences import Part, Pieces, encoded
from interlock.lanes.passages.prepared import PreparedPassages
from interlock.lanes.retrieval.reference import LsaReference
from interlock.lanes.spec import StageJob, StageOutcome
from interlock.lanes.training.loop import MODEL, TRAIN_LOG, fit
from interlock.lanes.training.module import TrainedModule
from interlock.lanes.training.resume import ResumableData
from interlock.lanes.training.seeds import derived_seed, seed_all
from interlock.provenance.files import write_json


class NextVectorTraining(TrainedModule):
    """The predictor under training: mean of 1 - cosine over the predictions, every one counting alike."""

    def loss(self, part: Part) -> Tensor:
        """Over the known targets of the part."""
        return direction_loss(self.network(part.vectors_BTD), part.targets_BTD, part.known_BT)

    def weight(self, part: Part, count: int) -> float:
        """Predictions asked for."""
        return float(part.known_BT.sum())


def train(job: StageJob) -> StageOutcome:
    """Train the predictor; a run that was killed goes on from its last state and ends in the same bits."""
    body = cast(Lvm, job.lane)
    seed_all(derived_seed(job.seed, "start"))
    data = PreparedPassages.open(job.inputs["prepare"])
    documents = data.documents("train")
    job.progress.message("fitting the encoder on the training passages")
    passages = [passage for document in documents for passage in document.passages]
    encoder = LsaReference.fit(passages, dimensions=body.model.encoder.dimensions, seed=job.seed)
    pieces, checked = (
        Pieces.of(encoded(split, encoder), window=body.trainer.window)
        for split in (documents, data.documents("validation"))
    )
    network = NextVector(body.model)
    trainer = body.trainer
    batches = ResumableData(
        pieces, checked, batch_size=trainer.batch_size, seed=job.seed, num_workers=trainer.num_workers
    )
    result = fit(job, NextVectorTraining(network, optimizer=body.optimizer), batches, trainer)
    encoder.save(job.folder)
    facts = {
        **result.facts(),
        "encoder_digest": encoder.digest,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "dimensions": encoder.dimensions,
        "torch": torch.__version__.split("+")[0],
    }
    write_json(job.folder / "train.json", facts)
    return StageOutcome(facts=facts, volatile_files=(TRAIN_LOG,), volatile_facts=result.volatile)


def load(body: Lvm, folder: Path) -> tuple[NextVector, LsaReference]:
    """The trained predictor, ready to predict, and its encoder. Raises StageError for weights of another shape."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    network = NextVector(body.model)
    try:
        network.load_state_dict(load_file(folder / MODEL))
    except (RuntimeError, OSError, SafetensorError) as error:
        raise StageError(
            f"trained predictor cannot be loaded: {error}", path=folder / MODEL, hint="train again: dvc repro"
        ) from error
    return network.eval(), LsaReference.load(folder)
