"""Before training: the approvals that it needs, bound to the run's id. Without one a person is asked, and it stops.

    require_approvals(place, run_id=..., home=home)

The rules are data (`interlock.contracts.approval`); what is true of a training stands in `training_facts`. A run that
healing makes of an approved one goes by the approval of the run that was asked for. Nothing is asked of a training that
needs no approval, and nothing is written then.
"""

from datetime import UTC, datetime
from pathlib import Path

from interlock.errors import ApprovalError
from interlock.registry.approvals import needs, require
from interlock.registry.approving import ask
from interlock.runs.jobs.waiting import training_facts
from interlock.stages.place import Place


def require_approvals(place: Place, *, run_id: str, home: Path, now: datetime | None = None) -> None:
    """Raise ApprovalError, after writing the request down, for the first approval that is missing at the time `now`."""
    missing: list[ApprovalError] = []
    for need in needs(training_facts(place)):
        try:
            require(home, need, subject=run_id, name=run_id, now=now or datetime.now(UTC))
        except ApprovalError as error:
            ask(home, need, subject=run_id, lane=place.lane, run=run_id)
            missing.append(error)
    if missing:
        raise missing[0]
