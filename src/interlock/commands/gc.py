"""`interlock gc`: list or remove what no card and no pointer needs. DVC's cache is not looked at: `dvc gc`."""

import time
from pathlib import Path

from interlock.commands.screen import print_json, say, size
from interlock.errors import InterlockError, UsageError
from interlock.provenance.workspace import interlock_home
from interlock.registry.garbage import Garbage, Wanted, collect, find_garbage
from interlock.stages.current import prepared_name
from interlock.stages.place import Place, load_record


def gc(workspace: Path, *, dry_run: bool, keep_days: float, runs: bool, state: bool, as_json: bool) -> None:
    """Print what is removed, with size and reason; with `dry_run` nothing is."""
    if keep_days < 0:
        raise UsageError("must not be negative", key="--keep-days", value=keep_days)
    home = interlock_home(workspace)
    lanes = [path.stem for path in sorted((workspace / "params").glob("*.yaml"))]
    wanted = Wanted(
        now_s=time.time(),
        keep_days=keep_days,
        runs=runs,
        state=state,
        prepared=frozenset(name for lane in lanes if (name := _prepared(workspace, lane))),
        current=frozenset(
            run for path in (home / "lanes", workspace / "artifacts" / "lanes") for run in _current(path)
        ),
    )
    found = find_garbage(home, wanted) if dry_run else collect(home, wanted)
    if as_json:
        print_json({"dry_run": dry_run, "items": [_plain(item) for item in found]})
    else:
        _show(found, dry_run=dry_run)


def _show(found: tuple[Garbage, ...], *, dry_run: bool) -> None:
    for item in found:
        note = "  in use, stays" if item.in_use else ""
        say(f"{size(item.size_bytes):>9}  {item.path}  {item.why}{note}")
    going = [item for item in found if not item.in_use]
    total = size(sum(item.size_bytes for item in going))
    if not going:
        say("nothing to remove; DVC's cache is another matter: dvc gc")
    elif dry_run:
        say(f"{len(going)} things, {total}: interlock gc removes them; DVC's cache is another matter: dvc gc")
    else:
        say(f"removed {len(going)} things, {total}")


def _plain(item: Garbage) -> dict[str, object]:
    return {name: value for name, value in vars(item).items() if name != "locks"}


def _prepared(workspace: Path, lane: str) -> str | None:
    """Name of the prepared data that `interlock run` would use for a lane as DVC has composed it; None: not known."""
    try:
        return prepared_name(Place.of_workspace(workspace, lane))
    except (InterlockError, OSError):
        return None


def _current(lanes: Path) -> list[str]:
    """Runs in the lane folders of a workspace: sync would archive them anew."""
    found = []
    for folder in sorted(lanes.glob("*/train")):
        try:
            run_id = load_record(folder).run_id
        except InterlockError:
            continue
        found += [run_id] if run_id else []
    return found
