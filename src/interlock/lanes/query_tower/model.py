"""The tower as torch modules: an encoder and the Echo-Loop head.

Shapes: B texts of a batch, D vector width, S width of what the loss sees, R reference width.
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

    def training_vectors(self, batch: Batch, role: int) -> Tensor:
        """[B, S] vectors of length 1 whose inner products are the similarities as the loss sees them."""
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
