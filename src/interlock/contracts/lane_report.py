"""The lane report: a director's answer to the architect, in the form its source prescribes."""

from typing import Literal

from interlock.contracts.base import Contract


class Actuals(Contract):
    """What it took."""

    tokens: int
    """Language-model tokens; 0 under rules."""
    duration_mins: float
    """Wall minutes over all stages."""
    compute_hours: float
    """The same in hours of the target."""
    cost_usd: float
    """Money spent; 0 on one's own machine."""


class LaneReport(Contract):
    """`lane_report.yaml`."""

    lane: str
    """Name of the lane."""
    state: Literal["completed", "failed", "escalated"]
    """`completed` after an accept, `escalated` when a person is asked, else `failed`."""
    artifacts: tuple[dict[str, str], ...]
    """What was produced, by kind, with paths under the archived run."""
    acceptance_results: dict[str, float | bool | None]
    """Observed value by gate; yes/no for checks, null where nothing could be judged."""
    actuals: Actuals
    """What it took."""
    managers_used: tuple[dict[str, str], ...]
    """Managers by the source's spelling, with the work they own."""
