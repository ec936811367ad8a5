"""One visible place that maps a reranker's `kind` to code: make it before training, save and load it, score lists.

Everything stands in one file, `model.safetensors`: the weights, and as its metadata what the weights do not say (how
texts become features). Does not train.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from interlock.errors import DataError, StageError
from interlock.lanes.exporting.weights import read_weights, write_weights
from interlock.lanes.query_tower.encoders import FittedTower
from interlock.lanes.query_tower.fitting import HashedFront
from interlock.lanes.query_tower.hashed import HashedNetwork
from interlock.lanes.query_tower.inputs import DOCUMENT, QUERY
from interlock.lanes.reranker.config import FIRST_STAGE, CrossEncoder, Interaction, Reranker
from interlock.lanes.reranker.cross_encoder import load_cross_encoder
from interlock.lanes.reranker.fronts import Inputs, MatchedInputs, TokenInputs, numbered
from interlock.lanes.reranker.lists import Lists
from interlock.lanes.reranker.matching import match
from interlock.lanes.reranker.model import InteractionNetwork
from interlock.lanes.retrieval.datasets.config import SplitName
from interlock.lanes.retrieval.datasets.prepared import PreparedDataset

MODEL_FILE = "model.safetensors"
BATCH = 64
"""Lists scored at a time."""


class Front(Protocol):
    """The part of a reranker that works on texts."""

    def inputs(self, queries: list[str], documents: list[str], lists: Lists) -> Inputs:
        """Make lists ready; `lists.rows` number `documents`."""
        ...


@dataclass(frozen=True)
class MatchingFront:
    """Counts, weighs and matches, with the tower's features."""

    front: HashedFront
    network: InteractionNetwork

    def inputs(self, queries: list[str], documents: list[str], lists: Lists) -> MatchedInputs:
        """See `Front`."""
        return MatchedInputs(
            match(
                self.front.inputs(queries, QUERY).features, self.front.inputs(documents, DOCUMENT).features, lists,
                idf_K=self.network.idf_K.cpu().numpy(), pivot=float(self.network.pivot),
            )
        )  # fmt: skip


@dataclass(frozen=True)
class TokenFront:
    """Leaves texts to the tokeniser."""

    tokenize: Any

    def inputs(self, queries: list[str], documents: list[str], lists: Lists) -> TokenInputs:
        """See `Front`."""
        return TokenInputs(queries, documents, lists, self.tokenize)


@dataclass(frozen=True)
class Scorer:
    """A network and the front that feeds it."""

    network: nn.Module
    front: Front
    parameters: dict[str, Any]
    """The metadata of its file."""

    def save(self, path: Path) -> None:
        """Write it. Raises NonFiniteError for weights that are not finite."""
        write_weights(path, self.network.state_dict(), self.parameters)

    def inputs(self, data: PreparedDataset, split: SplitName, lists: Lists, queries: NDArray[np.int64]) -> Inputs:
        """Inputs of the lists of these queries of a split; `lists` are those of `queries`, in the same order."""
        texts = data.queries(split).texts
        local, documents = numbered(lists, data.documents)
        return self.front.inputs([texts[query] for query in queries.tolist()], documents, local)

    def scores(self, inputs: Inputs, *, device: torch.device) -> NDArray[np.float32]:
        """[Q, C] scores of all lists; the network must be on `device`."""
        self.network.eval()
        parts = []
        for start in range(0, len(inputs), BATCH):
            batch = inputs.take(np.arange(start, min(start + BATCH, len(inputs))))
            with torch.inference_mode():
                scores_BC = self.network({name: value.to(device) for name, value in batch.items()})
            parts.append(scores_BC.cpu().numpy())
        return np.concatenate(parts)


def new_scorer(body: Reranker, tower: FittedTower, *, workspace: Path) -> Scorer:
    """The reranker before training. Raises StageError for a tower whose features it cannot use."""
    match body.model:
        case Interaction() as config:
            encoder, front = tower.network.encoder, tower.front
            if not isinstance(encoder, HashedNetwork) or not isinstance(front, HashedFront):
                raise StageError(
                    "a reranker of kind interaction needs the word features of a hashed tower",
                    key=f"lane.inputs.{FIRST_STAGE}", value=type(encoder).__name__,
                    hint="choose model=cross_encoder here, or model=hashed_tower for the tower",
                )  # fmt: skip
            network = InteractionNetwork(config, buckets=len(encoder.idf_K))
            network.take_words(encoder.idf_K, encoder.pivot)
            parameters = {"kind": config.kind, "buckets": len(encoder.idf_K), **front.parameters()}
            return Scorer(network, MatchingFront(front, network), parameters)
        case CrossEncoder() as config:
            pretrained, tokenize = load_cross_encoder(config, workspace)
            parameters = {"kind": config.kind, "name": config.name, "revision": config.revision}
            return Scorer(pretrained, TokenFront(tokenize), parameters)


def load_scorer(body: Reranker, folder: Path, *, workspace: Path) -> Scorer:
    """The trained reranker of a train folder. Raises StageError when a file is missing or does not fit."""
    try:
        weights, parameters = read_weights(folder / MODEL_FILE)
        scorer = _unfitted(body, parameters, workspace)
        scorer.network.load_state_dict(weights)
    except (DataError, KeyError, TypeError, RuntimeError) as error:
        raise StageError(
            f"the trained reranker cannot be loaded: {error}", path=folder, hint="train again: dvc repro"
        ) from error
    scorer.network.eval()
    return scorer


def _unfitted(body: Reranker, parameters: dict[str, Any], workspace: Path) -> Scorer:
    match body.model:
        case Interaction() as config:
            network = InteractionNetwork(config, buckets=int(parameters["buckets"]))
            return Scorer(network, MatchingFront(HashedFront.from_parameters(parameters), network), parameters)
        case CrossEncoder() as config:
            pretrained, tokenize = load_cross_encoder(config, workspace)
            return Scorer(pretrained, TokenFront(tokenize), parameters)
