"""Stage train: walk towards the mean; the position survives a kill."""

import json
import time

import numpy as np
from safetensors.numpy import save

from interlock.lanes.spec import StageJob, StageOutcome
from interlock.provenance.files import write_atomic, write_json
from toy_lane.config import Toy


def train(job: StageJob) -> StageOutcome:
    """Write the estimate as weights and the losses as CSV."""
    assert isinstance(job.lane, Toy)
    numbers = json.loads((job.inputs["prepare"] / "numbers.json").read_text())
    goal, state = float(np.mean(numbers)), job.state / "toy.json"
    rows = json.loads(state.read_text()) if state.is_file() else []
    value = rows[-1][2] if rows else 0.0
    for step in job.progress.track(range(len(rows), job.lane.trainer.steps), "toy"):
        time.sleep(job.lane.trainer.sleep_s)
        value += (goal - value) * job.lane.optimizer.lr
        rows.append([step, abs(goal - value), value])
        job.progress.curve(step + 1, {"epoch": step + 1, "validation/loss": abs(goal - value)})
        write_json(state, rows)
    write_atomic(job.folder / "model.safetensors", save({"mean": np.array([value + job.lane.model.value], np.float32)}))
    write_atomic(job.folder / "loss.csv", "step,loss\n" + "".join(f"{step},{loss!r}\n" for step, loss, _ in rows))
    losses = [loss for _, loss, _ in rows]
    return StageOutcome(
        facts={
            "steps": len(rows),
            "converged": losses[-1] < 0.01,
            "trend": "flat" if losses[-1] < 0.01 else "improving",
            "validation_loss_best": round(min(losses), 9),
        }
    )
