"""Waiting for the device that a training needs, where quotas are set: queue until granted, and hold it while training.

A job's director reserves for all of its stages, so that a training inside a job asks for nothing here. Quotas are
`control.quotas`; without one for the device nothing is asked either.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from interlock.contracts.reservation import Resource
from interlock.errors import InterlockError
from interlock.provenance.attempts import labels
from interlock.provenance.dotted import lookup
from interlock.registry.control.door import Resources, control_door
from interlock.registry.control.processes import this_process
from interlock.registry.control.reservations import LEASE_S
from interlock.runs.jobs.waiting import resources_of

POLL_S = 0.5


@contextmanager
def granted(home: Path, config: Mapping[str, Any], *, run_id: str, refused: Callable[[str], None]) -> Iterator[None]:
    """Hold what the training needs for the block; `refused` is told once what is not free now, then it is waited for.

    Raises QuotaError for more than a quota will ever give.
    """
    control = lookup(config, "control") or {}
    has_quotas = any(amount is not None for amount in (control.get("quotas") or {}).values())
    if labels().get("job") or not (has_quotas or control.get("url")):
        yield
        return
    with control_door(home, control) as door:
        manager = door.resources
        limited = manager.left()
        wanted = {name: amount for name, amount in resources_of(config).items() if name in limited}
        if not wanted:
            yield
            return
        name = _queued(manager, wanted, run_id=run_id, refused=refused)
        ends = threading.Event()
        renewing = threading.Thread(target=_renew, args=(manager, name, ends), name="reservation", daemon=True)
        renewing.start()
        try:
            yield
        finally:
            ends.set()
            renewing.join(timeout=5.0)
            manager.release(name)


def _queued(
    manager: Resources, wanted: Mapping[Resource, float], *, run_id: str, refused: Callable[[str], None]
) -> str:
    """The name of the reservation, once it is granted."""
    found = manager.ask(wanted, holder=this_process(run=run_id))
    try:
        if found.state != "granted":
            free = manager.left()
            refused(next((name for name, amount in wanted.items() if free.get(name, amount) < amount), min(wanted)))
        while found.state != "granted":
            time.sleep(POLL_S)
            found = manager.poll(found.id)
    except BaseException:
        manager.release(found.id)
        raise
    return found.id


def _renew(manager: Resources, name: str, ends: threading.Event) -> None:
    """Keep the reservation while the training runs. One that was lost all the same is not worth a training."""
    while not ends.wait(LEASE_S / 3):
        try:
            manager.poll(name)
        except InterlockError:
            return
