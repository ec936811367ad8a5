"""Stage evaluate: which test images are read right, beside a baseline that anybody can compute.

Scores are kept for each image, so that the judge can put an interval around the rate and compare image by image.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from digits_lane.data import read_split
from digits_lane.network import CLASSES, load_network
from interlock.lanes.measuring import Subject, Value, from_scores, write_measurements, write_scores
from interlock.lanes.spec import StageJob, StageOutcome
from interlock.provenance.canonical import sha256_json


def evaluate(job: StageJob) -> StageOutcome:
    """Write scores by image, metrics and measurements."""
    assert job.run_id is not None
    pixels, labels, names = read_split(job.inputs["prepare"], "test")
    with torch.no_grad():
        answers = load_network(job.inputs["train"])(torch.from_numpy(pixels)).argmax(dim=1).numpy()
    scores = {
        "accuracy": (answers == labels).astype(np.float64),
        "centroids.accuracy": (_nearest_centroid(job, pixels) == labels).astype(np.float64),
    }
    checks = {
        "splits_correct": job.records["prepare"].facts["splits_correct"],
        "converged": job.records["train"].facts["converged"],
    }
    values = [from_scores(name, column) for name, column in scores.items()]
    values += [Value(name=name, value=float(bool(holds)), unit="bool") for name, holds in checks.items()]
    subject = Subject(
        folder=job.folder,
        stage="evaluate",
        run_id=job.run_id,
        evaluator_sha256=job.evaluator_sha256,
        split="test",
        split_sha256=sha256_json({"dataset": job.records["prepare"].facts["dataset_sha256"], "images": names}),
    )
    digest = write_scores(job.folder / "per_query.parquet", names, scores)
    write_measurements(subject, values, scores_sha256=digest)
    return StageOutcome()


def _nearest_centroid(job: StageJob, pixels: NDArray[np.float32]) -> NDArray[np.int64]:
    """The class whose mean training image is closest: what a model has to beat to be of use."""
    known, labels, _ = read_split(job.inputs["prepare"], "train")
    centroids = np.stack([known[labels == digit].mean(axis=0) for digit in range(CLASSES)])
    distances: NDArray[np.float32] = ((pixels[:, None, :] - centroids[None]) ** 2).sum(axis=2)
    nearest: NDArray[np.int64] = distances.argmin(axis=1)
    return nearest
