"""Stage evaluate: the share of numbers that the estimate is close to."""

import json

import numpy as np
from safetensors.numpy import load_file

from interlock.lanes.measuring import Subject, Value, from_scores, write_measurements, write_scores
from interlock.lanes.spec import StageJob, StageOutcome


def evaluate(job: StageJob) -> StageOutcome:
    """Write accuracy per item beside a baseline."""
    numbers = np.array(json.loads((job.inputs["prepare"] / "numbers.json").read_text()))
    estimate = float(load_file(job.inputs["train"] / "model.safetensors")["mean"][0])
    close = (np.abs(numbers - estimate) < 0.045).astype(float)
    scores = {"accuracy": close, "base.accuracy": np.zeros_like(close)}
    items = [f"n{index:05d}" for index in range(len(numbers))]
    sha256 = write_scores(job.folder / "per_query.parquet", items, scores)
    values = [from_scores(name, column) for name, column in scores.items()]
    converged = float(bool(job.records["train"].facts["converged"]))
    assert job.run_id
    subject = Subject(
        folder=job.folder,
        stage="evaluate",
        run_id=job.run_id,
        evaluator_sha256=job.evaluator_sha256,
        split="test",
        split_sha256="0" * 64,
    )
    write_measurements(subject, [*values, Value(name="converged", value=converged, unit="bool")], scores_sha256=sha256)
    return StageOutcome(facts={"estimate": round(estimate, 6)})
