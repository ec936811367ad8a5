"""How much of the machine all jobs together may take: `control.quotas` of a configuration.

Stands alone because every stage's process reads it, to send heartbeats, and needs nothing else of an experiment. Does
not cover who has reserved what: `interlock.contracts.reservation`.
"""

from typing import Annotated

from pydantic import Field

from interlock.contracts.base import Contract


class Quotas(Contract):
    """How much of each resource this machine gives to all jobs together; null is unlimited, 0 gives none."""

    cpu: Annotated[float, Field(ge=0.0)] | None = None
    """Processor threads."""
    cuda: Annotated[float, Field(ge=0.0)] | None = None
    """NVIDIA GPUs."""
    mps: Annotated[float, Field(ge=0.0)] | None = None
    """Apple Metal devices."""
    disk_gb: Annotated[float, Field(ge=0.0)] | None = None
    """Disk, in units of 10^9 bytes."""
