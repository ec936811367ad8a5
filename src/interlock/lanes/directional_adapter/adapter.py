"""The adapter as one thing: network and features; fitted before training, saved and loaded as `model.safetensors`.

The file holds the weights, the temperature, and as its metadata how passages become features. Does not train.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from interlock.errors import DataError, StageError
from interlock.lanes.directional_adapter.config import Adapter
from interlock.lanes.directional_adapter.features import PassageFeatures
from interlock.lanes.directional_adapter.inputs import PairInputs
from interlock.lanes.directional_adapter.model import AdapterNetwork
from interlock.lanes.exporting.weights import read_weights, write_weights
from interlock.lanes.retrieval.ragged import RaggedFeatures

MODEL_FILE = "model.safetensors"


@dataclass(frozen=True)
class FittedAdapter:
    """A network and the features that feed it."""

    network: AdapterNetwork
    features: PassageFeatures

    def save(self, path: Path) -> None:
        """Write the whole adapter. Raises NonFiniteError for weights that are not finite."""
        write_weights(path, self.network.state_dict(), {"features": self.features.parameters()})


def features_of(config: Adapter) -> PassageFeatures:
    """How this configuration counts."""
    encoder = config.encoder
    return PassageFeatures(
        buckets=encoder.buckets,
        bigrams=encoder.bigrams,
        edge_words=encoder.edge_words,
        max_features=encoder.max_features,
    )


def untrained(config: Adapter, training: PairInputs) -> AdapterNetwork:
    """The network before training: weights from torch's generator, idf from the training passages alone."""
    network = AdapterNetwork(config)
    network.idf_K.copy_(torch.from_numpy(_idf(training, config)))
    return network


def load_adapter(config: Adapter, folder: Path) -> FittedAdapter:
    """The trained adapter of a train folder. Raises StageError when the file is missing or does not fit."""
    path = folder / MODEL_FILE
    try:
        weights, parameters = read_weights(path)
        features = PassageFeatures.from_parameters(parameters["features"])
        network = AdapterNetwork(config)
        network.load_state_dict(weights)
    except (DataError, KeyError, TypeError, RuntimeError) as error:
        raise StageError(
            f"the trained adapter cannot be loaded: {error}", path=path, hint="train again: dvc repro"
        ) from error
    return FittedAdapter(network.eval(), features)


def _idf(training: PairInputs, config: Adapter) -> NDArray[np.float32]:
    """[K] 1 + log((1 + passages) / (1 + passages with it)), 0 for rare features and for empty passages."""
    sides: tuple[RaggedFeatures, ...] = (training.first, training.second)
    frequency_K = np.bincount(np.concatenate([side.ids for side in sides]), minlength=config.encoder.buckets)
    num_passages = sum(map(len, sides))
    idf_K = 1.0 + np.log((1.0 + num_passages) / (1.0 + frequency_K))
    idf_K[frequency_K < config.encoder.min_passages] = 0.0
    idf_K[0] = 0.0  # EMPTY_BUCKET
    return np.asarray(idf_K, dtype=np.float32)
