"""What commands about people and machines need of the composed configuration: gates, services, quotas, agents."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interlock.provenance.canonical import sha256_json

if TYPE_CHECKING:
    from interlock.contracts.experiment import Control, Experiment


def composed(workspace: Path, lane: str) -> "Experiment":
    """The lane's configuration as `conf/` and `params.yaml` say it now."""
    from interlock.config.compose import compose_lane
    from interlock.config.params_file import lane_overrides, read_params
    from interlock.config.validate import validate

    params = lane_overrides(read_params(workspace / "params.yaml"), lane)
    return validate(compose_lane(workspace / "conf", params), subject=f"lane {lane}")


def gates_sha256(workspace: Path, lane: str) -> str:
    """Digest of the lane's gates as they are configured now, as judgements carry it."""
    gates: dict[str, Any] = composed(workspace, lane).lane.gates  # type: ignore[attr-defined]
    return sha256_json(dict(gates))


def control(workspace: Path) -> "Control":
    """The block `control`, which is the same for every lane."""
    return _of_first_lane(workspace).control


def agents(workspace: Path) -> frozenset[str]:
    """Ids of the configured agents."""
    return frozenset(_of_first_lane(workspace).agents)


def services(workspace: Path) -> dict[str, dict[str, int]]:
    """Ports of production services by name, by lane."""
    found: dict[str, dict[str, int]] = {}
    for name, service in control(workspace).services.items():
        found.setdefault(service.lane, {})[name] = service.port
    return found


@cache
def _of_first_lane(workspace: Path) -> "Experiment":
    """Composed once in a command, which takes the better part of a second."""
    from interlock.config.params_file import read_params

    return composed(workspace, str(read_params(workspace / "params.yaml")["lanes"][0]))
