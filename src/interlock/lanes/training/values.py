"""What the prepare and train records say, as measurements: the same for every lane that calls `loop.fit`."""

import math
from typing import Any, cast

from interlock.lanes.measuring import Value, check
from interlock.lanes.spec import StageJob


def training_values(job: StageJob, *, loss_unit: str = "nats") -> list[Value]:
    """Checks (`splits_correct`, `training_loss_converged` ...) and final losses, for the lane's evaluate function.

    prepare must have returned the fact `splits_correct`, train the facts of `loop.TrainingResult`.
    """
    facts, prepared = job.records["train"].facts, job.records["prepare"].facts
    checkpoints = {f"checkpoints/{name}.safetensors" for name in ("best", "last")}
    saved = checkpoints <= set(job.records["train"].artifacts)
    losses = {name: float(cast(Any, facts[name])) for name in ("training_loss_final", "validation_loss_final")}
    return [
        check("splits_correct", bool(prepared.get("splits_correct")), "no text or near-copy crosses the splits"),
        check("training_loss_converged", bool(facts["training_loss_converged"]), str(facts["convergence"])),
        check("no_nan_inf", all(map(math.isfinite, losses.values())), "a value that is not finite halts training"),
        check("checkpoints_saved", saved, "best and last"),
        check("early_stopped", bool(facts["early_stopped"])),
        *(Value(name=name, value=loss, unit=loss_unit) for name, loss in losses.items()),
        Value(name="epochs_completed", value=float(cast(Any, facts["epochs_completed"])), unit="count"),
    ]
