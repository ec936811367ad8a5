"""Stage export: the weights as JSON, read back."""

import json

from safetensors.numpy import load_file

from interlock.lanes.measuring import Subject, Value, write_measurements
from interlock.lanes.spec import StageJob, StageOutcome
from interlock.provenance.files import write_json


def export(job: StageJob) -> StageOutcome:
    """Write model.json and check that it loads."""
    weights = {name: value.tolist() for name, value in load_file(job.inputs["train"] / "model.safetensors").items()}
    write_json(job.folder / "model.json", weights)
    loads = json.loads((job.folder / "model.json").read_text()) == weights
    assert job.run_id
    subject = Subject(folder=job.folder, stage="export", run_id=job.run_id, evaluator_sha256=job.evaluator_sha256)
    write_measurements(subject, [Value(name="loads", value=float(loads), unit="bool")])
    return StageOutcome()
