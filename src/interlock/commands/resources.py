"""`interlock resources`: quotas, what is free, who holds what and who waits; `release` for what nobody will."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interlock.commands.control import control
from interlock.commands.screen import print_json, say
from interlock.provenance.workspace import interlock_home

if TYPE_CHECKING:
    from interlock.contracts.reservation import Reservation
    from interlock.registry.control.reservations import Reservations


def resources(workspace: Path, *, as_json: bool) -> None:
    """Show the resource manager's books."""
    manager, quotas = _manager(workspace)
    standing, left = manager.standing(), manager.left()
    if as_json:
        print_json({"quotas": quotas, "free": left, "reservations": [item.model_dump() for item in standing]})
        return
    for name, quota in quotas.items():
        held = sum(item.amounts.get(name, 0.0) for item in standing if item.state == "granted")  # type: ignore[call-overload]
        limit = "unlimited" if quota is None else f"of {quota:g}, {left[name]:g} free"  # type: ignore[index]
        say(f"{name:<8} {held:g} held, {limit}")
    for item in standing:
        say(_line(item))
    if not standing:
        say("nobody holds or waits for anything")


def release(workspace: Path, name: str, *, as_json: bool) -> None:
    """Give a reservation back in its holder's place."""
    manager, _ = _manager(workspace)
    found = manager.release(name)
    if as_json:
        print_json(found)
    else:
        say(f"{found.id}: {found.state}")


def _line(item: "Reservation") -> str:
    amounts = ", ".join(f"{amount:g} {name}" for name, amount in sorted(item.amounts.items()))
    ends = max(item.expires_at_s - time.time(), 0.0)
    return f"{item.state:<8} {item.id}  {amounts}  {item.holder}, ends in {ends:.0f} s unless it is renewed"


def _manager(workspace: Path) -> tuple["Reservations", dict[str, Any]]:
    from interlock.registry.control.reservations import Reservations
    from interlock.registry.control.store import ControlStore

    quotas = control(workspace).quotas
    return Reservations(ControlStore(interlock_home(workspace)), quotas), quotas.model_dump()
