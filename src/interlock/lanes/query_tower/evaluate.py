"""Stage `evaluate` of the lane: the tower on the held-out queries, beside BM25 and chance, over all documents.

    per_query.parquet  metrics.json  measurements.json  recall.csv  examples.json

Echo-Loop is measured on the held-out documents that answer the test queries (`echo_*`) and on the queries themselves
(`query_echo_*`); neither was seen in training. Does not judge and does not write prose.

Shapes: Q test queries, M documents that answer them, K ranks, D vector width.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from interlock.lanes.measuring import (
    SCORES_FILE,
    Subject,
    Value,
    from_scores,
    split_digest,
    write_measurements,
    write_scores,
)
from interlock.lanes.query_tower.config import QueryTower
from interlock.lanes.query_tower.echo_head import Reference, load_reference
from interlock.lanes.query_tower.encoders import FittedTower, Source, load_tower
from interlock.lanes.query_tower.examples import SplitTexts, read_split
from interlock.lanes.query_tower.hits import examples_of
from interlock.lanes.query_tower.inputs import DOCUMENT, QUERY
from interlock.lanes.query_tower.search import chunk_rows, search_pieces
from interlock.lanes.retrieval.baselines import Bm25, Words, chance_recall
from interlock.lanes.retrieval.datasets.prepared import PreparedDataset
from interlock.lanes.retrieval.echo import EchoScores, echo_scores
from interlock.lanes.retrieval.metrics import NAMES, per_query
from interlock.lanes.spec import StageJob, StageOutcome
from interlock.lanes.training.device import prepared_device
from interlock.lanes.training.values import training_values
from interlock.provenance.files import write_atomic, write_json

RANKS = 50
"""Results looked at for each query."""

CURVE = (1, 2, 3, 5, 10, 20, 50)
"""Ranks of `recall.csv`."""

BM25: dict[str, Words] = {"bm25": "standard", "bm25_stems": "stems"}
"""Baselines by name: what people mean by BM25, and the same with the tower's own words."""

Ranking = NDArray[np.int64]


def evaluate(job: StageJob) -> StageOutcome:
    """Measure the trained tower."""
    body = cast(QueryTower, job.lane)
    data, test = _Test.of(job)
    with prepared_device(job.hardware) as device:
        tower = load_tower(body, job.inputs["train"], workspace=job.workspace)
        tower.network.to(device)
        job.progress.message(f"searching {data.num_documents:,} documents for {len(test.ids):,} queries")
        ranked_QK = _tower_ranking(job, data, tower, test, device)
        echoes = _echoes(job, tower, load_reference(body, job.inputs["train"]), test.split, device)
    rankings = {"": ranked_QK}
    if not data.has_vectors:
        job.progress.message("searching with BM25")
        rankings |= {f"{name}.": _bm25_ranking(data, test, words) for name, words in BM25.items()}
    columns, values = _measured(test, rankings, echoes, data.num_documents)
    scores_sha256 = write_scores(job.folder / SCORES_FILE, test.ids, columns)
    write_measurements(test.subject(job, data), [*values, *training_values(job)], scores_sha256=scores_sha256)
    write_atomic(job.folder / "recall.csv", _recall_csv(test, rankings, data.num_documents))
    write_json(job.folder / "examples.json", examples_of(data, test, ranked_QK))
    return StageOutcome(facts={value.name: value.value for value in values if value.name in ("r_at_5", "echo_loop")})


@dataclass(frozen=True, kw_only=True)
class _Test:
    """The held-out split."""

    ids: list[str]
    texts: list[str]
    relevant: list[dict[int, int]]
    """Relevance by corpus row, for each query."""
    split: SplitTexts

    @classmethod
    def of(cls, job: StageJob) -> tuple[PreparedDataset, "_Test"]:
        data = PreparedDataset.open(job.inputs["prepare"])
        queries, positives = data.queries("test"), data.positives("test")
        relevant: list[dict[int, int]] = [{} for _ in queries.ids]
        for query, row, grade in zip(
            positives.query_row.tolist(), positives.doc_row.tolist(), positives.relevance.tolist(), strict=True
        ):
            relevant[query][row] = grade
        split = read_split(data, "test")
        return data, cls(ids=queries.ids, texts=queries.texts, relevant=relevant, split=split)

    def subject(self, job: StageJob, data: PreparedDataset) -> Subject:
        """What is measured, for the measurements."""
        doc_ids = data.doc_ids
        judged = {
            query: {doc_ids[row]: grade for row, grade in rows.items()}
            for query, rows in zip(self.ids, self.relevant, strict=True)
        }
        digest = split_digest(dict(zip(self.ids, self.texts, strict=True)), judged, corpus_sha256=data.card.sha256)
        return Subject(
            folder=job.folder, stage="evaluate", run_id=str(job.run_id), evaluator_sha256=job.evaluator_sha256,
            split="test", split_sha256=digest,
        )  # fmt: skip


def _tower_ranking(
    job: StageJob, data: PreparedDataset, tower: FittedTower, test: _Test, device: torch.device
) -> Ranking:
    queries_QD = tower.encode(test.split.queries, QUERY, device=device)
    pieces = _encoded_corpus(job, data, tower, device)
    return search_pieces(pieces, queries_QD, RANKS, threads=job.hardware.threads)[1]


def _encoded_corpus(
    job: StageJob, data: PreparedDataset, tower: FittedTower, device: torch.device
) -> Iterator[NDArray[np.float32]]:
    size = chunk_rows(tower.network.echo_head.in_features)
    pieces: Iterator[Source]
    if data.has_vectors:
        vectors = data.document_vectors()
        pieces = (np.asarray(vectors[start : start + size]) for start in range(0, len(vectors), size))
    else:
        pieces = iter(data.corpus_texts(size))
    total = -(-data.num_documents // size)
    for piece in job.progress.track(pieces, "encoding documents", total=total):
        yield tower.encode(piece, DOCUMENT, device=device)


def _bm25_ranking(data: PreparedDataset, test: _Test, words: Words) -> Ranking:
    bm25 = Bm25((text for batch in data.corpus_texts() for text in batch), words=words)
    return bm25.search(test.texts, RANKS)


def _echoes(
    job: StageJob, tower: FittedTower, reference: Reference, test: SplitTexts, device: torch.device
) -> dict[str, EchoScores]:
    """Echo-Loop of each test query's first answer, and of the query itself: item i belongs to query i in both."""
    first = np.unique(test.query_row, return_index=True)[1]
    answer_row = test.document_row[first]
    found = {}
    for name, source, role in (("echo", test.documents, DOCUMENT), ("query_echo", test.queries, QUERY)):
        vectors_ND = tower.encode(source, role, device=device)
        with torch.inference_mode():
            decoded_NR = tower.network.decode(torch.from_numpy(vectors_ND).to(device)).cpu().numpy()
        expected_NR = reference.vectors(source)
        if role == DOCUMENT:
            decoded_NR, expected_NR = decoded_NR[answer_row], expected_NR[answer_row]
        found[name] = echo_scores(decoded_NR, expected_NR, seed=job.seed)
    return found


def _measured(
    test: _Test, rankings: Mapping[str, Ranking], echoes: Mapping[str, EchoScores], num_documents: int
) -> tuple[dict[str, NDArray[np.float64]], list[Value]]:
    """Columns of `per_query.parquet`, and everything measured here."""
    columns: dict[str, NDArray[np.float64]] = {}
    for prefix, ranked_QK in rankings.items():
        columns |= {f"{prefix}{name}": scores for name, scores in per_query(ranked_QK, test.relevant).items()}
    values = [from_scores(name, scores) for name, scores in columns.items()]
    for name, echo in echoes.items():
        columns |= {f"{name}_loop": echo.cosine, f"{name}_chance": echo.chance, f"{name}_r_at_1": echo.hit}
        values += [
            from_scores(f"{name}_loop", echo.cosine, unit="cosine"),
            from_scores(f"{name}_chance", echo.chance, unit="cosine"),
            from_scores(f"{name}_r_at_1", echo.hit),
            Value(name=f"{name}_lift", value=echo.lift, unit="ratio", n=len(echo.cosine),
                  reason=f"{echo.num_zero} texts without meaning to the reference score 0"),
        ]  # fmt: skip
    values += [
        Value(name=f"chance.{name}", value=chance_recall(int(name.rpartition("_")[2]), num_documents), unit="ratio")
        for name in NAMES
        if name.startswith("r_at_")
    ]
    return columns, values


def _recall_csv(test: _Test, rankings: Mapping[str, Ranking], num_documents: int) -> str:
    text = io.StringIO()
    prefixes = ["", *(f"{name}." for name in BM25)]  # a column each, empty where vectors have no words
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["k", "tower", *BM25, "chance"])
    for k in CURVE:
        found = (rankings.get(prefix) for prefix in prefixes)
        recalls = ["" if ranked_QK is None else _recall(test.relevant, ranked_QK, k) for ranked_QK in found]
        writer.writerow([k, *recalls, chance_recall(k, num_documents)])
    return text.getvalue()


def _recall(relevant: Sequence[Mapping[int, int]], ranked_QK: Ranking, k: int) -> float:
    found = [
        len(judged.keys() & set(row[:k])) / len(judged)
        for judged, row in zip(relevant, ranked_QK.tolist(), strict=True)
    ]
    return float(np.mean(found))
