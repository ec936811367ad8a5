"""A small tower in the form that is exported; also a script, so that other processes can export the same one.

`python tower.py model.onnx` prints the digest of the file.
"""

import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from interlock.lanes.exporting.answering import Role, encoder_metadata
from interlock.lanes.exporting.graph import export_onnx
from interlock.lanes.retrieval.ragged import pad
from interlock.lanes.retrieval.text import HashedFeatures
from interlock.lanes.retrieval.weighting import Weighting

FEATURES = HashedFeatures(buckets=256, max_features=40)
ROLES = {
    "query": Role(weighting=Weighting(count_max=2.0), constants={"side": 0}),
    "document": Role(weighting=Weighting(k1=1.5, b=0.75, mean_length=12.0, bigram=0.5), constants={"side": 1}),
}


class Tower(nn.Module):
    """Weighted sum of embeddings with a gate per side, a residual MLP, unit length."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.gate = nn.Embedding(256, 16), nn.Embedding(512, 1)
        self.mlp = nn.Sequential(nn.Linear(16, 8), nn.GELU(), nn.Linear(8, 16))
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)

    def forward(self, ids: Tensor, weights: Tensor, side: Tensor) -> Tensor:
        gates = self.gate(ids + 256 * side[:, None]).squeeze(-1)
        pooled = (self.embedding(ids) * (weights * gates).unsqueeze(-1)).sum(dim=1)
        return nn.functional.normalize(pooled + self.mlp(pooled), dim=-1)


def export(path: Path, *, sample: int = 2) -> str:
    inputs = {
        "ids": torch.ones(sample, 3, dtype=torch.int64),
        "weights": torch.ones(sample, 3),
        "side": torch.zeros(sample, dtype=torch.int64),
    }
    axes = {"ids": ("batch", "length"), "weights": ("batch", "length"), "side": ("batch",)}
    metadata = encoder_metadata(FEATURES, ROLES)
    return export_onnx(Tower(), path, inputs=inputs, outputs=("vectors",), axes=axes, metadata=metadata)


@torch.no_grad()
def torch_vectors(texts: list[str], role: str) -> Tensor:
    ids, weights = pad(ROLES[role].weighting.apply(FEATURES.encode(texts)))
    side = torch.full((len(texts),), ROLES[role].constants["side"], dtype=torch.int64)
    vectors: Tensor = Tower()(torch.from_numpy(ids), torch.from_numpy(weights), side)
    return vectors


if __name__ == "__main__":
    print(export(Path(sys.argv[1])))
