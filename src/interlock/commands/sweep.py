"""`interlock sweep list|show`: sweeps that have run, from their own files."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from interlock.commands.screen import print_json, say
from interlock.contracts.sweep import LaneRanking, Ranking
from interlock.provenance.locks import is_locked
from interlock.provenance.workspace import interlock_home
from interlock.runs.sweeps.jobs import Sweep, find_sweep, list_sweeps

if TYPE_CHECKING:
    from rich.console import Console


def list_all(workspace: Path, *, as_json: bool) -> None:
    """One line per sweep, newest first."""
    found = list_sweeps(interlock_home(workspace))
    if as_json:
        print_json([_summary(sweep) for sweep in found])
        return
    if not found:
        say("no sweeps yet: interlock run -m KEY=A,B")
        return
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("sweep", "planned", "sweeper", "jobs", "ended", "command"):
        table.add_column(name, justify="right" if name in ("jobs", "ended") else "left", no_wrap=name != "command")
    for sweep in found:
        row = _summary(sweep)
        table.add_row(
            *(Text(str(row[name])) for name in ("sweep_id", "planned_at", "sweeper", "jobs", "ended", "command"))
        )
    _console().print(table)


def show(workspace: Path, text: str, *, as_json: bool) -> None:
    """The ranking of one sweep, computed anew from its results. Raises UsageError."""
    from interlock.runs.sweeps.ranking import rank

    home = interlock_home(workspace)
    sweep = find_sweep(home, text)
    running = is_locked(home / "state" / "locks" / f"sweep-{sweep.id}.lock")
    ranking = rank(sweep.manifest(), sweep.jobs(), home, begun=sweep.begun(), running=running)
    if as_json:
        print_json(ranking)
        return
    say(f"sweep {sweep.id}: interlock run -m {' '.join(sweep.manifest().command)}")
    show_ranking(ranking)


def show_ranking(ranking: Ranking) -> None:
    """Print the tables of a ranking and what to keep in mind with them."""
    from interlock.reports.sweeps import notes, other_table, ranking_table, seed_table

    console = _console()
    for lane in ranking.lanes:
        console.print(f"\n[bold]{lane.lane}[/bold]  {_ranked_by(lane)}", highlight=False)
        console.print(ranking_table(lane, ranking, width=console.width))
        if lane.groups:
            console.print("by configuration, over seeds", highlight=False)
            console.print(seed_table(lane))
    if ranking.others:
        console.print("without a place", highlight=False)
        console.print(other_table(ranking))
    for note in notes(ranking):
        console.print(note, highlight=False, style="dim")


def _ranked_by(lane: LaneRanking) -> str:
    if lane.by is None:
        return "not ranked: no gate of it looks at a number"
    better = "larger" if lane.by.direction == "at_least" else "smaller"
    where = f" on the {lane.split} split" if lane.split else ""
    return f"ranked by {lane.by.metric}{where}, {better} is better (gate {lane.by.gate})"


def _summary(sweep: Sweep) -> dict[str, str | int]:
    manifest = sweep.manifest()
    planned = datetime.fromtimestamp((sweep.folder / "manifest.json").stat().st_mtime, UTC)
    return {
        "sweep_id": sweep.id,
        "experiment": manifest.experiment,
        "planned_at": planned.isoformat(sep=" ", timespec="minutes").removesuffix("+00:00"),
        "sweeper": manifest.sweeper,
        "jobs": manifest.search.n_trials if manifest.search else len(manifest.jobs),
        "ended": len(sweep.jobs()),
        "command": " ".join(manifest.command),
    }


def _console() -> "Console":
    from rich.console import Console

    return Console()
