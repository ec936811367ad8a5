"""The lane report: a director's answer to the architect, in the form its source prescribes.

The first six fields are the source's; the others say what they rest on. A report states what is recorded elsewhere and
proves nothing: the run card and the judgement do.
"""

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
    """Name of the lane; in answer to a card the director's lane, `Models`."""
    state: Literal["completed", "failed", "escalated"]
    """`completed` after an accept, `escalated` when a person is asked, else `failed`."""
    artifacts: tuple[dict[str, str], ...]
    """What was produced, by kind, with paths under the archived run."""
    acceptance_results: dict[str, float | bool | None]
    """Observed value by gate, or by check in the card's own words; null where nothing could be judged."""
    actuals: Actuals
    """What it took."""
    managers_used: tuple[dict[str, str], ...]
    """Managers by the source's spelling, with the work they did."""
    job: str | None = None
    """The job card that this answers; None for a lane that ran without one."""
    run_id: str | None = None
    """The run; None where training never began."""
    verdict: str | None = None
    """Verdict of all gates, the card's among them; None where nothing was judged."""
    missing_artifacts: tuple[str, ...] = ()
    """Files that the card expects and that are not there."""
    remarks: tuple[str, ...] = ()
    """Why checks did not pass, workers that were replaced, changes that recovery made: one sentence each."""
