"""The adapter: a score of "the first passage comes before the second" that changes its sign with the order.

    place(x)    = sum of weighted features of x times one learned number each: how late in a text x sounds
    code(x)     = relu(sum of weighted features of x times one learned row each + bias)
    f(x, y)     = v . relu(W [code(x), code(y)] + c)
    score(a, b) = place(b) - place(a) + f(a, b) - f(b, a)                        = -score(b, a)
    P(a before b) = sigmoid(score(a, b) / temperature)

`place` alone is a linear order of all passages; f adds what only the two together tell. Features are weighed by idf and
scaled to length 1 per passage (unseen ones weigh nothing). The temperature is set after training (`calibration.py`).

Passages come as bags of all pairs behind each other, for training and evaluation (short and long passages together
would be padding for the most part), or padded, for the exported graph. Both give the same.

Shapes: P pairs, N features of all passages of one side, T features of the longest (padded with weight 0), K buckets,
D code width, H hidden width.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from interlock.lanes.directional_adapter.config import Adapter

START = 0.3
"""Standard deviation of the untrained rows: codes of passages then begin at about that size."""

LEAST = 1e-12
"""Squared length of a passage without any known feature, so that nothing is divided by zero."""


Side = tuple[Tensor, ...]
"""The passages of one side: (ids_N int64, weights_N float32, row_N int64, offsets_P int64), or padded
(ids_PT int64, weights_PT float32)."""


class AdapterNetwork(nn.Module):
    """See the module. What was fitted without gradients (idf, temperature) is a buffer, so the file is complete."""

    idf_K: Tensor
    temperature: Tensor

    def __init__(self, config: Adapter) -> None:
        super().__init__()
        self._dropout, self._feature_dropout = config.dropout, config.feature_dropout
        self.register_buffer("idf_K", torch.zeros(config.encoder.buckets))
        self.register_buffer("temperature", torch.ones(()))
        start_KD = torch.randn(config.encoder.buckets, config.dimensions) * START
        self.table_KC = nn.Parameter(torch.cat([torch.zeros(config.encoder.buckets, 1), start_KD], dim=1))
        self.bias_D = nn.Parameter(torch.zeros(config.dimensions))
        self.compare = nn.Linear(2 * config.dimensions, config.hidden)
        self.judge = nn.Linear(config.hidden, 1, bias=False)

    def forward(self, first: Side, second: Side) -> Tensor:
        """[P] scores of pairs in bags."""
        return self._scores(self._bagged(*first), self._bagged(*second))

    def probability(self, first: Side, second: Side) -> Tensor:
        """[P] calibrated probability that the first passage comes before the second; pairs in the padded form."""
        return torch.sigmoid(self._scores(self._padded(*first), self._padded(*second)) / self.temperature)

    def _scores(self, read_PC: Tensor, other_PC: Tensor) -> Tensor:
        """From what both passages' features add up to: column 0 is the place, the others become the code."""
        code_PD, other_PD = self._code(read_PC), self._code(other_PC)
        hidden_PH = self._hidden(code_PD, other_PD) - self._hidden(other_PD, code_PD)
        hidden_PH = functional.dropout(hidden_PH, self._dropout, self.training)
        scores_P: Tensor = other_PC[:, 0] - read_PC[:, 0] + self.judge(hidden_PH)[:, 0]
        return scores_P

    def _hidden(self, left_PD: Tensor, right_PD: Tensor) -> Tensor:
        return functional.relu(self.compare(torch.cat([left_PD, right_PD], dim=1)))

    def _code(self, read_PC: Tensor) -> Tensor:
        return functional.dropout(functional.relu(read_PC[:, 1:] + self.bias_D), self._dropout, self.training)

    def _bagged(self, ids_N: Tensor, weights_N: Tensor, row_N: Tensor, offsets_P: Tensor) -> Tensor:
        """[P, 1 + D] sums over bags."""
        weights_N = weights_N * self.idf_K[ids_N]
        squares_P = weights_N.new_zeros(len(offsets_P)).index_add_(0, row_N, weights_N.square())
        weights_N = weights_N / squares_P.clamp_min(LEAST).sqrt()[row_N]
        weights_N = functional.dropout(weights_N, self._feature_dropout, self.training)
        return functional.embedding_bag(ids_N, self.table_KC, offsets_P, mode="sum", per_sample_weights=weights_N)

    def _padded(self, ids_PT: Tensor, weights_PT: Tensor) -> Tensor:
        """[P, 1 + D] sums over the padded form."""
        weights_PT = weights_PT * self.idf_K[ids_PT]
        weights_PT = weights_PT / weights_PT.square().sum(dim=1, keepdim=True).clamp_min(LEAST).sqrt()
        return (weights_PT[:, None, :] @ functional.embedding(ids_PT, self.table_KC))[:, 0]
