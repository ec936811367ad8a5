"""Commands of people who share a folder, push and pull; and the lines of `interlock status` about stages."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interlock.commands.screen import print_json, say, size
from interlock.errors import ExitCode
from interlock.provenance.workspace import interlock_home

if TYPE_CHECKING:
    from interlock.registry.holders import Holder
    from interlock.registry.pull import PulledLog

_SHOWN_RUNS = 8


def push(workspace: Path, remote: Path | None, *, repair: bool, as_json: bool) -> ExitCode:
    """Share what is new here."""
    from interlock.registry.push import push as pushed
    from interlock.registry.remote import find_remote

    where = find_remote(workspace, remote)
    shared = where.root.parent
    is_new = not shared.exists()
    found = pushed(interlock_home(workspace), where, repair=repair)
    made = str(shared) if is_new and shared.exists() else None
    if as_json:
        print_json({**vars(found), "remote": str(where.root), "made": made})
        return ExitCode.PASS
    if not found.writer:
        say("nothing to share yet: interlock sync archives what has finished")
        return ExitCode.PASS
    if made:
        say(f"made {made}")
    runs = f"{len(found.runs)} run{'s' if len(found.runs) != 1 else ''}"
    say(f"{where.root}: {found.lines} new events, {runs}, {found.files} files, {size(found.size_bytes)}")
    if found.gone:
        say(f"not here any more, so their files were not shared: {_listed(found.gone)}")
    return ExitCode.PASS


def pull(workspace: Path, remote: Path | None, *, as_json: bool) -> ExitCode:
    """Take over what others shared; what is refused is named, and does not keep the rest from being taken."""
    from interlock.registry.pull import pull as pulled
    from interlock.registry.remote import find_remote

    where = find_remote(workspace, remote)
    logs = pulled(interlock_home(workspace), where)
    if as_json:
        print_json({"remote": str(where.root), "logs": [_plain(log) for log in logs]})
    for log in () if as_json else logs:
        runs = f"; verified: {_listed(log.runs)}" if log.runs else ""
        say(f"{log.writer} ({log.host or 'unknown machine'}): {log.lines} new events{runs}")
        if log.twins:
            say(f"  made here too, with the same model; the execution here is kept: {_listed(log.twins)}")
    if not logs and not as_json:
        say(f"{where.root}: nothing from others yet")
    for log in logs:
        _say_refused(log)
    return ExitCode.ERROR if any(log.problem or log.refused for log in logs) else ExitCode.PASS


def stage_lines(home: Path, lanes: Iterable[str]) -> list[str]:
    """What `interlock status` says of the stages of these lanes; nothing where nobody has promoted."""
    from interlock.registry.holders import holders

    known = set(lanes)
    return [_stage_line(holder) for holder in holders(home) if holder.lane in known]


def _stage_line(holder: "Holder") -> str:
    from interlock.registry.stages import LIVE, shown_stage

    when = holder.at[:16].replace("T", " ")
    stage = shown_stage(holder.stage, holder.share_percent)
    text = f"{stage}: {holder.model_id}  by {holder.promoted_by} on {holder.host}, {when}"
    if holder.stage in LIVE:
        text += f"  approval {holder.approval[:12]}" if holder.approval else f"  {_without_approval(holder)}"
    if holder.contested_by:
        text += f"\n  CONTESTED by {', '.join(holder.contested_by)}: promote the right one again to settle it"
    return text


def _without_approval(holder: "Holder") -> str:
    return f"put back in place of {holder.rolls_back}" if holder.rolls_back else "WITHOUT APPROVAL"


def _say_refused(log: "PulledLog") -> None:
    if log.problem is not None:
        print(f"ERROR: log {log.writer} is refused: {log.problem}", file=sys.stderr)
    for run, reason in log.refused.items():
        print(f"ERROR: run {run} of {log.writer} is refused: {reason}", file=sys.stderr)


def _plain(log: "PulledLog") -> dict[str, Any]:
    return {**vars(log), "problem": str(log.problem) if log.problem else None}


def _listed(runs: Sequence[str]) -> str:
    more = f" and {len(runs) - _SHOWN_RUNS} more" if len(runs) > _SHOWN_RUNS else ""
    return ", ".join(runs[:_SHOWN_RUNS]) + more
