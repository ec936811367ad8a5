"""The interaction network: scores a whole list, because what a candidate is worth depends on the others.

    match      standardised features of query and candidate (`matching.py`)
    support    each of H heads weighs the candidates by their match (a softmax with a learned temperature) and asks how
               much each resembles those: what resembles likely answers is likely related (the cluster hypothesis, van
               Rijsbergen 1979; attention over candidates as in Pobrotyn et al. 2020, with given similarities)
    centre     mean and largest similarity to the others: what resembles everything answers nothing in particular
    score      a linear and a small hidden layer over all of it

It has a few hundred weights. Learned word vectors were tried and learned the training queries by heart.

Shapes: B lists, C candidates, F features, H heads, J joint features, K buckets, T features of the longest text.
"""

import torch
from torch import Tensor, nn

from interlock.lanes.reranker.config import Interaction
from interlock.lanes.reranker.matching import FEATURES, WORD
from interlock.lanes.retrieval.text import KINDS

Batch = dict[str, Tensor]

NOWHERE = -1e9
"""Score of an empty place; finite, so that no gradient becomes NaN."""


class InteractionNetwork(nn.Module):
    """See the module. Buffers hold what was fitted, so that the saved weights are complete."""

    idf_K: Tensor
    pivot: Tensor
    mean_F: Tensor
    scale_F: Tensor
    mean_J: Tensor
    scale_J: Tensor

    def __init__(self, config: Interaction, *, buckets: int) -> None:
        """An unfitted network: `fit` and `take_words` set its buffers."""
        super().__init__()
        num_features, heads = len(FEATURES), config.heads
        joint = 2 * num_features + heads + 2
        self.register_buffer("idf_K", torch.ones(buckets))
        self.register_buffer("pivot", torch.zeros(()))
        for name, width in (("F", num_features), ("J", joint)):
            self.register_buffer(f"mean_{name}", torch.zeros(width))
            self.register_buffer(f"scale_{name}", torch.ones(width))
        start_FH = 0.3 * torch.randn(num_features, heads)
        start_FH[WORD] += 1.0
        self.heads_FH = nn.Parameter(start_FH)
        self.sharpness_H = nn.Parameter(torch.linspace(-0.5, 1.0, heads))
        self.dropout = nn.Dropout(config.dropout)
        self.linear = nn.Linear(joint, 1)
        self.hidden = nn.Sequential(nn.Linear(joint, config.hidden), nn.GELU(), nn.Linear(config.hidden, 1))
        for layer in (self.linear, self.hidden[2]):
            assert isinstance(layer, nn.Linear)
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def take_words(self, idf_K: Tensor, pivot: Tensor) -> None:
        """Take the tower's weights of words."""
        self.idf_K.copy_(idf_K)
        self.pivot.copy_(pivot)

    @torch.no_grad()
    def fit(self, batch: Batch) -> None:
        """Set mean and scale of the features, then of the joint ones as the untrained heads see them."""
        filled = batch["filled"]
        _set_moments(self.mean_F, self.scale_F, batch["features"][filled])
        _set_moments(self.mean_J, self.scale_J, self._joint(batch)[filled])

    def forward(self, batch: Batch) -> Tensor:
        """[B, C] scores; `NOWHERE` in empty places. Of one list they are comparable, across lists they are not."""
        joint_BCJ = self.dropout((self._joint(batch) - self.mean_J) / self.scale_J)
        scores_BC: Tensor = (self.linear(joint_BCJ) + self.hidden(joint_BCJ))[..., 0]
        return scores_BC.masked_fill(~batch["filled"], NOWHERE)

    def _joint(self, batch: Batch) -> Tensor:
        """[B, C, J]."""
        features_BCF, similarity_BCC, filled_BC = batch["features"], batch["similarity"], batch["filled"]
        match_BCF = (features_BCF - self.mean_F) / self.scale_F
        best_B1F = match_BCF.masked_fill(~filled_BC[..., None], NOWHERE).amax(dim=1, keepdim=True)
        asked_BCH = (match_BCF @ self.heads_FH) * torch.exp(self.sharpness_H)
        weight_BCH = torch.softmax(asked_BCH.masked_fill(~filled_BC[..., None], NOWHERE), dim=1)
        others_B1 = (filled_BC.sum(dim=1, keepdim=True) - 1).clamp(min=1).to(similarity_BCC.dtype)
        mean_BC, nearest_BC = similarity_BCC.sum(dim=2) / others_B1, similarity_BCC.amax(dim=2)
        support_BCH = similarity_BCC @ weight_BCH
        return torch.cat(
            [match_BCF, match_BCF - best_B1F, support_BCH, mean_BC[..., None], nearest_BC[..., None]], dim=2
        )

    def padded(self, query: tuple[Tensor, Tensor, Tensor], documents: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """[C] scores of one list from ids, weights and kinds of the query [T] and of the candidates [C, T].

        What an exported graph computes; the weights are counts as the tower weighs them, without idf, 0 in padding.
        """
        features_CF, similarity_CC = self._matched(query, documents)
        filled_1C = torch.ones_like(features_CF[None, :, 0], dtype=torch.bool)
        batch = {"features": features_CF[None], "similarity": similarity_CC[None], "filled": filled_1C}
        return self.forward(batch)[0]

    def _matched(
        self, query: tuple[Tensor, Tensor, Tensor], documents: tuple[Tensor, Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """[C, F] and [C, C]: what `matching.match` computes sparsely."""
        ids_T, counts_T, kinds_T = query
        ids_CT, counts_CT, kinds_CT = documents
        asked_T, held_CT = counts_T * self.idf_K[ids_T], counts_CT * self.idf_K[ids_CT]
        none_K = torch.zeros_like(self.idf_K)
        query_K = none_K.scatter_add(0, ids_T, asked_T / asked_T.square().sum().clamp(min=1e-12).sqrt())
        words_T = asked_T * (kinds_T == WORD).to(asked_T.dtype)
        covered_K = none_K.scatter_add(0, ids_T, words_T / words_T.sum().clamp(min=1e-6))
        squares_C1 = held_CT.square().sum(dim=1, keepdim=True)
        product_CT = query_K[ids_CT] * held_CT / torch.sqrt(squares_C1 + self.pivot.square() + 1e-12)
        is_held_CT = (counts_CT > 0).to(held_CT.dtype)
        columns = [(product_CT * (kinds_CT == kind).to(held_CT.dtype)).sum(dim=1) for kind in range(len(KINDS))]
        is_word_CT = is_held_CT * (kinds_CT == WORD).to(held_CT.dtype)
        columns += [(covered_K[ids_CT] * is_word_CT).sum(dim=1), is_held_CT.sum(dim=1).log()]
        unit_CT = held_CT / torch.sqrt(squares_C1 + 1e-12)
        dense_CK = torch.zeros_like(ids_CT[:, :1]).to(held_CT.dtype) * none_K[None]
        dense_CK = dense_CK.scatter_add(1, ids_CT, unit_CT)
        similarity_CC = dense_CK @ dense_CK.T
        same_CC = torch.eye(similarity_CC.shape[0], dtype=torch.bool, device=similarity_CC.device)
        return torch.stack(columns, dim=1), similarity_CC.masked_fill(same_CC, 0.0)


def _set_moments(mean: Tensor, scale: Tensor, values_NJ: Tensor) -> None:
    """A column that never changes keeps scale 1."""
    deviation = values_NJ.std(dim=0, correction=0)
    mean.copy_(values_NJ.mean(dim=0))
    scale.copy_(torch.where(deviation > 1e-6, deviation, torch.ones_like(deviation)))
