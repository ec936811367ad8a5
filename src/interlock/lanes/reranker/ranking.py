"""The loss over graded lists, and the reranker under training. Apart from `model`: only training needs Lightning.

Shapes: B lists, C candidates.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from interlock.lanes.reranker.config import RerankTrainer
from interlock.lanes.reranker.lists import ANSWER, HARD, SOFT
from interlock.lanes.training.config import AdamW
from interlock.lanes.training.module import TrainedModule


def graded_losses(scores_BC: Tensor, grades_BC: Tensor, filled_BC: Tensor, *, soft_weight: float) -> Tensor:
    """[B] of each list: answers before all others, plus `soft_weight` times soft negatives before hard ones.

    The first is the listwise cross-entropy (Cao et al. 2007), each answer against the negatives of its list; the second
    the logistic loss over pairs (RankNet, Burges et al. 2005), a mean over the pairs of each list that has both.
    """
    scores_BC = scores_BC.float()
    is_answer_BC, is_soft_BC, is_hard_BC = ((grades_BC == grade) & filled_BC for grade in (ANSWER, SOFT, HARD))
    others_B1 = scores_BC.masked_fill(is_answer_BC | ~filled_BC, -torch.inf).logsumexp(dim=1, keepdim=True)
    surprise_BC = torch.logaddexp(scores_BC, others_B1) - scores_BC
    answers_B = is_answer_BC.sum(dim=1)
    loss_B = surprise_BC.masked_fill(~is_answer_BC, 0.0).sum(dim=1) / answers_B.clamp(min=1)
    if not soft_weight:
        return loss_B
    pairs_BCC = is_soft_BC[:, :, None] & is_hard_BC[:, None, :]
    wrong_BCC = functional.softplus(scores_BC[:, None, :] - scores_BC[:, :, None]) * pairs_BCC
    per_list_B = wrong_BCC.sum(dim=(1, 2)) / pairs_BCC.sum(dim=(1, 2)).clamp(min=1)
    return loss_B + soft_weight * per_list_B


class RerankTraining(TrainedModule):
    """The reranker under training."""

    def __init__(self, network: torch.nn.Module, *, optimizer: AdamW, trainer: RerankTrainer) -> None:
        super().__init__(network, optimizer)
        self._soft_weight = trainer.soft_weight

    def loss(self, part: dict[str, Any]) -> Tensor:
        """Scalar loss of a batch of `GradedLists`: the mean over its lists by their weights."""
        scores_BC, weight_B = self.network(part), part["weight"]
        losses_B = graded_losses(scores_BC, part["grades"], part["filled"], soft_weight=self._soft_weight)
        loss: Tensor = (losses_B * weight_B).sum() / weight_B.sum()
        return loss

    def weight(self, part: dict[str, Any], count: int) -> float:
        """See `TrainedModule.weight`."""
        return float(part["weight"].sum())
