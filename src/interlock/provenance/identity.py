"""The id of a run: a hash over what its weights depend on, and nothing else.

Judgements and decisions get their ids where they are made (`interlock.gates.judgement`, `interlock.decisions.policy`).
Gates, agents, language models, tracking, budgets and lineage have no parameter here, so they cannot enter a run id.
Later stages read ids from earlier records and never compute them again.
"""

import re
from collections.abc import Mapping
from typing import Any

from interlock.contracts.hardware import Hardware
from interlock.contracts.lane import BODY_KEYS
from interlock.contracts.stage import StageRecord
from interlock.errors import ProvenanceError
from interlock.provenance.canonical import plain, sha256_json

RUN_ID_PATTERN = r"^[0-9a-f]{16}$"
_HARDWARE_KEYS = ("kind", "threads", "deterministic")
"""What of the hardware changes bits. Which of several equal GPUs (`device_index`) does not."""


def run_id(
    *,
    lane_body: Mapping[str, Any],
    seed: int,
    hardware: Hardware | Mapping[str, Any],
    dataset_sha256: str,
    input_digests: Mapping[str, str],
    code_sha256: str,
    lock_sha256: str,
) -> str:
    """First 16 hex digits of the digest of everything that the weights depend on.

    `lane_body` holds only keys of `BODY_KEYS`; `input_digests` maps each input's name to the digest of what was used.
    Raises ProvenanceError for other keys and for text that is no SHA-256.
    """
    foreign = sorted(set(lane_body) - set(BODY_KEYS))
    if foreign or "kind" not in lane_body:
        raise ProvenanceError(
            f"a run id is made of lane.{{{','.join(BODY_KEYS)}}} only",
            key="lane",
            value=foreign or "no kind",
            hint="gates and search space judge and steer; they never enter the identity of a run",
        )
    target = plain(hardware)
    missing = [key for key in _HARDWARE_KEYS if key not in target]
    if missing:
        raise ProvenanceError("the hardware does not say what changes bits", key="hardware", value=missing)
    digests = {"dataset": dataset_sha256, "code": code_sha256, "lock": lock_sha256}
    identity = {
        "scheme": "interlock-run-1",
        "lane": dict(lane_body),
        "seed": seed,
        "hardware": {key: target[key] for key in _HARDWARE_KEYS},
        **{name: _sha256(name, text) for name, text in digests.items()},
        "inputs": {name: _sha256(f"inputs.{name}", text) for name, text in input_digests.items()},
    }
    return sha256_json(identity)[:16]


WARM_START = "recovery.warm_start"
"""Name of the weights that a healed training began with, among the inputs of its id."""


def input_digests(train: StageRecord) -> dict[str, str]:
    """What a training record says of the inputs that its run's id is made of."""
    digests = {name: use.sha256 for name, use in train.lane_inputs.items()}
    return digests | ({WARM_START: train.warm_start_sha256} if train.warm_start_sha256 else {})


def input_sha256(prepare: StageRecord, train: StageRecord) -> str:
    """Digest of all that another run may use of this one: its id, configuration, facts and reproducible trained files.

    Follows from the two records alone, so that it can be told without reading a file; who uses the files compares them
    with the record.
    """
    used = {
        "scheme": "interlock-input-1",
        "run_id": train.run_id,
        "lane": train.params.get("lane"),
        "facts": [prepare.facts, train.facts],
        "files": {name: artifact.sha256 for name, artifact in train.artifacts.items()},
    }
    return sha256_json(used)


def _sha256(name: str, text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise ProvenanceError("not a SHA-256 digest", key=name, value=text, hint="pass the digest of the bytes used")
    return text
