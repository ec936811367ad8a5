"""What a policy is shown of a run: built by the decide stage's own code from the files that were kept.

No budget is among it: what a model may spend depends on who runs the benchmark.
"""

import json
from typing import Any

import yaml

from decisions.running import Run

AGENT = "dir_models"
_RECORDED = ("prepare", "train", "evaluate", "export")


def context_of(run: Run, *, attempts: int, max_attempts: int) -> Any:
    """The context of a decision upon `run`, `attempts` runs into a lineage of at most `max_attempts`."""
    from pydantic import TypeAdapter

    from interlock.contracts.lane import Range
    from interlock.contracts.lineage import LineageBlock
    from interlock.contracts.stage import StageRecord
    from interlock.decisions.context import build_context
    from interlock.decisions.sources import checked

    records = {stage: StageRecord.model_validate_json(run.files[f"{stage}/record.json"]) for stage in _RECORDED}
    read = {
        name: text.encode() for name, text in run.files.items() if not name.endswith(("record.json", "params.yaml"))
    }
    params = yaml.safe_load(run.files["params.yaml"])
    space = TypeAdapter(dict[str, Range]).validate_json(json.dumps(params["lane"].get("search_space", {})))
    parent = None if attempts == 1 else "0" * 16
    return build_context(
        checked(read, records),
        agent=AGENT,
        budget=None,
        search_space=space,
        lineage=LineageBlock(parent_run=parent, attempt=attempts),
        max_attempts=max_attempts,
    )
