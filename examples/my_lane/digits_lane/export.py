"""Stage export: the network as ONNX, read back and asked. Runs when the gates before it pass."""

import numpy as np
import torch

from digits_lane.data import read_split
from digits_lane.network import load_network
from interlock.lanes.exporting.graph import export_onnx
from interlock.lanes.measuring import Subject, Value, write_measurements
from interlock.lanes.spec import StageJob, StageOutcome

TOLERANCE = 1e-4
"""Largest difference between a score of the file and of the network."""


def export(job: StageJob) -> StageOutcome:
    """Write `model.onnx` and the checks that the gates of phase `shipped` ask for."""
    import onnxruntime

    assert job.run_id is not None
    network, path = load_network(job.inputs["train"]), job.folder / "model.onnx"
    pixels, _, _ = read_split(job.inputs["prepare"], "test")
    images = torch.from_numpy(pixels)
    axes = {"pixels": ("image", None)}
    export_onnx(
        network, path, inputs={"pixels": images[:2]}, outputs=("scores",), axes=axes, metadata={"kind": "digits"}
    )
    (scores,) = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"pixels": pixels})
    with torch.no_grad():
        difference = float(np.abs(scores - network(images).numpy()).max())
    values = [
        Value(name="model_loadable", value=1.0, unit="bool"),
        Value(name="onnx_matches_torch", value=float(difference <= TOLERANCE), unit="bool"),
    ]
    subject = Subject(folder=job.folder, stage="export", run_id=job.run_id, evaluator_sha256=job.evaluator_sha256)
    write_measurements(subject, values)
    return StageOutcome(volatile_facts={"largest_difference": difference})
