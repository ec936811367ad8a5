"""A second toy lane: made from another run, it begins where that one's estimate stands and ends where it says."""

import json
from typing import Literal

import numpy as np
from safetensors.numpy import load_file, save

from interlock.contracts.lane import LaneBody
from interlock.lanes.measuring import Subject, Value, from_scores, write_measurements, write_scores
from interlock.lanes.spec import InputSpec, LaneSpec, StageJob, StageOutcome
from interlock.provenance.canonical import sha256_json
from interlock.provenance.files import write_atomic, write_json
from toy_lane.config import Numbers, Offset, Plain, Steps, Toy


class Follower(LaneBody):
    """The second toy lane."""

    kind: Literal["toy_follower"]
    data: Numbers
    """What is estimated."""
    model: Offset
    """The model."""
    optimizer: Plain
    """The optimiser."""
    trainer: Steps
    """The loop."""


def prepare(job: StageJob) -> StageOutcome:
    """Numbers around the estimate of the lane that this one follows, rounded: small changes there change nothing."""
    assert isinstance(job.lane, Follower)
    base = job.lane_inputs["base"]
    assert isinstance(base.lane, Toy)
    centre = round(_mean(base.trained), 1)
    numbers = [centre + (index / (job.lane.data.count - 1) - 0.5) / 10 for index in range(job.lane.data.count)]
    digest = sha256_json(numbers)
    write_json(job.folder / "numbers.json", numbers)
    write_json(job.folder / "dataset_card.json", {"name": "followed", "sha256": digest})
    return StageOutcome(facts={"dataset": "followed", "dataset_sha256": digest, "base_steps": base.facts["steps"]})


def train(job: StageJob) -> StageOutcome:
    """Walk from the base's estimate, or from that of an earlier follower, towards the mean."""
    assert isinstance(job.lane, Follower)
    goal = float(np.mean(json.loads((job.inputs["prepare"] / "numbers.json").read_text())))
    value = _mean(job.lane_inputs.get("start", job.lane_inputs["base"]).trained)
    for step in job.progress.track(range(job.lane.trainer.steps), "toy_follower"):
        value += (goal - value) * job.lane.optimizer.lr
        job.progress.curve(step + 1, {"epoch": step + 1, "validation/loss": abs(goal - value)})
    write_atomic(job.folder / "model.safetensors", save({"mean": np.array([value + job.lane.model.value], np.float32)}))
    return StageOutcome(facts={"steps": job.lane.trainer.steps, "converged": abs(goal - value) < 0.01})


def evaluate(job: StageJob) -> StageOutcome:
    """Accuracy per item, beside that of the base."""
    numbers = np.array(json.loads((job.inputs["prepare"] / "numbers.json").read_text()))
    estimates = {"accuracy": _mean(job.inputs["train"]), "base.accuracy": _mean(job.lane_inputs["base"].trained) - 1.0}
    scores = {name: (np.abs(numbers - estimate) < 0.045).astype(float) for name, estimate in estimates.items()}
    sha256 = write_scores(job.folder / "per_query.parquet", [f"n{index:05d}" for index in range(len(numbers))], scores)
    values = [from_scores(name, column) for name, column in scores.items()]
    converged = Value(name="converged", value=float(bool(job.records["train"].facts["converged"])), unit="bool")
    assert job.run_id
    subject = Subject(
        folder=job.folder,
        stage="evaluate",
        run_id=job.run_id,
        evaluator_sha256=job.evaluator_sha256,
        split="test",
        split_sha256="0" * 64,
    )
    write_measurements(subject, [*values, converged], scores_sha256=sha256)
    return StageOutcome()


def _mean(folder) -> float:
    return float(load_file(folder / "model.safetensors")["mean"][0])


LANE = LaneSpec(
    kind="toy_follower",
    config="toy_lane.follower:Follower",
    prepare="toy_lane.follower:prepare",
    train="toy_lane.follower:train",
    evaluate="toy_lane.follower:evaluate",
    export="toy_lane.export:export",
    package="toy_lane",
    measurements=("accuracy", "base.accuracy", "converged", "loads"),
    inputs=(InputSpec(name="base", kinds=("toy",)), InputSpec(name="start", kinds=("toy_follower",), required=False)),
    conf="pkg://toy_lane.conf",
    model_files=("train/model.safetensors", "export/model.json"),
)
