"""What the application is told besides its home: from the composed configuration, which it cannot read itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from interlock.contracts.experiment import Quotas


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The configuration as far as the API needs it."""

    quotas: Quotas = field(default_factory=Quotas)
    """What all jobs may hold together."""
    services: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Ports of production services by name, by lane."""
    agents: frozenset[str] = frozenset()
    """Configured agents: none of them is a person."""
