"""A healed training used another configuration than was composed; the stages after it use what training used.

The composed configuration stays what DVC and `interlock status` look at: every record of a healed run also carries the
digest of what was asked for. What was changed, why, and by how much stands in `recovery.json` of the train stage.
"""

import copy
from collections.abc import Mapping
from typing import Any

from interlock.contracts.lane import BODY_KEYS
from interlock.contracts.stage import StageRecord

RECOVERY = "recovery.json"
"""What the train stage says of its faults; volatile, because it tells how a run came about and not what it is."""
WARM_START = "warm_start.safetensors"
"""Weights that a healed training began with, kept beside its model so that the run can be repeated."""


def as_trained(asked: Mapping[str, Any], trained: StageRecord | None) -> dict[str, Any]:
    """The composed configuration with what training really used; as it is where nothing was healed."""
    config = dict(asked)
    if trained is None or trained.asked_params_sha256 is None:
        return config
    used: dict[str, Any] = dict(trained.params)
    body = {name: value for name, value in used["lane"].items() if name in BODY_KEYS}
    return config | {"lane": {**config["lane"], **body}, "seed": used["seed"], "hardware": used["hardware"]}


def with_changes(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy with new values at dotted keys, which must be there."""
    changed: dict[str, Any] = copy.deepcopy(dict(values))
    for key, value in changes.items():
        *parents, last = key.split(".")
        target = changed
        for part in parents:
            target = target[part]
        assert last in target, f"{key} is not in the configuration"
        target[last] = value
    return changed
