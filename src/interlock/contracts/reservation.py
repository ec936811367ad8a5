"""Reservations: who holds how much of which resource, until when, and who waits for it."""

from typing import Annotated, Literal

from pydantic import Field

from interlock.contracts.base import Contract

Resource = Literal["cpu", "cuda", "mps", "disk_gb"]
"""`cpu`: processor threads; `cuda`, `mps`: devices; `disk_gb`: 10^9 bytes."""
Name = Annotated[str, Field(max_length=200)]
State = Literal["waiting", "granted", "released", "expired", "withdrawn"]
Amounts = dict[Resource, Annotated[float, Field(ge=0.001, le=1e9)]]
"""How much of each resource. Amounts are counted in thousandths."""

TRANSITIONS: dict[State, tuple[State, ...]] = {
    "waiting": ("granted", "expired", "withdrawn"),
    "granted": ("released", "expired"),
    "released": (),
    "expired": (),
    "withdrawn": (),
}
"""`expired`: its holder did not renew it in time, or died while it waited. `withdrawn`: it gave up waiting."""


class Holder(Contract):
    """For whom a reservation is, and the process that renews it."""

    job: Name
    """Job or manager; empty for a run that nobody submitted as a job."""
    run: Name
    """The run, or the lane where the run's id is not known yet."""
    pid: Annotated[int, Field(ge=0, lt=2**31)]
    """Process that asked."""
    process_started_s: Annotated[float, Field(ge=0.0, le=1e12)]
    """When that process began, seconds since 1970: pids are used again."""
    host: Name
    """Machine that it runs on."""
    boot_id: Name
    """Boot of that machine."""

    def __str__(self) -> str:
        what = " ".join(part for part in (self.job, self.run) if part) or "unnamed work"
        return f"{what} (process {self.pid} on {self.host})"


class Reservation(Contract):
    """What was asked for and what became of it."""

    id: str
    """Its name."""
    ticket: Annotated[int, Field(ge=1)]
    """Place in the order of asking; smaller is earlier."""
    state: State
    """What became of it."""
    holder: Holder
    """For whom."""
    amounts: Amounts
    """How much of each resource."""
    lease_s: Annotated[float, Field(gt=0.0)]
    """How long it stands without renewal, seconds."""
    asked_at_s: float
    """When it was asked for, seconds since 1970."""
    granted_at_s: float | None = None
    """When it was granted."""
    expires_at_s: float
    """When it ends unless it is renewed."""
    ended_at_s: float | None = None
    """When it was released, expired or withdrawn."""
