"""Stage prepare: numbers, split in two."""

import numpy as np

from faulty_lane.config import Faulty
from interlock.lanes.spec import StageJob, StageOutcome
from interlock.provenance.canonical import sha256_json
from interlock.provenance.files import write_json

DIMENSIONS = 8


def prepare(job: StageJob) -> StageOutcome:
    """Write x and y of the two splits."""
    assert isinstance(job.lane, Faulty)
    rng = np.random.default_rng(7)
    splits = {}
    for name, count in (("train", job.lane.data.count), ("validation", 32)):
        x = rng.normal(size=(count, DIMENSIONS))
        y = x.sum(axis=1) + rng.normal(size=count) * job.lane.data.noise
        splits[name] = {"x": np.round(x, 6).tolist(), "y": np.round(y, 6).tolist()}
    write_json(job.folder / "splits.json", splits)
    digest = sha256_json(splits)
    write_json(job.folder / "dataset_card.json", {"name": "lines", "sha256": digest})
    return StageOutcome(facts={"dataset": "lines", "dataset_sha256": digest, "splits_correct": True})
