"""Stage `evaluate` of the lane: the adapter on the pairs of held-out documents, beside its baselines.

    per_pair.parquet  metrics.json  measurements.json  reliability.csv  examples.json

Does not judge and does not write prose.
"""

import csv
import io
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from interlock.gates.calibration import plain_error
from interlock.lanes.directional_adapter import baselines
from interlock.lanes.directional_adapter.adapter import FittedAdapter, load_adapter
from interlock.lanes.directional_adapter.answers import BINS, Answers, reliability_rows
from interlock.lanes.directional_adapter.config import DirectionalAdapter
from interlock.lanes.directional_adapter.examples import Pairs, pairs_of
from interlock.lanes.directional_adapter.inputs import PairInputs, scores_of
from interlock.lanes.measuring import Subject, Value, from_ratio, from_scores, write_measurements, write_scores
from interlock.lanes.passages.prepared import PreparedPassages
from interlock.lanes.spec import StageJob, StageOutcome
from interlock.lanes.training.device import prepared_device
from interlock.lanes.training.values import training_values
from interlock.provenance.files import write_atomic, write_json

SCORES_FILE = "per_pair.parquet"
ITEM = "pair_id"
EXAMPLES = 5
"""Pairs shown of each kind."""

Columns = dict[str, NDArray[np.float64]]


def evaluate(job: StageJob) -> StageOutcome:
    """Measure the trained adapter."""
    body = cast(DirectionalAdapter, job.lane)
    data = PreparedPassages.open(job.inputs["prepare"])
    training, validation, test = (pairs_of(data.documents(split)) for split in ("train", "validation", "test"))
    adapter = load_adapter(body.model, job.inputs["train"])
    job.progress.message(f"asking for the order of {len(test):,} pairs, both ways")
    answers = _asked(job, adapter, test)
    job.progress.message("fitting the baselines")
    others = _baselines(training, validation, test)
    columns, values = _measured(answers, others, temperature=adapter.network.temperature.item())
    scores_sha256 = write_scores(job.folder / SCORES_FILE, test.ids, columns, item=ITEM)
    subject = Subject(
        folder=job.folder, stage="evaluate", run_id=str(job.run_id), evaluator_sha256=job.evaluator_sha256,
        split="test", split_sha256=test.sha256,
    )  # fmt: skip
    write_measurements(
        subject, [*values, *training_values(job)], scores_sha256=scores_sha256, scores_file=SCORES_FILE, item=ITEM
    )
    write_atomic(job.folder / "reliability.csv", _reliability_csv(columns))
    write_json(job.folder / "examples.json", _examples(test, columns))
    return StageOutcome(facts={value.name: value.value for value in values if value.name in ("accuracy", "f1", "ece")})


def _asked(job: StageJob, adapter: FittedAdapter, pairs: Pairs) -> Answers:
    inputs = PairInputs.of(pairs, adapter.features)
    with prepared_device(job.hardware) as device:
        network = adapter.network.to(device)
        forward, backward = (scores_of(network, asked, device=device) for asked in (inputs, inputs.reversed()))
        network.cpu()
    return Answers(forward, backward)


def _baselines(training: Pairs, validation: Pairs, test: Pairs) -> dict[str, Answers]:
    scorers = {
        "majority": baselines.majority(),
        "length": baselines.length(training),
        "bag": baselines.bag(training, validation),
    }
    return {name: Answers(scorer(test), scorer(test.reversed())) for name, scorer in scorers.items()}


def _measured(answers: Answers, others: Mapping[str, Answers], *, temperature: float) -> tuple[Columns, list[Value]]:
    """Columns of `per_pair.parquet`, and everything measured here."""
    right = {"accuracy": answers.correct()}
    right |= {f"{name}.accuracy": other.correct(undecided=0.5) for name, other in others.items()}
    f1_hits, f1_total = answers.f1_parts
    columns = {
        **right,
        "f1_hits": f1_hits,
        "f1_total": f1_total,
        "confidence": answers.confidence(temperature),
        "confidence_uncalibrated": answers.confidence(1.0),
    }
    values = [from_scores(name, scores) for name, scores in right.items()]
    values += [
        from_ratio("f1", f1_hits, f1_total, unit="ratio", columns=("f1_hits", "f1_total")),
        _calibration("ece", columns, "confidence", f"temperature {temperature:.3g}, fitted on validation pairs"),
        _calibration("ece_uncalibrated", columns, "confidence_uncalibrated", "before temperature scaling"),
        Value(name="temperature", value=temperature, unit="ratio"),
    ]
    return columns, values


def _calibration(name: str, columns: Columns, confidence: str, remark: str) -> Value:
    return Value(
        name=name,
        value=plain_error(columns["accuracy"], columns[confidence], BINS),
        unit="ratio",
        n=len(columns["accuracy"]),
        estimator="calibration",
        column="accuracy",
        confidence=confidence,
        bins=BINS,
        reason=remark,
    )


def _reliability_csv(columns: Columns) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["confidence", "accuracy", "perfect", "pairs"])
    for confidence, accuracy, pairs in reliability_rows(columns["accuracy"], columns["confidence"]):
        writer.writerow([confidence, accuracy, confidence, pairs])
    return text.getvalue()


def _examples(pairs: Pairs, columns: Columns) -> dict[str, list[dict[str, Any]]]:
    """The surest right answers and the surest wrong ones; equally sure ones in the order of the pairs."""
    surest = np.argsort(-columns["confidence"], kind="stable").tolist()

    def shown(is_right: bool) -> list[dict[str, Any]]:
        rows = [row for row in surest if bool(columns["accuracy"][row] == 1.0) == is_right][:EXAMPLES]
        return [
            {
                "pair": pairs.ids[row],
                "comes first": pairs.first[row],
                "follows": pairs.second[row],
                "confidence": float(columns["confidence"][row]),
            }
            for row in rows
        ]

    return {"hits": shown(True), "misses": shown(False)}
