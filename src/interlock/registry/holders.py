"""Who holds which stage of a lane now, and who else was promoted to it without knowing."""

from pathlib import Path

from interlock.contracts.base import Contract
from interlock.registry import index
from interlock.registry.stages import HELD


class Holder(Contract):
    """A model in a stage."""

    lane: str
    """Lane whose stage it is."""
    stage: str
    """`shadow`, `staging`, `canary` or `production`."""
    model_id: str
    """The model."""
    sha256: str
    """Digest of its main file."""
    at: str
    """When it was promoted (UTC, ISO 8601)."""
    promoted_by: str
    """By whom."""
    reason: str
    """Why."""
    host: str
    """On which machine."""
    writer: str
    """In which home."""
    share_percent: float | None = None
    """Share of live requests that it answers; None unless it is a canary."""
    approval: str | None = None
    """The approval that allowed it; None where none was asked for."""
    rolls_back: str = ""
    """The model in whose place this one was put back; empty for a promotion."""
    contested_by: tuple[str, ...] = ()
    """Other models that were promoted to this stage by people who did not know of this promotion."""

    @property
    def models(self) -> tuple[str, ...]:
        """The model that is seen there, and those that contest it."""
        return self.model_id, *self.contested_by


def holders(home: Path) -> tuple[Holder, ...]:
    """Who holds which stage, by lane, production first. One entry per stage, also where it is contested."""
    with index.reading(home) as database:
        rows = [dict(row) for row in database.execute("SELECT * FROM holders ORDER BY lane, event DESC")]
    found = []
    for lane in dict.fromkeys(row["lane"] for row in rows):
        for stage in HELD:
            held = [row for row in rows if (row["lane"], row["stage"]) == (lane, stage)]
            if held:
                shown = {name: held[0][name] for name in Holder.model_fields if name != "contested_by"}
                others = {row["model_id"] for row in held} - {held[0]["model_id"]}
                found.append(Holder(**shown, contested_by=tuple(sorted(others))))
    return tuple(found)
