"""Commands about where runs are shown: track status, track sync."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from interlock.commands.screen import print_json, say
from interlock.contracts.tracking import Tracking, WandbTracking
from interlock.errors import ExitCode, UsageError
from interlock.provenance.workspace import interlock_home
from interlock.tracking.jsonl import RUN, tracking_root
from interlock.tracking.replay import pending, read_run, read_state


def status(workspace: Path, *, as_json: bool) -> None:
    """One paragraph per tracked run: its destinations, and what each of them lacks."""
    rows = [_row(folder) for folder in _folders(interlock_home(workspace))]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        say(f"{row['run_id']}  {row['name']}  {row['job_type']}  {' '.join(row['tags'])}")
        for place, found in row["destinations"].items():
            lacks = f"{len(found['pending'])} pending" if found["pending"] else "up to date"
            say(f"  {place}: {lacks}" + "".join(f"; {found[key]}" for key in ("where", "error") if found[key]))
        if not row["destinations"]:
            say("  local files only")
    if not rows:
        say("nothing is tracked yet: a run is, when it trains")


def sync(workspace: Path, run: str | None, overrides: Sequence[str], *, wait_s: float, as_json: bool) -> ExitCode:
    """Send what is pending of one run or of all; 1 when W&B does not have everything in the end.

    Raises UsageError for a run that is not known, and when the configuration asks for local files alone.
    """
    from interlock.runs.tracked.results import track_run

    home, settings = interlock_home(workspace), _settings(workspace, overrides)
    if not isinstance(settings, WandbTracking):
        raise UsageError(
            "runs are kept as local files only, so there is nowhere to send them",
            key="tracking.kind",
            value=settings.kind,
            hint="interlock track sync --set tracking=wandb, or choose tracking: wandb in conf/config.yaml",
        )
    results: dict[str, dict[str, Any]] = {}
    for run_id in [_known(home, run)] if run else [folder.name for folder in _folders(home)]:
        done, said = track_run(home, run_id, settings=settings, config={}, workspace=workspace, wait_s=wait_s)
        results[run_id] = {"up_to_date": done, "said": said}
        if not as_json:
            print(f"{run_id}: {said or 'nothing to send'}", file=sys.stdout if done else sys.stderr)
    if as_json:
        print_json(results)
    elif not results:
        say("nothing is tracked yet: a run is, when it trains")
    return ExitCode.PASS if all(result["up_to_date"] for result in results.values()) else ExitCode.ERROR


def _settings(workspace: Path, overrides: Sequence[str]) -> Tracking:
    """As composed now: where runs are shown is no part of them, so one lane's configuration speaks for all."""
    from interlock.config.compose import compose_lane
    from interlock.config.params_file import lane_overrides, read_params
    from interlock.config.validate import validate

    for override in overrides:
        if override.lstrip("+~").partition("=")[0].partition(".")[0] != "tracking":
            raise UsageError(
                "only tracking can be overridden here: no run changes by being shown",
                key=override,
                hint="give tracking=NAME or keys below it, such as tracking.project=NAME",
            )
    params = read_params(workspace / "params.yaml")
    lane = str(next(iter(params["lanes"])))
    composed = compose_lane(workspace / "conf", [*lane_overrides(params, lane), *overrides])
    return validate(composed, subject=f"lane {lane}").tracking


def _known(home: Path, text: str) -> str:
    """The tracked or archived run that is meant."""
    tracked = [folder.name for folder in _folders(home) if folder.name.startswith(text)]
    if len(tracked) == 1:
        return tracked[0]
    from interlock.registry.queries import find_run

    return find_run(home, text).run_id


def _folders(home: Path) -> Iterator[Path]:
    return (path.parent for path in sorted(tracking_root(home).glob(f"*/{RUN}")))


def _row(folder: Path) -> dict[str, Any]:
    run = read_run(folder)
    destinations = {
        place: {"pending": list(pending(folder, sent)), "where": sent.where, "error": sent.error}
        for place, sent in sorted(read_state(folder).destinations.items())
    }
    about = {"run_id": run.run_id, "name": run.name, "job_type": run.job_type, "tags": list(run.tags)}
    return {**about, "group": run.group, "destinations": destinations}
