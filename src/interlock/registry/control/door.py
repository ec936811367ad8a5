"""Where running work reports and asks: the store of this home, or the control API that `control.url` names.

with control_door(home, config.get("control") or {}) as door:
door.record(beat)
door.resources.ask({"cuda": 1}, holder=this_process(run=run_id))
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from interlock.contracts.heartbeat import Heartbeat
from interlock.contracts.quotas import Quotas
from interlock.contracts.reservation import Holder, Reservation, Resource
from interlock.provenance.canonical import canonical_json
from interlock.registry.control import heartbeats
from interlock.registry.control.reservations import Reservations
from interlock.registry.control.store import BUSY_TIMEOUT_S, ControlStore
from interlock.registry.control.tokens import agent_token


class Resources(Protocol):
    """What the local resource manager and the control API's client both offer."""

    def ask(self, amounts: Mapping[Resource, float], *, holder: Holder) -> Reservation:
        """All of it now, or a place in the queue."""
        ...

    def poll(self, name: str) -> Reservation:
        """Renew it, and grant it when its turn has come."""
        ...

    def release(self, name: str) -> Reservation:
        """Give it back, or give up waiting."""
        ...

    def left(self) -> dict[Resource, float]:
        """What is free of every resource that has a quota."""
        ...


@dataclass(frozen=True, kw_only=True)
class ControlDoor:
    """The two things that running work needs."""

    record: Callable[[Heartbeat], int]
    """Keep one heartbeat."""
    newest: Callable[..., tuple[Heartbeat, ...]]
    """As `heartbeats.newest`, with keywords `job`, `run_id` and `agent`."""
    resources: Resources
    """The resource manager."""


@contextmanager
def control_door(
    home: Path, control: Mapping[str, Any], *, busy_timeout_s: float = BUSY_TIMEOUT_S
) -> Iterator[ControlDoor]:
    """Open it for the block; `control` is that block of a composed configuration.

    Raises UsageError without the token that the control API needs; what is asked of either raises as it says.
    """
    if url := control.get("url"):
        from interlock.registry.control.over_http import ControlClient

        with ControlClient(str(url), token=agent_token(home)) as client:
            yield ControlDoor(record=client.record, newest=client.newest, resources=client)
        return
    with ControlStore(home, busy_timeout_s=busy_timeout_s) as store:
        yield ControlDoor(
            record=partial(heartbeats.record, store),
            newest=partial(heartbeats.newest, store),
            resources=Reservations(store, quotas_of(control)),
        )


def quotas_of(control: Mapping[str, Any]) -> Quotas:
    """The quotas of a composed `control`."""
    return Quotas.model_validate_json(canonical_json(control.get("quotas") or {}))
