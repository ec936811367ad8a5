"""The second half of every lane's export stage: is the written file the model that was measured, and how fast is it?

    return ship(job, Shipped(
        path=job.folder / "model.onnx", sha256=sha256, opener=MyOpenedModel, what="text to vector",
        requests=requests, expected=torch_answers, timed=test_requests, sensible=unit_vectors,
    ))

It writes `latency.parquet metrics.json measurements.json` beside the file (all three are observations) with the values
named in `CHECKS` and `NUMBERS`. What does not hold becomes a measurement, not an error: the judge decides. A model that
the lane cannot export at all: `return not_shipped(job, reason)`, which blocks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interlock.errors import DataError, StageError
from interlock.lanes.exporting.fresh_process import answers, parity
from interlock.lanes.exporting.latency import Latency, measure_latency
from interlock.lanes.exporting.opening import ExportedModel
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
from interlock.lanes.spec import StageJob, StageOutcome

LATENCY_FILE = "latency.parquet"
LATENCIES = {"latency_p50": 0.5, "latency_p95": 0.95, "latency_p99": 0.99}

CHECKS = ("model_loadable", "inference_test_passed", "onnx_matches_torch")
NUMBERS = ("onnx_difference", *LATENCIES)

Answers = NDArray[np.float32]
Sensible = Callable[[Answers], tuple[bool, str]]
"""Looks at all answers [S, N, ...] and says whether they can be answers of this model, and what was looked at."""


def finite(answered_SN: Answers) -> tuple[bool, str]:
    """Sensible when no number is NaN or infinite."""
    return bool(np.isfinite(answered_SN).all()), f"{_count(answered_SN)} answers, all finite"


def unit_vectors(answered_SND: Answers) -> tuple[bool, str]:
    """Sensible when every answer is a finite vector of length 1."""
    lengths_SN = np.linalg.norm(answered_SND, axis=-1)
    fits = bool(np.isfinite(lengths_SN).all() and np.abs(lengths_SN - 1.0).max() < 1e-3)
    return fits, f"{_count(answered_SND)} finite vectors of length 1"


@dataclass(frozen=True, kw_only=True)
class Shipped:
    """A written file, and what it is tried with."""

    path: Path
    """The ONNX file in the stage's folder."""
    sha256: str
    """Its digest."""
    opener: type[ExportedModel]
    """Opens it without torch. Imported by the lane's export module, so that it belongs to the stage's code."""
    requests: Sequence[Any]
    """[N] JSON requests that the fresh process answers."""
    expected: Answers
    """[N, ...] what the trained model answers to them, on the CPU."""
    timed: Sequence[Any]
    """Requests to time, one at a time; held-out ones, at least one."""
    what: str
    """What is timed, in words, e.g. `text to vector`."""
    sensible: Sensible = finite
    """Whether answers can be answers at all."""


def ship(job: StageJob, shipped: Shipped) -> StageOutcome:
    """Try the file in a fresh process, time it, and write what was found."""
    job.progress.message("checking the ONNX file in a fresh process")
    values = _checked(shipped)
    job.progress.message("measuring latency")
    latency = _latency(shipped)
    values += _latency_values(latency, shipped.what)
    scores_sha256 = None
    if latency is not None:
        items = [f"{i:06d}" for i in range(len(latency.samples_ms))]
        columns = {"latency_ms": latency.samples_ms}
        scores_sha256 = write_scores(job.folder / LATENCY_FILE, items, columns, item="sample")
    write_measurements(_subject(job), values, scores_sha256=scores_sha256, scores_file=LATENCY_FILE, item="sample")
    return StageOutcome(
        facts={"onnx": shipped.sha256, "onnx_bytes": shipped.path.stat().st_size},
        volatile_files=(METRICS_FILE, MEASUREMENTS_FILE, *((LATENCY_FILE,) if latency is not None else ())),
        volatile_facts={"hardware": latency.hardware if latency else None},
    )


def not_shipped(job: StageJob, reason: str) -> StageOutcome:
    """No file: everything is recorded as not measured, with the reason."""
    write_measurements(_subject(job), [*_not_checked(reason), *_latency_values(None, "", reason=reason)])
    return StageOutcome(facts={"onnx": None}, volatile_files=(METRICS_FILE, MEASUREMENTS_FILE))


def _checked(shipped: Shipped) -> list[Value]:
    """Loads, answers sensibly, equals torch: at several batch sizes."""
    try:
        answered_SN = answers(shipped.path, shipped.requests, opener=shipped.opener)
        found = parity(answered_SN, shipped.expected)
    except StageError as error:
        return [check("model_loadable", False, str(error)), *_not_checked("the exported file does not answer")[1:]]
    sensible, looked_at = shipped.sensible(answered_SN)
    return [
        check("model_loadable", True, "loaded by onnxruntime in a fresh process without torch"),
        check("inference_test_passed", sensible, f"{looked_at}, at {len(answered_SN)} batch sizes"),
        check("onnx_matches_torch", found.holds, f"largest difference {found.difference:.2g}"),
        Value(name="onnx_difference", value=found.difference, unit="ratio", n=len(shipped.requests)),
    ]


def _not_checked(reason: str) -> list[Value]:
    return [*(not_measured(name, reason) for name in CHECKS), not_measured("onnx_difference", reason, unit="ratio")]


def _latency(shipped: Shipped) -> Latency | None:
    try:
        return measure_latency(shipped.path, shipped.timed, opener=shipped.opener)
    except (StageError, DataError):
        return None


def _latency_values(latency: Latency | None, what: str, *, reason: str = "it does not answer") -> list[Value]:
    if latency is None:
        return [
            Value(name=name, value=None, unit="ms", n=0, estimator="quantile", quantile=q, reason=reason)
            for name, q in LATENCIES.items()
        ]
    remark = f"batch 1, {what}, {latency.hardware}, {latency.runtime}"
    return [
        Value(
            name=name, value=latency.quantile(q), unit="ms", n=len(latency.samples_ms),
            estimator="quantile", quantile=q, column="latency_ms", reason=remark,
        )
        for name, q in LATENCIES.items()
    ]  # fmt: skip


def _subject(job: StageJob) -> Subject:
    return Subject(
        folder=job.folder, stage="export", run_id=str(job.run_id), evaluator_sha256=job.evaluator_sha256, split="test"
    )


def _count(answered_SN: Answers) -> int:
    return int(np.prod(answered_SN.shape[:2]))
