"""The adapter: a score of "the first passage comes before the second" that changes its sign with the order.

    place(x)    = sum of weighted features of x times one learned number each: how late in a text x sounds
    code(x)     = relu(sum of weighted features of x times one learned row each + bias)
    f(x, y)     = v . relu(W [code(x), code(y)] + c)
    score(a, b) = place(b) - place(a) + f(a, b) - f(b, a)                        = -score(b, a)
    P(a before b) = sigmoid(score(a, b) / temperature)

`place` alone is a linear order of all passages; f adds what only the two together tell. Features are weighed by idf and
scaled to length 1 per passage (unseen ones weigh nothing). The temperature is set after training (`calibration.py`).

Shapes: P pairs, T features of the longest passage (padded with weight 0), K buckets, D code width, H hidden width.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from interlock.lanes.directional_adapter.config import Adapter

START = 0.3
"""Standard deviation of the untrained rows: codes of passages then begin at about that size."""


class AdapterNetwork(nn.Module):
    """See the module. What was fitted without gradients (idf, temperature) is a buffer, so the file is complete."""

    idf_K: Tensor
    temperature: Tensor

    def __init__(self, config: Adapter) -> None:
        super().__init__()
        self._dropout, self._feature_dropout = config.dropout, config.feature_dropout
        self.register_buffer("idf_K", torch.zeros(config.encoder.buckets))
        self.register_buffer("temperature", torch.ones(()))
        self.place_K1 = nn.Parameter(torch.zeros(config.encoder.buckets, 1))
        self.rows_KD = nn.Parameter(torch.randn(config.encoder.buckets, config.dimensions) * START)
        self.bias_D = nn.Parameter(torch.zeros(config.dimensions))
        self.compare = nn.Linear(2 * config.dimensions, config.hidden)
        self.judge = nn.Linear(config.hidden, 1, bias=False)

    def forward(self, first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> Tensor:
        """[P] scores; each side is (ids_PT int64, weights_PT float32)."""
        place_P, code_PD = self._read(*first)
        other_place_P, other_code_PD = self._read(*second)
        hidden_PH = self._hidden(code_PD, other_code_PD) - self._hidden(other_code_PD, code_PD)
        if self.training:
            hidden_PH = functional.dropout(hidden_PH, self._dropout)
        scores_P: Tensor = other_place_P - place_P + self.judge(hidden_PH)[:, 0]
        return scores_P

    def probability(self, first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> Tensor:
        """[P] calibrated probability that the first passage comes before the second."""
        return torch.sigmoid(self(first, second) / self.temperature)

    def _hidden(self, left_PD: Tensor, right_PD: Tensor) -> Tensor:
        return functional.relu(self.compare(torch.cat([left_PD, right_PD], dim=1)))

    def _read(self, ids_PT: Tensor, weights_PT: Tensor) -> tuple[Tensor, Tensor]:
        """[P] place and [P, D] code."""
        weights_PT = weights_PT * self.idf_K[ids_PT]
        length_P1 = weights_PT.square().sum(dim=1, keepdim=True).clamp_min(1e-12).sqrt()
        weights_P1T = (weights_PT / length_P1)[:, None, :]
        if self.training:
            weights_P1T = functional.dropout(weights_P1T, self._feature_dropout)
        place_P = (weights_P1T @ functional.embedding(ids_PT, self.place_K1))[:, 0, 0]
        code_PD = functional.relu((weights_P1T @ functional.embedding(ids_PT, self.rows_KD))[:, 0] + self.bias_D)
        if self.training:
            code_PD = functional.dropout(code_PD, self._dropout)
        return place_P, code_PD
