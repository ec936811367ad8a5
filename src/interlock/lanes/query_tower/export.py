"""Stage `export` of the lane: the ONNX file, and proof that it is the model that was measured.

    model.onnx  latency.parquet  metrics.json  measurements.json        (all but the first are observations)

The weights themselves are already `train/model.safetensors`, which this stage loads. The ONNX file takes padded
features and a role, and carries what a consumer needs to make them (`interlock.lanes.exporting.answering`). It is
checked in a fresh process without torch. What does not hold becomes a measurement, not an error: the judge decides.

Only hashed encoders are exported so far; for the others the checks are recorded as not measured, which blocks.

Shapes: B texts, T features of the longest, D vector width, S batch sizes, N texts.
"""

from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from interlock.contracts.hardware import CpuTarget
from interlock.errors import DataError, StageError
from interlock.lanes.exporting.answering import IDS, KINDS, VECTORS, WEIGHTS, Role, encoder_metadata
from interlock.lanes.exporting.fresh_process import answers, parity
from interlock.lanes.exporting.graph import export_onnx
from interlock.lanes.exporting.latency import Latency, measure_latency
from interlock.lanes.measuring import (
    MEASUREMENTS_FILE,
    METRICS_FILE,
    Subject,
    Value,
    check,
    not_measured,
    write_measurements,
    write_scores,
)
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
LATENCY_FILE = "latency.parquet"
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
    subject = Subject(
        folder=job.folder, stage="export", run_id=str(job.run_id), evaluator_sha256=job.evaluator_sha256, split="test"
    )
    if not isinstance(tower.front, HashedFront):
        reason = f"an encoder of kind {body.model.encoder.kind} is not exported to ONNX"
        write_measurements(subject, _not_measured(reason))
        return StageOutcome(facts={"onnx": None}, volatile_files=(METRICS_FILE, MEASUREMENTS_FILE))
    texts = _checked_texts(PreparedDataset.open(job.inputs["prepare"]))
    path = job.folder / MODEL_FILE
    job.progress.message("writing and checking the ONNX file")
    with prepared_device(CpuTarget(kind="cpu", threads=job.hardware.threads)) as device:
        sha256 = _export_hashed(tower, tower.front, texts, path)
        values = _checked(tower, texts, path, device)
    job.progress.message("measuring latency")
    latency = _latency(path, PreparedDataset.open(job.inputs["prepare"]).queries("test").texts)
    scores_sha256 = None
    if latency is not None:
        items = [f"{i:06d}" for i in range(len(latency.samples_ms))]
        columns = {"latency_ms": latency.samples_ms}
        scores_sha256 = write_scores(job.folder / LATENCY_FILE, items, columns, item="sample")
    values += _latency_values(latency)
    write_measurements(subject, values, scores_sha256=scores_sha256, scores_file=LATENCY_FILE, item="sample")
    volatile = (METRICS_FILE, MEASUREMENTS_FILE, *((LATENCY_FILE,) if latency is not None else ()))
    facts = {"onnx": sha256, "onnx_bytes": path.stat().st_size}
    return StageOutcome(
        facts=facts, volatile_files=volatile, volatile_facts={"hardware": latency.hardware if latency else None}
    )


def _export_hashed(tower: FittedTower, front: HashedFront, texts: dict[int, list[str]], path: Path) -> str:
    encoder = tower.network.encoder
    assert isinstance(encoder, HashedNetwork)
    sample = front.inputs(texts[QUERY][:2], QUERY).features
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


def _checked(tower: FittedTower, texts: dict[int, list[str]], path: Path, device: torch.device) -> list[Value]:
    """Loads, answers sensibly, equals torch: for queries and for documents, at several batch sizes."""
    try:
        answered = {role: answers(path, texts[role], role=name) for role, name in enumerate(ROLES)}
    except StageError as error:
        return [check("model_loadable", False, str(error)), *_not_measured("the exported file does not answer")[1:3]]
    norms = np.concatenate([np.linalg.norm(vectors, axis=-1).ravel() for vectors in answered.values()])
    sensible = bool(np.isfinite(norms).all() and np.abs(norms - 1.0).max() < 1e-3)
    equal = [parity(answered[role], tower.encode(texts[role], role, device=device)) for role in (QUERY, DOCUMENT)]
    difference = max(found.difference for found in equal)
    return [
        check("model_loadable", True, "loaded by onnxruntime in a fresh process without torch"),
        check("inference_test_passed", sensible, f"{len(norms)} finite vectors of length 1 at four batch sizes"),
        check("onnx_matches_torch", all(found.holds for found in equal), f"largest difference {difference:.2g}"),
        Value(name="onnx_difference", value=difference, unit="ratio", n=sum(map(len, texts.values()))),
    ]


def _latency(path: Path, queries: list[str]) -> Latency | None:
    try:
        return measure_latency(path, queries, role=ROLES[QUERY])
    except (StageError, DataError):
        return None


def _latency_values(latency: Latency | None) -> list[Value]:
    if latency is None:
        return _not_measured("the exported file does not answer")[3:]
    remark = f"batch 1, text to vector, {latency.hardware}, {latency.runtime}"
    return [
        Value(
            name=f"latency_p{round(100 * q)}", value=latency.quantile(q), unit="ms", n=len(latency.samples_ms),
            estimator="quantile", quantile=q, column="latency_ms", reason=remark,
        )
        for q in (0.5, 0.95, 0.99)
    ]  # fmt: skip


def _not_measured(reason: str) -> list[Value]:
    """In the order: loadable, answers, equals torch, latency."""
    checks = ("model_loadable", "inference_test_passed", "onnx_matches_torch")
    latency = Value(name="latency_p95", value=None, unit="ms", n=0, estimator="quantile", quantile=0.95, reason=reason)
    return [*(not_measured(name, reason) for name in checks), latency]


def _checked_texts(data: PreparedDataset) -> dict[int, list[str]]:
    """The first held-out queries and documents, at least two of each."""
    rows = range(min(CHECKED_TEXTS, data.num_documents))
    return {QUERY: data.queries("test").texts[:CHECKED_TEXTS], DOCUMENT: data.documents(rows)}
