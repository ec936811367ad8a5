"""The Echo-Loop: the frozen reference a tower is held against, and the head that leads back to it.

The head is ridge regression (Hoerl and Kennard 1970) from the trained tower's vectors of training texts to the
reference vectors of the same texts, solved in closed form once training is over. Held-out texts never enter.

Shapes: N texts, D width of the tower, R width of the reference, V width of given vectors.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from interlock.errors import DataError
from interlock.lanes.query_tower.config import QueryTower
from interlock.lanes.query_tower.model import TowerNetwork
from interlock.lanes.retrieval.reference import LsaReference
from interlock.lanes.training.seeds import derived_seed
from interlock.provenance.canonical import sha256_json
from interlock.provenance.files import write_atomic

CENTRE_FILE = "reference_centre.safetensors"

Matrix = NDArray[np.float32]
Source = Sequence[str] | Matrix


class Reference(Protocol):
    """A frozen encoder."""

    @property
    def dimensions(self) -> int:
        """R."""
        ...

    @property
    def digest(self) -> str:
        """What pins it."""
        ...

    def vectors(self, source: Source) -> Matrix:
        """[N, R] rows of length 1, or of zeros where a text means nothing to it."""
        ...

    def save(self, folder: Path) -> None:
        """Write its files."""
        ...


class TextReference:
    """Mean-centred LSA of the training texts."""

    def __init__(self, lsa: LsaReference) -> None:
        self._lsa = lsa
        self.dimensions, self.digest = lsa.dimensions, lsa.digest

    def vectors(self, source: Source) -> Matrix:
        """See `Reference`."""
        return self._lsa.encode([str(text) for text in source])

    def save(self, folder: Path) -> None:
        """See `Reference`."""
        self._lsa.save(folder)


class VectorReference:
    """Given vectors, taken relative to the mean of the training vectors."""

    def __init__(self, mean_V: Matrix) -> None:
        self._mean_V = mean_V
        self.dimensions = len(mean_V)
        self.digest = sha256_json({"format": "centred-vectors-1", "mean": mean_V.tobytes().hex()})

    def vectors(self, source: Source) -> Matrix:
        """See `Reference`."""
        centred_NV = _unit(np.asarray(source, dtype=np.float32)) - self._mean_V
        return _unit(centred_NV)

    def save(self, folder: Path) -> None:
        """See `Reference`."""
        from safetensors.numpy import save

        write_atomic(folder / CENTRE_FILE, save({"mean": self._mean_V}))


def fit_reference(body: QueryTower, training: Source, *, seed: int) -> Reference:
    """The reference of a run, from training texts or vectors alone."""
    if isinstance(training, np.ndarray):
        return VectorReference(_unit(training).mean(axis=0))
    dimensions = body.model.echo.reference_dimensions
    return TextReference(LsaReference.fit(training, dimensions=dimensions, seed=derived_seed(seed, "reference")))


def load_reference(body: QueryTower, folder: Path) -> Reference:
    """Read the reference of a train folder. Raises DataError when it is missing or damaged."""
    if body.data.kind != "npz":
        return TextReference(LsaReference.load(folder))
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return VectorReference(load_file(folder / CENTRE_FILE)["mean"])
    except (OSError, KeyError, SafetensorError) as error:
        raise DataError("cannot read the reference", path=folder / CENTRE_FILE, hint="train again") from error


def set_echo_head(network: TowerNetwork, vectors_ND: Matrix, reference_NR: Matrix, *, ridge: float) -> None:
    """Fit the head on training texts and put it into the network.

    Texts that mean nothing to the reference (rows of zeros) are left out. Solved in float64 on the CPU by Cholesky. The
    normal matrix is summed in float32 by numpy, which sees that it is symmetric and needs half the time of torch; both
    use as many threads as torch is set to, so that the bits follow from the target.
    """
    from threadpoolctl import threadpool_limits

    known = (reference_NR != 0).any(axis=1)
    x_ND, y_NR = torch.from_numpy(vectors_ND[known]), torch.from_numpy(reference_NR[known])
    mean_D, mean_R = x_ND.mean(0), y_NR.mean(0)
    x_ND, y_NR = x_ND - mean_D, y_NR - mean_R
    with threadpool_limits(torch.get_num_threads()):
        normal_DD = torch.from_numpy(x_ND.numpy().T @ x_ND.numpy()).double()
    normal_DD.diagonal().add_(ridge)
    weight_DR = torch.cholesky_solve((x_ND.T @ y_NR).double(), torch.linalg.cholesky(normal_DD))
    with torch.no_grad():
        network.echo_head.weight.copy_(weight_DR.T)
        network.echo_head.bias.copy_(mean_R.double() - mean_D.double() @ weight_DR)


def _unit(vectors_NV: Matrix) -> Matrix:
    norms = np.linalg.norm(vectors_NV.astype(np.float64), axis=1, keepdims=True)
    unit: Matrix = (vectors_NV / np.maximum(norms, 1e-12)).astype(np.float32)
    return unit
