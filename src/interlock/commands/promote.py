"""Commands that move models between stages: promote, demote, rollback, retire; and their history."""

import sys
from pathlib import Path
from typing import get_args

from interlock.commands.control import gates_sha256, services
from interlock.commands.screen import print_json, say
from interlock.contracts.decision import Action
from interlock.errors import ApprovalError, UsageError
from interlock.provenance.workspace import interlock_home
from interlock.registry.stages import Promoted, Stage, Target, Withdrawn, shown_stage


def promote(
    workspace: Path, model: str, *, to: str, by: str, reason: str, share: float | None = None, as_json: bool
) -> None:
    """Promote a model whose newest judgement, under the gates of `conf/` and `params.yaml`, is a pass."""
    from interlock.contracts.approval import Need
    from interlock.registry.approving import ask
    from interlock.registry.archive import read_card
    from interlock.registry.promotion import Present
    from interlock.registry.promotion import promote as promoted
    from interlock.registry.queries import show_model

    home = interlock_home(workspace)
    target: Target = _stage(to, get_args(Target))  # type: ignore[assignment]
    row = show_model(home, model).model
    lane = read_card(home, row.run_id).lane
    present = Present(gates_sha256=gates_sha256(workspace, lane), services=services(workspace).get(lane, {}))
    try:
        name, event = promoted(home, row.id, to=target, by=by, reason=reason, share_percent=share, present=present)
    except ApprovalError as error:
        if isinstance(error.need, Need):  # others see after interlock push that somebody is asked
            ask(home, error.need, subject=error.subject, lane=lane, run=row.run_id, model=row.id)
        raise
    _told(workspace, name, event, as_json=as_json)


def demote(workspace: Path, model: str, *, to: str, by: str, reason: str, as_json: bool) -> None:
    """Move a model one step back."""
    _withdrawn(workspace, model, to=_stage(to, ("candidate", "shadow", "staging")), by=by, reason=reason, json=as_json)


def retire(workspace: Path, model: str, *, by: str, reason: str, as_json: bool) -> None:
    """Take a model out of whichever stage it is in."""
    _withdrawn(workspace, model, to="retired", by=by, reason=reason, json=as_json)


def rollback(workspace: Path, model: str, *, to: str, by: str, reason: str, as_json: bool) -> None:
    """Take a model out of production or canary, and put back the one before it."""
    from interlock.registry.promotion import roll_back

    name, event = roll_back(interlock_home(workspace), model, to=to, by=by, reason=reason)
    _told(workspace, name, event, as_json=as_json)


def history(workspace: Path, model: str, *, as_json: bool) -> None:
    """Every stage that a model was in, who moved it, and under which approval."""
    from interlock.registry.queries import show_model

    view = show_model(interlock_home(workspace), model)
    if as_json:
        print_json([change.model_dump(mode="json") for change in view.history])
        return
    from interlock.commands.records import print_history

    print_history(view)


def _withdrawn(workspace: Path, model: str, *, to: Stage, by: str, reason: str, json: bool) -> None:
    from interlock.registry.promotion import withdraw

    name, event = withdraw(interlock_home(workspace), model, to=to, by=by, reason=reason)
    _told(workspace, name, event, as_json=json)


def _told(workspace: Path, name: str, event: Promoted | Withdrawn, *, as_json: bool) -> None:
    """Say what moved, here and in the trackers."""
    rolled_back = event.rolls_back if isinstance(event, Promoted) else ""
    for moved in dict.fromkeys((name, *event.replaces, *([rolled_back] if rolled_back else []))):
        if said := _shown_again(workspace, moved):
            print(said, file=sys.stderr)
    if as_json:
        print_json({"model_id": name, **event.model_dump(mode="json")})
        return
    share = event.share_percent if isinstance(event, Promoted) else None
    say(f"{name}: {event.before} -> {shown_stage(event.to, share)}")
    if isinstance(event, Promoted) and event.approval:
        say(f"allowed by approval {event.approval[:12]}")
    if rolled_back:
        say(f"put back in place of {rolled_back}, which is rolled_back now")
    if others := [other for other in event.replaces if other != rolled_back]:
        say(f"took the place of {', '.join(others)}")
    if isinstance(event, Promoted) and event.to in ("canary", "production"):
        say(_release_said(interlock_home(workspace), name, event.run_id))
    if isinstance(event, Withdrawn) and event.before == "production":
        say(f"no model of {event.lane} is in production now")
    say("others see it after interlock push")


def _release_said(home: Path, name: str, run_id: str) -> str:
    """What the executives said of the model last; a person's promotion does not wait for it."""
    from interlock.registry.decided import decisions
    from interlock.reports.releases import SHOWN

    said = [row for row in decisions(home, run_id) if row.kind == "release"]
    if not said:
        return f"no release decision was asked for: interlock release {name}"
    return f"the newest release decision upon it is {SHOWN[Action(said[-1].action)]}, of {said[-1].at}"


def _shown_again(workspace: Path, model: str) -> str:
    """Tell the trackers that a model's stage has changed."""
    from interlock.registry.queries import archived_run, show_model
    from interlock.runs.tracked.results import track_again

    home = interlock_home(workspace)
    row = archived_run(home, show_model(home, model).model.run_id)
    params = workspace / "params" / f"{row.lane}.yaml" if row else None
    return track_again(home, row.run_id, params=params, workspace=workspace) if row and params else ""


def _stage(name: str, known: tuple[str, ...]) -> Stage:
    if name not in known:
        raise UsageError("no such stage to move to", key="--to", value=name, hint=" or ".join(known))
    return name  # type: ignore[return-value]
