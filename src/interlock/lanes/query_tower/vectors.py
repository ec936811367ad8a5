"""The encoder for datasets of vectors: a learned linear map per role, starting at the identity.

Shapes: B items, V width of the given vectors, which is also D, the width of the tower's vectors.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from interlock.lanes.query_tower.inputs import Batch, Inputs, MatrixInputs


class VectorsNetwork(nn.Module):
    """`unit(x + x W_role)`, with W zero at the start: an untrained tower searches with the given vectors."""

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.dimensions = dimensions
        self.residual_RVV = nn.Parameter(torch.zeros(2, dimensions, dimensions))

    def forward(self, batch: Batch, role: int) -> Tensor:
        """[B, D] vectors of length 1."""
        vectors_BV = functional.normalize(batch["vectors"], dim=1)
        return functional.normalize(vectors_BV + vectors_BV @ self.residual_RVV[role], dim=1)

    def training_vectors(self, batch: Batch, role: int) -> Tensor:
        """The same: all of it is trained."""
        return self.forward(batch, role)


class VectorsFront:
    """Passes given vectors on."""

    def inputs(self, source: Sequence[str] | NDArray[np.float32], role: int) -> MatrixInputs:
        """Rows of given vectors."""
        assert isinstance(source, np.ndarray), "a dataset of vectors has vectors"
        return MatrixInputs(source)

    def trained_part(self, inputs: Inputs) -> Inputs:
        """All of it."""
        return inputs
