"""Stage `export` of the lane: the ONNX file for histories of any length, and proof that it predicts like the model.

    model.onnx  latency.parquet  metrics.json  measurements.json        (all but the first are observations)

torch's exporter unrolls recurrent layers over the sample's length and so fixes it into the file, without an error. The
recurrent predictor is therefore written with ONNX's own GRU operator, which orders its gates another way.

Shapes: B histories, T vectors of the longest, D vector width, W hidden width.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from interlock.contracts.hardware import CpuTarget
from interlock.lanes.exporting.checking import Shipped, ship, unit_vectors
from interlock.lanes.exporting.graph import export_onnx
from interlock.lanes.lvm.answering import LENGTHS, NEXT, VECTORS, ExportedPredictor, predictor_metadata
from interlock.lanes.lvm.config import Lvm
from interlock.lanes.lvm.model import NextVector, RecurrentStates
from interlock.lanes.lvm.sequences import Vectors, encoded
from interlock.lanes.lvm.train import load
from interlock.lanes.passages.prepared import PreparedPassages
from interlock.lanes.spec import StageJob, StageOutcome
from interlock.lanes.training.device import prepared_device

MODEL_FILE = "model.onnx"
CHECKED = 64
"""Histories that are answered and timed: beginnings of test documents, the first of 1 passage, the last of up to 64."""


def export(job: StageJob) -> StageOutcome:
    """Write and check the file that is shipped."""
    body = cast(Lvm, job.lane)
    network, encoder = load(body, job.inputs["train"])
    histories = _histories(encoded(PreparedPassages.open(job.inputs["prepare"]).documents("test"), encoder))
    job.progress.message("writing the ONNX file")
    with prepared_device(CpuTarget(kind="cpu", threads=job.hardware.threads)), torch.inference_mode():
        expected_BD = np.concatenate([network(torch.from_numpy(history)[None])[:, -1].numpy() for history in histories])
    path = job.folder / MODEL_FILE
    metadata = predictor_metadata(dimensions=encoder.dimensions, encoder_digest=encoder.digest)
    sha256 = write_onnx(network, path, metadata=metadata)
    requests = [history.tolist() for history in histories]
    return ship(
        job,
        Shipped(
            path=path, sha256=sha256, opener=ExportedPredictor, requests=requests, expected=expected_BD,
            timed=requests, what=f"up to {max(map(len, requests))} vectors to the next", sensible=unit_vectors,
        ),
    )  # fmt: skip


def write_onnx(network: NextVector, path: Path, *, metadata: dict[str, Any]) -> str:
    """Write the predictor for histories of any number and length; returns the file's SHA-256."""
    inputs = {VECTORS: torch.zeros(2, 3, network.into.in_features), LENGTHS: torch.tensor([2, 3])}
    axes: dict[str, tuple[str | None, ...]] = {VECTORS: ("batch", "length", None), LENGTHS: ("batch",)}
    return export_onnx(_Graph(network), path, inputs=inputs, outputs=(NEXT,), axes=axes, metadata=metadata)


class _Graph(nn.Module):
    """The prediction behind the last vector of each history."""

    def __init__(self, network: NextVector) -> None:
        super().__init__()
        states = network.states
        self.into, self.out = network.into, network.out
        self.states = _OnnxGru(states.gru) if isinstance(states, RecurrentStates) else states

    def forward(self, vectors_BTD: Tensor, lengths_B: Tensor) -> Tensor:
        states_BTW = self.states(self.into(vectors_BTD))
        places_B1W = (lengths_B - 1)[:, None, None].expand(-1, 1, states_BTW.shape[-1])
        last_BW = states_BTW.gather(1, places_B1W).squeeze(1)
        return nn.functional.normalize(self.out(last_BW), dim=-1)


class _OnnxGru(nn.Module):
    """torch's GRU by ONNX's operator: gates reset-update-new become update-reset-new."""

    def __init__(self, gru: nn.GRU) -> None:
        super().__init__()
        self._width, self._layers = gru.hidden_size, gru.num_layers
        for layer in range(gru.num_layers):
            read, carried, read_bias, carried_bias = (
                _update_first(getattr(gru, f"{name}_l{layer}").detach())
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            for name, tensor in (("w", read), ("r", carried), ("b", torch.cat([read_bias, carried_bias]))):
                self.register_buffer(f"{name}{layer}", tensor[None].contiguous())

    def forward(self, inputs_BTW: Tensor) -> Tensor:
        states_TBW = inputs_BTW.transpose(0, 1)
        num_steps, num_histories, _ = states_TBW.shape
        for layer in range(self._layers):
            weights = [getattr(self, f"{name}{layer}") for name in "wrb"]
            states_T1BW = torch.onnx.ops.symbolic(
                "GRU", [states_TBW, *weights], attrs={"hidden_size": self._width, "linear_before_reset": 1},
                dtype=torch.float32, shape=(num_steps, 1, num_histories, self._width),
            )  # fmt: skip
            states_TBW = states_T1BW.squeeze(1)
        return states_TBW.transpose(0, 1)


def _update_first(gates: Tensor) -> Tensor:
    reset, update, new = gates.chunk(3)
    return torch.cat([update, reset, new])


def _histories(documents: Sequence[Vectors]) -> list[Vectors]:
    return [documents[i % len(documents)][: i + 1] for i in range(CHECKED)]
