"""The two predictors as torch modules: vectors of the passages so far in, a direction for the next one out.

Both are causal: what stands at place t depends on the places up to t alone, so padding on the right changes nothing
before it, and one forward pass predicts every next passage of a document.

Shapes: B documents or pieces of them, T passages of the longest, D vector width, W hidden width, H heads.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from interlock.lanes.lvm.config import CausalTransformer, Recurrent


class NextVector(nn.Module):
    """Projection in, a causal network in the middle, projection out, length 1."""

    def __init__(self, config: Recurrent | CausalTransformer) -> None:
        super().__init__()
        dimensions = config.encoder.dimensions
        self.into = nn.Linear(dimensions, config.width)
        self.states: nn.Module = RecurrentStates(config) if config.kind == "recurrent" else AttentionStates(config)
        self.drop = nn.Dropout(config.dropout)
        self.out = nn.Linear(config.width, dimensions)

    def forward(self, vectors_BTD: Tensor) -> Tensor:
        """[B, T, D]: at place t the predicted direction of passage t + 1, of length 1."""
        states_BTW = self.states(self.drop(self.into(vectors_BTD)))
        predicted: Tensor = functional.normalize(self.out(self.drop(states_BTW)), dim=-1)
        return predicted


class RecurrentStates(nn.Module):
    """Layers of gated recurrent units."""

    def __init__(self, config: Recurrent) -> None:
        super().__init__()
        dropout = config.dropout if config.layers > 1 else 0.0
        self.gru = nn.GRU(config.width, config.width, config.layers, batch_first=True, dropout=dropout)

    def forward(self, inputs_BTW: Tensor) -> Tensor:
        """[B, T, W] states."""
        states: Tensor = self.gru(inputs_BTW)[0]
        return states


class AttentionStates(nn.Module):
    """Layers of causal self-attention."""

    def __init__(self, config: CausalTransformer) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        slopes_H = 2.0 ** (-8.0 * torch.arange(1, config.heads + 1) / config.heads)
        self.register_buffer("slopes_H", slopes_H, persistent=False)

    def forward(self, inputs_BTW: Tensor) -> Tensor:
        """[B, T, W] states."""
        bias_HTT, states_BTW = self._bias(inputs_BTW), inputs_BTW
        for layer in self.layers:
            states_BTW = layer(states_BTW, bias_HTT)
        normed: Tensor = self.norm(states_BTW)
        return normed

    def _bias(self, inputs_BTW: Tensor) -> Tensor:
        """[H, T, T] minus slope times distance; later places are out of reach."""
        slopes_H: Any = self.slopes_H
        places_T = torch.arange(inputs_BTW.shape[1], device=inputs_BTW.device)
        distance_TT = places_T[:, None] - places_T[None, :]
        bias_HTT: Tensor = -slopes_H[:, None, None] * distance_TT
        return bias_HTT.masked_fill(distance_TT < 0, float("-inf"))


class _Layer(nn.Module):
    """Attention, then a two-layer network, each added to what comes in (norms before them)."""

    def __init__(self, config: CausalTransformer) -> None:
        super().__init__()
        self._heads = config.heads
        self.attention_norm, self.network_norm = nn.LayerNorm(config.width), nn.LayerNorm(config.width)
        self.queries_keys_values = nn.Linear(config.width, 3 * config.width)
        self.joined = nn.Linear(config.width, config.width)
        self.network = nn.Sequential(
            nn.Linear(config.width, 2 * config.width), nn.GELU(), nn.Linear(2 * config.width, config.width)
        )
        self.drop = nn.Dropout(config.dropout)

    def forward(self, states_BTW: Tensor, bias_HTT: Tensor) -> Tensor:
        states_BTW = states_BTW + self.drop(self._attended(self.attention_norm(states_BTW), bias_HTT))
        added: Tensor = states_BTW + self.drop(self.network(self.network_norm(states_BTW)))
        return added

    def _attended(self, states_BTW: Tensor, bias_HTT: Tensor) -> Tensor:
        # written out: the fused kernels have no deterministic gradient for a bias on every device
        split = self.queries_keys_values(states_BTW).unflatten(-1, (3, self._heads, -1)).permute(2, 0, 3, 1, 4)
        queries, keys, values = split.unbind(0)
        scores_BHTT = queries @ keys.transpose(-1, -2) / queries.shape[-1] ** 0.5 + bias_HTT
        attended_BTW: Tensor = self.joined((scores_BHTT.softmax(-1) @ values).transpose(1, 2).flatten(2))
        return attended_BTW


def direction_loss(predicted_BTD: Tensor, targets_BTD: Tensor, known_BT: Tensor) -> Tensor:
    """Mean of 1 - cosine over the known targets; 0 where there are none. Targets have length 1."""
    cosine_BT = (predicted_BTD * targets_BTD).sum(-1)
    return ((1.0 - cosine_BT) * known_BT).sum() / known_BT.sum().clamp(min=1.0)
