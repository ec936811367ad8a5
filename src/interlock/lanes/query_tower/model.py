"""The tower as torch modules: an encoder and the Echo-Loop head.

Shapes: B pairs of a batch, C >= B candidate documents (the pairs' own first), D vector width, R reference width.
"""

from typing import Protocol

from torch import Tensor, nn

from interlock.lanes.query_tower.inputs import Batch


class EncoderNetwork(Protocol):
    """What every encoder offers; they are `nn.Module`s too."""

    @property
    def dimensions(self) -> int:
        """D."""
        ...

    def __call__(self, batch: Batch, role: int) -> Tensor:
        """[B, D] vectors of length 1."""
        ...

    def training_scores(self, queries: Batch, documents: Batch, roles: tuple[int, int]) -> Tensor:
        """[B, C] similarities as the loss sees them."""
        ...


class TowerNetwork(nn.Module):
    """An encoder with a linear map back to the reference; `echo_head.set_echo_head` sets it after training."""

    def __init__(self, encoder: nn.Module, *, dimensions: int, reference_dimensions: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.echo_head = nn.Linear(dimensions, reference_dimensions).requires_grad_(False)
        nn.init.zeros_(self.echo_head.weight)
        nn.init.zeros_(self.echo_head.bias)

    def forward(self, batch: Batch, role: int) -> Tensor:
        """[B, D] vectors of length 1."""
        vectors: Tensor = self.encoder(batch, role)
        return vectors

    def decode(self, vectors_BD: Tensor) -> Tensor:
        """[B, R] vectors in the space of the reference."""
        decoded: Tensor = self.echo_head(vectors_BD)
        return decoded
