"""Stage `evaluate` of the lane: every next passage of the held-out documents, predicted from those before it.

    per_group.parquet  metrics.json  measurements.json

Two scores for each prediction: its cosine with the vector of the passage that follows, and whether that passage is
among the five nearest of all distinct passages of the test split (`r_at_5`; equal scores count against it, and passages
already read stay in the list). Beside the model stand simple predictors that see the same:

    copy_last       the vector of the last passage
    history_mean    the mean direction of the passages so far
    training_mean   the mean direction of the training passages, whatever was read

An item is a group (a story, a module) and its score the mean over the predictions in its documents: those share words
and history, so single ones are not independent, and an interval over them would be too narrow. Does not judge.

Shapes: P predictions of a document, C candidate passages, D vector width, G groups.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from interlock.lanes.lvm.config import Lvm
from interlock.lanes.lvm.model import NextVector
from interlock.lanes.lvm.sequences import Vectors, encoded
from interlock.lanes.lvm.train import load
from interlock.lanes.measuring import Subject, Value, from_scores, split_digest, write_measurements, write_scores
from interlock.lanes.passages.documents import Document
from interlock.lanes.passages.prepared import PreparedPassages
from interlock.lanes.spec import StageJob, StageOutcome
from interlock.lanes.training.device import prepared_device
from interlock.lanes.training.values import training_values

SCORES_FILE = "per_group.parquet"
K = 5
"""Nearest passages among which the right one counts as found."""

COSINE, RECALL = "next_vector_cosine", f"r_at_{K}"
UNITS = {COSINE: "cosine", RECALL: "ratio"}
BASELINES = ("copy_last", "history_mean", "training_mean")

Predict = Callable[[Vectors], Vectors]
"""[P, D] passages read in, [P, D] directions of the passages that follow out."""


def evaluate(job: StageJob) -> StageOutcome:
    """Measure the trained predictor."""
    body = cast(Lvm, job.lane)
    data = PreparedPassages.open(job.inputs["prepare"])
    documents = data.documents("test")
    with prepared_device(job.hardware) as device:
        network, encoder = load(body, job.inputs["train"])
        network.to(device)
        vectors = encoded(documents, encoder)
        training_mean_D = np.concatenate(encoded(data.documents("train"), encoder)).mean(axis=0)
        systems = {"": _model(network, device), **_baselines(training_mean_D)}
        job.progress.message(f"predicting {sum(map(len, vectors)) - len(vectors):,} passages")
        columns = _columns(systems, documents, vectors)
    values = _values(columns, documents)
    scores_sha256 = write_scores(job.folder / SCORES_FILE, _groups(documents), columns, item="group")
    write_measurements(
        _subject(job, data, documents), [*values, *training_values(job, loss_unit="1 - cosine")],
        scores_sha256=scores_sha256, scores_file=SCORES_FILE, item="group",
    )  # fmt: skip
    return StageOutcome(facts={value.name: value.value for value in values if value.name in UNITS})


def next_scores(
    predicted_PD: Vectors, targets_PD: Vectors, candidates_CD: Vectors, answer_P: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    """[P] cosine of each prediction with its target, and 1.0 where the target's candidate is among the nearest K.

    Zero vectors have cosine 0 with everything; candidates as near as the right one count as nearer.
    """
    cosine_P = (predicted_PD.astype(np.float64) * targets_PD).sum(axis=1)
    near_PC = predicted_PD @ candidates_CD.T
    own_P1 = np.take_along_axis(near_PC, answer_P[:, None], axis=1)
    others_P = (near_PC >= own_P1).sum(axis=1) - 1
    return {COSINE: cosine_P, RECALL: (others_P < K).astype(np.float64)}


def _model(network: NextVector, device: torch.device) -> Predict:
    def predict(read_PD: Vectors) -> Vectors:
        with torch.inference_mode():
            predicted: Vectors = network(torch.from_numpy(read_PD)[None].to(device))[0].cpu().numpy()
        return predicted

    return predict


def _baselines(training_mean_D: Vectors) -> dict[str, Predict]:
    functions: tuple[Predict, ...] = (
        lambda read_PD: read_PD,
        lambda read_PD: _unit(np.cumsum(read_PD, axis=0)),
        lambda read_PD: np.broadcast_to(_unit(training_mean_D[None]), read_PD.shape),
    )
    return {f"{name}.": predict for name, predict in zip(BASELINES, functions, strict=True)}


def _columns(
    systems: Mapping[str, Predict], documents: Sequence[Document], vectors: Sequence[Vectors]
) -> dict[str, NDArray[np.float64]]:
    """[G] mean scores of every system for each group."""
    passages = [passage for document in documents for passage in document.passages]
    row_of = {passage: row for row, passage in enumerate(dict.fromkeys(passages))}
    candidates_CD = np.empty((len(row_of), vectors[0].shape[1]), dtype=np.float32)
    candidates_CD[[row_of[passage] for passage in passages]] = np.concatenate(vectors)
    scores: dict[str, dict[str, list[float]]] = {}
    for document, vectors_ND in zip(documents, vectors, strict=True):
        answer_P = np.array([row_of[passage] for passage in document.passages[1:]], dtype=np.int64)
        for system, predict in systems.items():
            found = next_scores(predict(vectors_ND[:-1]), vectors_ND[1:], candidates_CD, answer_P)
            for name, scores_P in found.items():
                of_groups = scores.setdefault(f"{system}{name}", {})
                of_groups.setdefault(document.group, []).extend(scores_P.tolist())
    return {
        name: np.array([np.mean(of_groups[group]) for group in _groups(documents)])
        for name, of_groups in scores.items()
    }


def _groups(documents: Sequence[Document]) -> list[str]:
    return sorted({document.group for document in documents})


def _values(columns: Mapping[str, NDArray[np.float64]], documents: Sequence[Document]) -> list[Value]:
    num_predictions = sum(len(document.passages) - 1 for document in documents)
    num_candidates = len({passage for document in documents for passage in document.passages})
    return [
        *(from_scores(name, scores, unit=UNITS[name.rpartition(".")[2]]) for name, scores in columns.items()),
        Value(name=f"chance.{RECALL}", value=min(1.0, K / num_candidates), unit="ratio"),
        Value(name="predictions", value=float(num_predictions), unit="count"),
    ]


def _subject(job: StageJob, data: PreparedPassages, documents: Sequence[Document]) -> Subject:
    texts = {document.identifier: "\n".join(document.passages) for document in documents}
    return Subject(
        folder=job.folder, stage="evaluate", run_id=str(job.run_id), evaluator_sha256=job.evaluator_sha256,
        split="test", split_sha256=split_digest(texts, {}, corpus_sha256=data.card.sha256),
    )  # fmt: skip


def _unit(vectors_ND: Vectors) -> Vectors:
    """Rows of length 1; rows of zeros stay."""
    unit_ND: Vectors = vectors_ND / np.maximum(np.linalg.norm(vectors_ND, axis=1, keepdims=True), 1e-12)
    return unit_ND
