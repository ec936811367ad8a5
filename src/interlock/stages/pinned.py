"""Which archived runs a configuration's gates are pinned to, told without reading what they measured.

A judgement follows from the measurements of those runs too. So the stages that judge carry a digest of them, and run
again when a run arrives that was missing; the compose stage writes it down for DVC.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interlock.contracts.stage import StageName
from interlock.provenance.canonical import sha256_json
from interlock.provenance.digest import sha256_file

CARD = "run_card.json"
JUDGING: tuple[StageName, ...] = ("export", "judge")
"""Stages that ask gates."""


def pinned_digest(config: Mapping[str, Any], home: Path) -> str | None:
    """Digest over the measurements of every run that a gate is pinned to, or their absence; None without such gates."""
    gates = config.get("lane", {}).get("gates") or {}
    runs = sorted({str(gate["baseline_run"]) for gate in gates.values() if gate.get("baseline_run")})
    return sha256_json({run: _measured(home / "runs" / run / "models") for run in runs}) if runs else None


def _measured(models: Path) -> dict[str, str]:
    if not (models / CARD).is_file():
        return {}
    files = [models / "measurements.json", models / "export" / "measurements.json"]
    return {path.relative_to(models).as_posix(): sha256_file(path) for path in files if path.is_file()}
