"""What the application is told besides its home: from the composed configuration, which it cannot read itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from interlock.contracts.quotas import Quotas
from interlock.runs.jobs.settings import Composer


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The configuration as far as the API needs it."""

    workspace: Path = Path()
    """Where work is done."""
    composer: Composer | None = None
    """Composes the configuration that a card asks for; None takes no cards."""
    quotas: Quotas = field(default_factory=Quotas)
    """What all jobs may hold together."""
    services: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Ports of production services by name, by lane."""
    agents: frozenset[str] = frozenset()
    """Configured agents: none of them is a person."""
