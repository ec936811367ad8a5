"""Stage `export` of the lane: the ONNX file, and proof that it is the model that was measured.

    model.onnx  latency.parquet  metrics.json  measurements.json        (all but the first are observations)

The weights themselves are already `train/model.safetensors`, which this stage loads. The file scores a list of
candidates from its texts alone, first-stage features included, and carries what a consumer needs (`answering.py`).
Timed is one query with one candidate, features included: in a list a candidate costs less. Cross-encoders are not
exported so far; their checks are recorded as not measured, which blocks.

Shapes: N requests, C candidates, T features of the longest text.
"""

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from interlock.contracts.hardware import CpuTarget
from interlock.lanes.exporting.checking import Answers, Shipped, not_shipped, ship
from interlock.lanes.exporting.graph import export_onnx
from interlock.lanes.query_tower.fitting import HashedFront
from interlock.lanes.query_tower.inputs import DOCUMENT, QUERY
from interlock.lanes.reranker.answering import FORMAT, INPUTS, SCORES, RerankModel
from interlock.lanes.reranker.config import Reranker
from interlock.lanes.reranker.data import LISTS_FILE
from interlock.lanes.reranker.lists import Lists, read_lists
from interlock.lanes.reranker.model import InteractionNetwork
from interlock.lanes.reranker.scorers import MatchingFront, load_scorer
from interlock.lanes.retrieval.datasets.prepared import PreparedDataset
from interlock.lanes.retrieval.ragged import pad, pad_kinds
from interlock.lanes.spec import StageJob, StageOutcome
from interlock.lanes.training.device import prepared_device

MODEL_FILE = "model.onnx"
CHECKED_LISTS, CHECKED_CANDIDATES = 64, 8
"""Lists that the fresh process answers, and candidates of each."""
TIMED = 1000
"""Pairs that are timed."""


class _Graph(nn.Module):
    """The score of a list as the exported file computes it."""

    def __init__(self, network: InteractionNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(  # the names and their order are those of `INPUTS`
        self, query_ids: Tensor, query_weights: Tensor, query_kinds: Tensor,
        document_ids: Tensor, document_weights: Tensor, document_kinds: Tensor,
    ) -> Tensor:  # fmt: skip
        return self.network.padded(
            (query_ids, query_weights, query_kinds), (document_ids, document_weights, document_kinds)
        )


def export(job: StageJob) -> StageOutcome:
    """Write and check the file that is shipped."""
    body = cast(Reranker, job.lane)
    scorer = load_scorer(body, job.inputs["train"], workspace=job.workspace)
    if not isinstance(scorer.front, MatchingFront):
        return not_shipped(job, f"a reranker of kind {body.model.kind} is not exported to ONNX")
    data = PreparedDataset.open(job.inputs["prepare"])
    lists = read_lists(job.inputs["prepare"] / LISTS_FILE.format(split="test"))
    job.progress.message("writing the ONNX file")
    checked = _first(lists, CHECKED_LISTS, CHECKED_CANDIDATES)
    requests = _requests(data, checked)
    with prepared_device(CpuTarget(kind="cpu", threads=job.hardware.threads)) as device:
        sha256 = _write(scorer.front, job, requests[0])
        inputs = scorer.inputs(data, "test", checked, np.arange(len(checked)))
        expected = scorer.scores(inputs, device=device)
    return ship(
        job,
        Shipped(
            path=job.folder / MODEL_FILE, sha256=sha256, opener=RerankModel, requests=requests, expected=expected,
            timed=_requests(data, _first(lists, TIMED, 1)), what="a query and one candidate to a score",
            sensible=scores_differ,
        ),
    )  # fmt: skip


def scores_differ(answered_SNC: Answers) -> tuple[bool, str]:
    """Sensible when every score is finite and candidates of a list do not all score the same."""
    differ = bool(np.isfinite(answered_SNC).all() and answered_SNC.std(axis=-1).max() > 0)
    return differ, f"{answered_SNC[0].size} finite scores that differ"


def _first(lists: Lists, num_lists: int, num_candidates: int) -> Lists:
    """Equally long beginnings of the first lists."""
    width = min(num_candidates, int(lists.filled.sum(axis=1).min()))
    kept = slice(0, num_lists), slice(0, width)
    return Lists(rows=lists.rows[kept], grades=lists.grades[kept], scores=lists.scores[kept], ranks=lists.ranks[kept])


def _requests(data: PreparedDataset, lists: Lists) -> list[dict[str, Any]]:
    queries = data.queries("test").texts
    return [{"query": queries[number], "documents": data.documents(row_C)} for number, row_C in enumerate(lists.rows)]


def _write(front: MatchingFront, job: StageJob, sample: dict[str, Any]) -> str:
    words: HashedFront = front.front
    weighed = {
        "query": words.inputs([sample["query"]], QUERY).features,
        "document": words.inputs(sample["documents"], DOCUMENT).features,
    }
    arrays = {side: (*pad(found), pad_kinds(found)) for side, found in weighed.items()}
    parts = [*(array[0] for array in arrays["query"]), *arrays["document"]]
    tensors = {name: torch.from_numpy(array) for name, array in zip(INPUTS, parts, strict=True)}
    axes = {
        name: ("query_length",) if name.startswith("query") else ("candidates", "document_length") for name in INPUTS
    }
    return export_onnx(
        _Graph(front.network), job.folder / MODEL_FILE, inputs=tensors, outputs=(SCORES,), axes=axes,
        metadata={"format": FORMAT, **words.parameters()},
    )  # fmt: skip
