"""What `interlock job` prints: plans, accepted cards, JSON. Tables are drawn by `interlock.commands.job_screen`."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from interlock.commands.screen import print_json, say
from interlock.provenance.canonical import plain
from interlock.runs.jobs.accept import Accepted
from interlock.runs.jobs.managers import card_yaml
from interlock.runs.jobs.plan import Plan
from interlock.runs.jobs.view import JobView


def show_plan(plan: Plan, *, as_json: bool) -> None:
    """What a card would do: the keys that it sets, and its manager cards."""
    settings = {setting.key: setting.value for setting in plan.settings}
    if as_json:
        managers = [card.model_dump(mode="json", exclude_none=True) for card in plan.managers]
        print_json({"id": plan.card.id, "lane": plan.lane, "settings": settings, "managers": managers})
        return
    say(f"card {plan.card.id} is in order: lane {plan.lane}, {len(plan.managers)} managers; nothing was kept or run")
    for name, need in plan.composed.needs.items():
        say(f"  first: lane {need.lane}, as {name} of {plan.lane}, unless it is there already")
    for key, value in settings.items():
        say(f"  {key} = {_gate(value) if isinstance(value, dict) else value}")
    for card in plan.managers:
        say(f"\n--- {card.id}\n{card_yaml(card).rstrip()}")


def say_accepted(accepted: Accepted, *, as_json: bool) -> None:
    """That a card was taken in, or had been."""
    if as_json:
        return
    job, plan = accepted.job, accepted.plan
    if accepted.is_new:
        say(f"job {job.id}: lane {plan.lane}, {len(plan.managers)} manager cards in {job.path / 'managers'}")
    else:
        say(f"job {job.id} was submitted before and is {job.state()}; the same card is the same job")


def show_all(views: Sequence[JobView], *, as_json: bool) -> None:
    """All jobs, one line each."""
    if as_json:
        print_json([view_json(view) for view in views])
        return
    from interlock.commands.job_screen import show_jobs

    show_jobs(views, now=time.time())


def view_json(view: JobView) -> dict[str, Any]:
    """A job for scripts."""
    values = vars(view) | {"state": view.state.value, "report": str(view.report) if view.report else None}
    managers = [vars(manager) | {"heartbeat": plain(manager.heartbeat)} for manager in view.managers]
    return {**values, "managers": managers}


def _gate(value: Mapping[str, Any]) -> str:
    """A gate that the card adds, in a few words."""
    if value["kind"] == "predicate":
        return f"a gate that blocks unless {value['check']}"
    return f"a gate that blocks unless {value['metric']} is {value['direction'].replace('_', ' ')} {value['target']:g}"
