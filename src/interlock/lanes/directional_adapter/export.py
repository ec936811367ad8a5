"""Stage `export` of the lane: the ONNX file, temperature included, and proof that it is the model that was measured.

    model.onnx  latency.parquet  metrics.json  measurements.json        (all but the first are observations)

The weights themselves are already `train/model.safetensors`, which this stage loads. What a consumer needs besides the
graph stands in the file (`answering.py`). Shapes: P pairs, T features of the longest passage.
"""

from typing import cast

import torch
from torch import Tensor, nn

from interlock.contracts.hardware import CpuTarget
from interlock.lanes.directional_adapter.adapter import FittedAdapter, load_adapter
from interlock.lanes.directional_adapter.answering import FORMAT, INPUTS, PROBABILITY, OrderModel
from interlock.lanes.directional_adapter.config import DirectionalAdapter
from interlock.lanes.directional_adapter.examples import Pairs, pairs_of
from interlock.lanes.directional_adapter.inputs import PairInputs
from interlock.lanes.directional_adapter.model import AdapterNetwork, Side
from interlock.lanes.exporting.checking import Answers, Shipped, ship
from interlock.lanes.exporting.graph import export_onnx
from interlock.lanes.passages.prepared import PreparedPassages
from interlock.lanes.retrieval.ragged import pad
from interlock.lanes.spec import StageJob, StageOutcome
from interlock.lanes.training.device import prepared_device

MODEL_FILE = "model.onnx"
CHECKED_PAIRS = 64
"""Pairs that the fresh process answers, half of them turned round."""
TIMED_PAIRS = 1000


class _Graph(nn.Module):
    """The calibrated answer as the exported file computes it."""

    def __init__(self, network: AdapterNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, first_ids: Tensor, first_weights: Tensor, second_ids: Tensor, second_weights: Tensor) -> Tensor:
        return self.network.probability((first_ids, first_weights), (second_ids, second_weights))


def export(job: StageJob) -> StageOutcome:
    """Write and check the file that is shipped."""
    body = cast(DirectionalAdapter, job.lane)
    adapter = load_adapter(body.model, job.inputs["train"])
    test = pairs_of(PreparedPassages.open(job.inputs["prepare"]).documents("test"))
    asked = _checked_pairs(test)
    inputs = PairInputs.of(asked, adapter.features)
    path = job.folder / MODEL_FILE
    job.progress.message("writing the ONNX file")
    with prepared_device(CpuTarget(kind="cpu", threads=job.hardware.threads)):
        sha256 = _write(adapter, inputs, job)
        expected = _expected(adapter, inputs)
    return ship(
        job,
        Shipped(
            path=path, sha256=sha256, opener=OrderModel, what="two texts to a probability",
            requests=_requests(asked), expected=expected, timed=_requests(test)[:TIMED_PAIRS], sensible=probabilities,
        ),
    )  # fmt: skip


def probabilities(answered_SP: Answers) -> tuple[bool, str]:
    """Sensible when every answer is a probability, and pairs that differ are not all answered alike."""
    inside = bool(((answered_SP >= 0) & (answered_SP <= 1)).all())
    return inside and bool(answered_SP.std() > 0), f"{answered_SP.size} probabilities that differ"


def _checked_pairs(test: Pairs) -> Pairs:
    """The first held-out pairs, then the same turned round; at least two."""
    some = test.head(CHECKED_PAIRS // 2)
    turned = some.reversed()
    return Pairs([*some.ids, *turned.ids], [*some.first, *turned.first], [*some.second, *turned.second])


def _requests(pairs: Pairs) -> list[list[str]]:
    return [list(pair) for pair in zip(pairs.first, pairs.second, strict=True)]


def _write(adapter: FittedAdapter, inputs: PairInputs, job: StageJob) -> str:
    tensors = dict(zip(INPUTS, (tensor for side in _padded(inputs, 2) for tensor in side), strict=True))
    axes = {name: ("batch", f"{name.partition('_')[0]}_length") for name in INPUTS}
    return export_onnx(
        _Graph(adapter.network), job.folder / MODEL_FILE, inputs=tensors, outputs=(PROBABILITY,), axes=axes,
        metadata={"format": FORMAT, "features": adapter.features.parameters()},
    )  # fmt: skip


def _expected(adapter: FittedAdapter, inputs: PairInputs) -> Answers:
    with torch.inference_mode():
        scores_P = adapter.network(*(inputs.__getitems__(range(len(inputs)))[side] for side in ("first", "second")))
        answered: Answers = torch.sigmoid(scores_P / adapter.network.temperature).numpy()
    return answered


def _padded(inputs: PairInputs, count: int) -> tuple[Side, Side]:
    first, second = (
        tuple(map(torch.from_numpy, pad(side.rows(range(count))))) for side in (inputs.first, inputs.second)
    )
    return first, second
