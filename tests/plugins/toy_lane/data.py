"""Stage prepare."""

from interlock.lanes.spec import StageJob, StageOutcome
from interlock.provenance.canonical import sha256_json
from interlock.provenance.files import write_json
from toy_lane.config import Toy


def prepare(job: StageJob) -> StageOutcome:
    """Write the numbers."""
    assert isinstance(job.lane, Toy)
    data = job.lane.data
    numbers = [data.centre + (index / (data.count - 1) - 0.5) / 10 for index in range(data.count)]
    digest = sha256_json(numbers)
    write_json(job.folder / "numbers.json", numbers)
    write_json(job.folder / "dataset_card.json", {"name": "numbers", "sha256": digest})
    return StageOutcome(facts={"dataset": "numbers", "dataset_sha256": digest})
