"""One visible place that maps an encoder's `kind` to code: fit it before training, save and load what belongs to it.

Everything stands in one file, `model.safetensors`: the weights, and as its metadata what the weights do not say (how
texts become features). Does not train.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from interlock.errors import DataError, StageError
from interlock.lanes.exporting.weights import read_weights, write_weights
from interlock.lanes.query_tower.config import HashedEncoder, QueryTower, TransformerEncoder, VectorsEncoder
from interlock.lanes.query_tower.fitting import HashedFront, fit_hashed, lexically_nearest, set_gains
from interlock.lanes.query_tower.gains import RIVALS
from interlock.lanes.query_tower.hashed import HashedNetwork
from interlock.lanes.query_tower.inputs import DOCUMENT, QUERY, Front, Inputs
from interlock.lanes.query_tower.model import TowerNetwork
from interlock.lanes.query_tower.pairs import Pairs, nearest_rivals
from interlock.lanes.query_tower.transformer import load_transformer
from interlock.lanes.query_tower.vectors import VectorsFront, VectorsNetwork
from interlock.lanes.retrieval.index import ExactIndex

MODEL_FILE = "model.safetensors"
BATCH = 512
"""Texts encoded at a time."""

Source = Sequence[str] | NDArray[np.float32]


@dataclass(frozen=True)
class FittedTower:
    """A network and the front that feeds it."""

    network: TowerNetwork
    front: Front
    parameters: dict[str, Any]
    """The metadata of its file."""

    def save(self, path: Path) -> None:
        """Write the whole tower. Raises NonFiniteError for weights that are not finite."""
        write_weights(path, self.network.state_dict(), self.parameters)

    def encode(self, source: Source, role: int, *, device: torch.device) -> NDArray[np.float32]:
        """[N, D] vectors of all texts, in their order; the network must be on `device`."""
        return encode_inputs(self.network, self.front.inputs(source, role), role, device=device)


def fit_tower(
    body: QueryTower, documents: Source, queries: Source, *, seed: int, workspace: Path, reference_dimensions: int
) -> FittedTower:
    """The tower before training: everything is a pure function of training texts, configuration and seed."""
    encoder: nn.Module
    front: Front
    parameters: dict[str, Any]
    match body.model.encoder:
        case HashedEncoder() as config:
            encoder, front = fit_hashed(config, _texts(documents), _texts(queries), seed=seed)
            parameters = {"kind": config.kind, "table_rows": len(encoder.table_WS), **front.parameters()}
        case TransformerEncoder() as config:
            encoder, front = load_transformer(config, workspace)
            parameters = {"kind": config.kind, "name": config.name, "revision": config.revision}
        case VectorsEncoder() as config:
            assert isinstance(documents, np.ndarray)
            encoder, front = VectorsNetwork(documents.shape[1]), VectorsFront()
            parameters = {"kind": config.kind, "dimensions": documents.shape[1]}
    parameters["reference_dimensions"] = reference_dimensions
    return FittedTower(_with_head(encoder, reference_dimensions), front, parameters)


def mine_rivals(
    body: QueryTower, tower: FittedTower, pairs: Pairs, *, device: torch.device, threads: int
) -> NDArray[np.int64]:
    """[Q, R] nearest training documents that do not answer each query, as the untrained tower finds them.

    R is what gains and negatives need at most. The same after every resume. The network must be on `device`.
    """
    trainer, encoder = body.trainer, tower.network.encoder
    count = trainer.hard_negative_pool + trainer.hard_negative_skip if trainer.hard_negatives else 0
    if isinstance(encoder, HashedNetwork):
        count = max(count, RIVALS)
        return nearest_rivals(pairs, lambda k: lexically_nearest(encoder, pairs, k), count=count)

    def search(k: int) -> NDArray[np.int64]:
        documents_MD = encode_inputs(tower.network, pairs.documents, DOCUMENT, device=device)
        queries_QD = encode_inputs(tower.network, pairs.queries, QUERY, device=device)
        return ExactIndex.build(documents_MD, threads=threads).search(queries_QD, k)[1]

    return nearest_rivals(pairs, search, count=count)


def refine_tower(
    body: QueryTower, tower: FittedTower, pairs: Pairs, rivals_QR: NDArray[np.int64], *, seed: int
) -> None:
    """Fit what needs pairs and rivals, before training: the gains of a hashed encoder; the others have nothing."""
    config, encoder = body.model.encoder, tower.network.encoder
    if isinstance(config, HashedEncoder) and isinstance(encoder, HashedNetwork):
        set_gains(encoder, config.lexical, pairs, rivals_QR, seed=seed)


def load_tower(body: QueryTower, folder: Path, *, workspace: Path) -> FittedTower:
    """The trained tower of a train folder. Raises StageError when a file is missing or does not fit."""
    try:
        weights, parameters = read_weights(folder / MODEL_FILE)
        encoder, front = _unfitted(body, parameters, workspace)
        network = _with_head(encoder, int(parameters["reference_dimensions"]))
        network.load_state_dict(weights)
    except (DataError, KeyError, TypeError, RuntimeError) as error:
        raise StageError(
            f"the trained tower cannot be loaded: {error}", path=folder, hint="train again: dvc repro"
        ) from error
    return FittedTower(network.eval(), front, parameters)


def encode_inputs(network: TowerNetwork, inputs: Inputs, role: int, *, device: torch.device) -> NDArray[np.float32]:
    """[N, D] vectors of `inputs`."""
    vectors_ND = np.empty((len(inputs), network.echo_head.in_features), dtype=np.float32)
    for part, batch in batches_of(inputs, device):
        with torch.inference_mode():
            vectors_ND[part] = network(batch, role).cpu().numpy()
    return vectors_ND


def batches_of(inputs: Inputs, device: torch.device) -> Iterator[tuple[slice, dict[str, torch.Tensor]]]:
    """All inputs in order, 512 texts at a time, with the place of each batch."""
    for start in range(0, len(inputs), BATCH):
        part = slice(start, min(start + BATCH, len(inputs)))
        batch = inputs.take(np.arange(part.start, part.stop))
        yield part, {name: value.to(device) for name, value in batch.items()}


def _unfitted(body: QueryTower, parameters: dict[str, Any], workspace: Path) -> tuple[nn.Module, Front]:
    match body.model.encoder:
        case HashedEncoder() as config:
            network = HashedNetwork(config, table_rows=int(parameters["table_rows"]))
            return network, HashedFront.from_parameters(parameters)
        case TransformerEncoder() as config:
            return load_transformer(config, workspace)
        case VectorsEncoder():
            return VectorsNetwork(int(parameters["dimensions"])), VectorsFront()


def _with_head(encoder: Any, reference_dimensions: int) -> TowerNetwork:
    return TowerNetwork(encoder, dimensions=encoder.dimensions, reference_dimensions=reference_dimensions)


def _texts(source: Source) -> Sequence[str]:
    assert not isinstance(source, np.ndarray), "the configuration refuses vectors for a text encoder"
    return source
