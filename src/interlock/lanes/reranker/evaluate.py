"""Stage `evaluate` of the lane: the reranker on the held-out queries, beside the order it was given, BM25 and chance.

    per_query.parquet  metrics.json  measurements.json  recall.csv  examples.json

Two kinds of list. On the *made* ones (`r_at_10` ...) the answers of a query always stand among the first stage's
nearest negatives: the usual protocol, which measures reranking alone. A reranker can win there by learning that lists
hold an answer even where the first stage saw none, so the first stage's *own* results (`end_to_end_r_at_10` ...), from
which answers may be missing, are reranked too. All systems order the same lists.

`hard_negative_rejection`: of all pairs of a hard and a soft negative of one list, the share whose hard one is ranked
below the soft one, as a share for each hard negative and then over all of them. `..._strict` counts a hard negative
only when it is below *every* soft one of its list, `..._below_answer` when it is below every answer. Lists without a
soft negative have no say in the first two. Does not judge and does not write prose.

Shapes: Q test queries, C places of a list.
"""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from interlock.lanes.measuring import (
    SCORES_FILE,
    Subject,
    Value,
    check,
    from_ratio,
    from_scores,
    split_digest,
    write_measurements,
    write_scores,
)
from interlock.lanes.query_tower.hits import examples_of
from interlock.lanes.reranker.config import Reranker
from interlock.lanes.reranker.data import LISTS_FILE, RETRIEVED_FILE
from interlock.lanes.reranker.lists import ANSWER, HARD, SOFT, Lists, read_lists
from interlock.lanes.reranker.scorers import Scorer, load_scorer
from interlock.lanes.retrieval.baselines import Bm25
from interlock.lanes.retrieval.datasets.prepared import PreparedDataset
from interlock.lanes.retrieval.metrics import per_query
from interlock.lanes.spec import StageJob, StageOutcome
from interlock.lanes.training.device import prepared_device
from interlock.lanes.training.values import training_values
from interlock.provenance.canonical import sha256_json
from interlock.provenance.digest import sha256_file
from interlock.provenance.files import write_atomic, write_json

CURVE = (1, 2, 3, 5, 10, 20, 50)
"""Ranks of `recall.csv`."""

OWN = "end_to_end_"
"""Before the names of what is measured on the first stage's own results."""

Scores = NDArray[np.float32]
Columns = dict[str, NDArray[np.float64]]


@dataclass(frozen=True, kw_only=True)
class _Test:
    """The held-out split."""

    ids: list[str]
    texts: list[str]
    relevant: list[dict[int, int]]
    """Relevance by corpus row, for each query."""
    made: Lists
    own: Lists


def evaluate(job: StageJob) -> StageOutcome:
    """Measure the trained reranker."""
    body = cast(Reranker, job.lane)
    data = PreparedDataset.open(job.inputs["prepare"])
    test = _test(job, data)
    scorer = load_scorer(body, job.inputs["train"], workspace=job.workspace)
    systems = {name: _scored(job, data, test, lists, scorer) for name, lists in (("", test.made), (OWN, test.own))}
    columns: Columns = {}
    for kind, lists in (("", test.made), (OWN, test.own)):
        for system, scores_QC in systems[kind].items():
            found = per_query(lists.ordered(scores_QC), test.relevant)
            columns |= {f"{system}{kind}{name}": values for name, values in found.items()}
    values = [*(from_scores(name, scores) for name, scores in columns.items()), *_chance(test)]
    for system, scores_QC in systems[""].items():
        values += _rejections(system, test.made, scores_QC, columns)
    values += [*_quality_values(job), *training_values(job)]
    scores_sha256 = write_scores(job.folder / SCORES_FILE, test.ids, columns)
    write_measurements(_subject(job, data, test), values, scores_sha256=scores_sha256)
    write_atomic(job.folder / "recall.csv", _recall_csv(test, systems))
    write_json(job.folder / "examples.json", examples_of(data, test, test.made.ordered(systems[""][""])))
    shown = ("r_at_10", "end_to_end_r_at_10", "hard_negative_rejection")
    return StageOutcome(facts={value.name: value.value for value in values if value.name in shown})


def _test(job: StageJob, data: PreparedDataset) -> _Test:
    queries, positives = data.queries("test"), data.positives("test")
    relevant: list[dict[int, int]] = [{} for _ in queries.ids]
    columns = (positives.query_row, positives.doc_row, positives.relevance)
    for query, row, grade in zip(*(column.tolist() for column in columns), strict=True):
        relevant[query][row] = grade
    folder = job.inputs["prepare"]
    return _Test(
        ids=queries.ids, texts=queries.texts, relevant=relevant,
        made=read_lists(folder / LISTS_FILE.format(split="test")), own=read_lists(folder / RETRIEVED_FILE),
    )  # fmt: skip


def _scored(job: StageJob, data: PreparedDataset, test: _Test, lists: Lists, scorer: Scorer) -> dict[str, Scores]:
    """Scores [Q, C] of every system by the prefix of its names."""
    job.progress.message(f"scoring {int(lists.filled.sum()):,} candidates of {len(lists):,} queries")
    inputs = scorer.inputs(data, "test", lists, np.arange(len(lists)))
    with prepared_device(job.hardware) as device:
        scorer.network.to(device)
        reranked_QC = scorer.scores(inputs, device=device)
        scorer.network.cpu()
    return {"": reranked_QC, "first_stage.": lists.scores, "bm25.": _bm25_scores(data, test, lists)}


def _bm25_scores(data: PreparedDataset, test: _Test, lists: Lists) -> Scores:
    bm25 = Bm25((text for batch in data.corpus_texts() for text in batch), words="standard")
    rows = np.where(lists.filled, lists.rows, 0)
    return np.stack([bm25.scores(text, row_C) for text, row_C in zip(test.texts, rows, strict=True)])


def _chance(test: _Test) -> list[Value]:
    """Of a random order of the made lists, computed: each answer is among the first k of n with chance k / n."""
    lengths = test.made.filled.sum(axis=1)
    values = [
        Value(name=f"chance.r_at_{k}", value=float(np.minimum(1.0, k / lengths).mean()), unit="ratio")
        for k in (1, 5, 10)
    ]
    return [*values, Value(name="chance.hard_negative_rejection", value=0.5, unit="ratio", reason="of two, either")]


def _rejections(system: str, lists: Lists, scores_QC: Scores, columns: Columns) -> list[Value]:
    """Three values; adds the columns that they are made of."""
    parts = rejected_of(lists, scores_QC)
    values = []
    for name, (numerators, denominators) in parts.items():
        pair = (f"{system}{name}.rejected", f"{system}{name}.hard")
        columns |= dict(zip(pair, (numerators, denominators), strict=True))
        values.append(from_ratio(f"{system}{name}", numerators, denominators, unit="ratio", columns=pair))
    return values


def rejected_of(lists: Lists, scores_QC: Scores) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """By measure: for each query how many hard negatives are rejected (shares add up), and how many there are [Q].

    A hard negative that scores the same as what it should be below is not below it.
    """
    found = {name: np.zeros((len(lists), 2)) for name in ("", "_strict", "_below_answer")}
    for query in range(len(lists)):
        scores_C, grade_C, filled_C = scores_QC[query], lists.grades[query], lists.filled[query]
        hard, soft, answer = (scores_C[(grade_C == grade) & filled_C] for grade in (HARD, SOFT, ANSWER))
        if len(hard) and len(soft):
            below = hard[:, None] < soft
            found[""][query] = below.mean(axis=1).sum(), len(hard)
            found["_strict"][query] = below.all(axis=1).sum(), len(hard)
        if len(hard) and len(answer):
            found["_below_answer"][query] = (hard[:, None] < answer).all(axis=1).sum(), len(hard)
    return {f"hard_negative_rejection{name}": (sums[:, 0], sums[:, 1]) for name, sums in found.items()}


def _quality_values(job: StageJob) -> list[Value]:
    """The quality check of prepare, as measurements."""
    quality = cast(Mapping[str, Any], job.records["prepare"].facts["candidates"])
    test = quality["splits"]["test"]
    same = ", ".join(
        f"{quality[name]} {name.replace('_', ' ')}" for name in ("equal_by_id", "equal_by_text", "repeated")
    )
    soft, hard = test["lists_with_soft"], test["lists_with_hard"]
    balance = f"{soft:.1%} of the test lists hold a soft negative, {hard:.1%} a hard one"
    return [
        check("negatives_distinct", bool(quality["negatives_distinct"]), same),
        check("negatives_balanced", bool(quality["negatives_balanced"]), balance),
        Value(name="answers_retrieved", value=test["answers_retrieved"], unit="ratio", n=test["lists"],
              reason="test queries whose answer stands in the first stage's own list"),
        Value(name="false_negatives_left_out", value=float(test["false_negatives_left_out"]), unit="count"),
    ]  # fmt: skip


def _subject(job: StageJob, data: PreparedDataset, test: _Test) -> Subject:
    """What is measured: the queries, their answers, the corpus, and the lists."""
    doc_ids, folder = data.doc_ids, job.inputs["prepare"]
    judged = {
        query: {doc_ids[row]: grade for row, grade in rows.items()}
        for query, rows in zip(test.ids, test.relevant, strict=True)
    }
    lists = {name: sha256_file(folder / name) for name in (LISTS_FILE.format(split="test"), RETRIEVED_FILE)}
    corpus = sha256_json({"corpus": data.card.sha256, "lists": lists})
    texts = dict(zip(test.ids, test.texts, strict=True))
    return Subject(
        folder=job.folder, stage="evaluate", run_id=str(job.run_id), evaluator_sha256=job.evaluator_sha256,
        split="test", split_sha256=split_digest(texts, judged, corpus_sha256=corpus),
    )  # fmt: skip


def _recall_csv(test: _Test, systems: Mapping[str, Mapping[str, Scores]]) -> str:
    """Recall at k of every system on both kinds of list."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    orders = {
        f"{system.rstrip('.') or 'reranker'}{'_end_to_end' if kind else ''}": lists.ordered(systems[kind][system])
        for kind, lists in (("", test.made), (OWN, test.own))
        for system in systems[kind]
    }
    writer.writerow(["k", *orders, "chance"])
    lengths = test.made.filled.sum(axis=1)
    for k in CURVE:
        recalls = [_recall(test, ranked_QC, k) for ranked_QC in orders.values()]
        writer.writerow([k, *recalls, float(np.minimum(1.0, k / lengths).mean())])
    return text.getvalue()


def _recall(test: _Test, ranked_QC: NDArray[np.int64], k: int) -> float:
    found = [
        len(judged.keys() & set(row[:k])) / len(judged)
        for judged, row in zip(test.relevant, ranked_QC.tolist(), strict=True)
    ]
    return float(np.mean(found))
