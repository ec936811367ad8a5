"""Take a card in: plan it, and write it down as a job. The same card twice is one job; the control API calls this too.

accepted = accept_job(data, "card.yaml", composer=composer, workspace=workspace, home=home)
run_job(workspace, accepted.job.home, accepted.job.id)          # interlock.runs.jobs.director
"""

import time
from dataclasses import dataclass
from pathlib import Path

from interlock.runs.jobs.folder import JobFolder
from interlock.runs.jobs.plan import Plan, plan_job
from interlock.runs.jobs.settings import Composer


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """A card that was taken in."""

    job: JobFolder
    plan: Plan
    is_new: bool
    """False when the same card had been submitted before."""


def accept_job(data: bytes, name: str, *, composer: Composer, workspace: Path, home: Path) -> Accepted:
    """Keep the card's job. Raises ConfigError with every fault, UsageError for the id of another card."""
    plan = plan_job(data, name, composer=composer, workspace=workspace, home=home)
    job = JobFolder(home, plan.card.id)
    return Accepted(job=job, plan=plan, is_new=job.create(plan, data, at=time.time()))
