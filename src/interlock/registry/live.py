"""What is asked before a model answers live requests: is it the archived one, and is it the lane's first."""

from collections.abc import Mapping
from pathlib import Path

from interlock.contracts.approval import Facts
from interlock.errors import ProvenanceError, RegistryError
from interlock.registry import index
from interlock.registry.derive import run_proposals
from interlock.registry.queries import ModelRow
from interlock.registry.stages import LIVE, Target
from interlock.registry.verify import verify_run


def live_facts(home: Path, lane: str, *, to: Target, services: Mapping[str, int]) -> Facts:
    """What the rules for approvals look at when a model of the lane enters a stage; `services` are ports by name."""
    return {
        "goes_live": to in LIVE,
        "is_first_release": not was_released(home, lane),
        "lane": lane,
        "services": dict(services),
    }


def was_released(home: Path, lane: str) -> bool:
    """Whether any model of the lane was ever in production, as far as this home knows."""
    with index.reading(home) as database:
        found = database.execute(
            "SELECT 1 FROM stage_history JOIN models ON models.id = stage_history.model_id "
            "JOIN runs ON runs.run_id = models.run_id WHERE runs.lane = ? AND to_stage = 'production' LIMIT 1",
            (lane,),
        ).fetchone()
    return found is not None


def refuse_broken(home: Path, row: ModelRow) -> None:
    """The run's whole chain must hold, and the model that the registry lists must be the archived one.

    Raises ProvenanceError, RegistryError.
    """
    broken = verify_run(home, row.run_id).first_broken
    if broken is not None:
        raise ProvenanceError(
            f"its run does not verify: {broken.name}: {broken.detail}", path=broken.path or None, hint=broken.way_out
        )
    models = {item.body["sha256"] for item in run_proposals(home, row.run_id) if item.kind == "model_registered"}
    if row.sha256 not in models:
        raise RegistryError(
            "the archived model is not the one that was registered",
            path=home / row.path,
            value=row.sha256,
            hint="interlock verify says where they part",
        )
