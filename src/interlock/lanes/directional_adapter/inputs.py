"""Pairs in the form the network reads, held for all pairs at once and taken a batch at a time.

Shapes: P pairs, N features of all passages of one side.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from interlock.lanes.directional_adapter.examples import Pairs
from interlock.lanes.directional_adapter.features import PassageFeatures
from interlock.lanes.directional_adapter.model import AdapterNetwork, Side
from interlock.lanes.retrieval.ragged import RaggedFeatures

BATCH = 512
"""Pairs answered at a time."""


@dataclass(frozen=True)
class PairInputs:
    """Features of both passages of each pair."""

    first: RaggedFeatures
    second: RaggedFeatures

    @classmethod
    def of(cls, pairs: Pairs, features: PassageFeatures) -> "PairInputs":
        """Count the features of every passage; one that stands in two pairs is counted once."""
        texts = sorted({*pairs.first, *pairs.second})
        row = {text: number for number, text in enumerate(texts)}
        counted = features.encode(texts)
        sides = (counted.rows([row[text] for text in side]) for side in (pairs.first, pairs.second))
        return cls(*sides)

    def __len__(self) -> int:
        return len(self.first)

    def __getitems__(self, indices: Sequence[int] | NDArray[np.int64]) -> dict[str, Side]:
        """The pairs at `indices`, in bags."""
        return {"first": _bags(self.first.rows(indices)), "second": _bags(self.second.rows(indices))}

    def reversed(self) -> "PairInputs":
        """Every pair the other way round."""
        return PairInputs(self.second, self.first)


def scores_of(network: AdapterNetwork, inputs: PairInputs, *, device: torch.device) -> NDArray[np.float64]:
    """[P] scores before calibration, the network being on `device` and not in training."""
    parts = [np.empty(0)]
    for rows in _batches(len(inputs)):
        with torch.inference_mode():
            first, second = (tuple(tensor.to(device) for tensor in side) for side in inputs.__getitems__(rows).values())
            parts.append(network(first, second).cpu().numpy().astype(np.float64))
    return np.concatenate(parts)


def _batches(count: int) -> Iterator[NDArray[np.int64]]:
    return (np.arange(start, min(start + BATCH, count)) for start in range(0, count, BATCH))


def _bags(features: RaggedFeatures) -> Side:
    return (
        torch.from_numpy(features.ids.astype(np.int64)),
        torch.from_numpy(features.weights),
        torch.from_numpy(np.repeat(np.arange(len(features)), features.lengths)),
        torch.from_numpy(features.offsets[:-1].copy()),
    )
