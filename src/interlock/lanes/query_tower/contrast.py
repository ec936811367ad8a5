"""The contrastive loss and the tower under training; apart from `model`, so that only training needs Lightning.

Shapes: B pairs of a batch, C >= B candidate documents (the pairs' own first), D width of the vectors.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from interlock.lanes.query_tower.config import TowerTrainer
from interlock.lanes.query_tower.inputs import DOCUMENT, QUERY
from interlock.lanes.query_tower.model import TowerNetwork
from interlock.lanes.training.config import AdamW
from interlock.lanes.training.module import TrainedModule


def contrastive_loss(scores_BC: Tensor, masked_BC: Tensor, temperature: float) -> Tensor:
    """Symmetric InfoNCE (van den Oord et al. 2018): each query picks its document among C, each document its query.

    `masked` candidates are left out: they answer the query too. The diagonal must not be masked.
    """
    logits_BC = (scores_BC.float() / temperature).masked_fill(masked_BC, -torch.inf)
    own_B = torch.arange(len(logits_BC), device=logits_BC.device)
    by_query = functional.cross_entropy(logits_BC, own_B)
    by_document = functional.cross_entropy(logits_BC[:, : len(own_B)].T, own_B)
    return (by_query + by_document) / 2


class TowerTraining(TrainedModule):
    """The tower under training."""

    def __init__(self, network: TowerNetwork, *, optimizer: AdamW, trainer: TowerTrainer) -> None:
        super().__init__(network, optimizer)
        self._temperature = trainer.temperature

    def loss(self, part: dict[str, Any]) -> Tensor:
        """Scalar loss of one batch of `Pairs`, each query and each document among all of the batch."""
        assert isinstance(self.network, TowerNetwork)
        encode: Any = self.network.encoder.training_vectors
        queries_BD = self.encoded(partial(encode, role=QUERY), part["queries"])
        documents_CD = self.encoded(partial(encode, role=DOCUMENT), part["documents"])
        return contrastive_loss(queries_BD @ documents_CD.T, part["masked"], self._temperature)
