"""Stage `export` of the lane: the ONNX file, and proof that it is the model that was measured.

    model.onnx  latency.parquet  metrics.json  measurements.json        (all but the first are observations)

The weights themselves are already `train/model.safetensors`, which this stage loads. The ONNX file takes padded
features and a role, and carries what a consumer needs to make them (`interlock.lanes.exporting.answering`).

Only hashed encoders are exported so far; for the others the checks are recorded as not measured, which blocks.

Shapes: B texts, T features of the longest, N requests, D vector width.
"""

from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from interlock.contracts.hardware import CpuTarget
from interlock.lanes.exporting.answering import (
    IDS,
    KINDS,
    VECTORS,
    WEIGHTS,
    ExportedEncoder,
    Role,
    encoder_metadata,
)
from interlock.lanes.exporting.checking import Shipped, not_shipped, ship, unit_vectors
from interlock.lanes.exporting.graph import export_onnx
from interlock.lanes.query_tower.config import QueryTower
from interlock.lanes.query_tower.encoders import FittedTower, load_tower
from interlock.lanes.query_tower.fitting import HashedFront
from interlock.lanes.query_tower.hashed import HashedNetwork
from interlock.lanes.query_tower.inputs import DOCUMENT, QUERY, ROLES
from interlock.lanes.retrieval.datasets.prepared import PreparedDataset
from interlock.lanes.retrieval.ragged import pad, pad_kinds
from interlock.lanes.spec import StageJob, StageOutcome
from interlock.lanes.training.device import prepared_device

MODEL_FILE = "model.onnx"
ROLE = "role"
CHECKED_TEXTS = 64
"""Texts of each role that the fresh process answers."""


class _Graph(nn.Module):
    """The forward pass as the exported file computes it."""

    def __init__(self, encoder: HashedNetwork) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, ids_BT: Tensor, weights_BT: Tensor, kinds_BT: Tensor, role_B: Tensor) -> Tensor:
        return self.encoder.padded(ids_BT, weights_BT, kinds_BT, role_B=role_B)


def export(job: StageJob) -> StageOutcome:
    """Write and check the file that is shipped."""
    body = cast(QueryTower, job.lane)
    tower = load_tower(body, job.inputs["train"], workspace=job.workspace)
    if not isinstance(tower.front, HashedFront):
        return not_shipped(job, f"an encoder of kind {body.model.encoder.kind} is not exported to ONNX")
    data = PreparedDataset.open(job.inputs["prepare"])
    queries, path = data.queries("test").texts, job.folder / MODEL_FILE
    texts = {QUERY: queries[:CHECKED_TEXTS], DOCUMENT: data.documents(range(min(CHECKED_TEXTS, data.num_documents)))}
    job.progress.message("writing the ONNX file")
    with prepared_device(CpuTarget(kind="cpu", threads=job.hardware.threads)) as device:
        sha256 = _export_hashed(tower, tower.front, texts[QUERY], path)
        expected_ND = np.concatenate([tower.encode(texts[role], role, device=device) for role in texts])
    requests = [{"role": ROLES[role], "text": text} for role in texts for text in texts[role]]
    timed = [{"role": ROLES[QUERY], "text": text} for text in queries]
    return ship(
        job,
        Shipped(
            path=path, sha256=sha256, opener=ExportedEncoder, what="text to vector", sensible=unit_vectors,
            requests=requests, expected=expected_ND, timed=timed,
        ),
    )  # fmt: skip


def _export_hashed(tower: FittedTower, front: HashedFront, queries: list[str], path: Path) -> str:
    encoder = tower.network.encoder
    assert isinstance(encoder, HashedNetwork)
    sample = front.inputs(queries[:2], QUERY).features
    ids_BT, weights_BT = pad(sample)
    roles = {name: Role(weighting=front.weightings[role], constants={ROLE: role}) for role, name in enumerate(ROLES)}
    inputs = {
        IDS: torch.from_numpy(ids_BT), WEIGHTS: torch.from_numpy(weights_BT),
        KINDS: torch.from_numpy(pad_kinds(sample)), ROLE: torch.tensor([QUERY, DOCUMENT]),
    }  # fmt: skip
    axes = {**dict.fromkeys((IDS, WEIGHTS, KINDS), ("batch", "length")), ROLE: ("batch",)}
    return export_onnx(
        _Graph(encoder), path, inputs=inputs, outputs=(VECTORS,), axes=axes,
        metadata=encoder_metadata(front.features, roles),
    )  # fmt: skip
