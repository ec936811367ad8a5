"""`interlock recovery`: what went wrong with trainings, what was done about it, how often each lineage has failed."""

from pathlib import Path
from typing import Any

from interlock.commands.screen import print_json, say
from interlock.contracts.recovery import RecoverySettings
from interlock.errors import UsageError
from interlock.provenance.workspace import interlock_home
from interlock.recovery import strikes
from interlock.runs.healing.lineage import FOLDER, Lineage, standing
from interlock.runs.healing.shown import shown_lineage


def recovery(workspace: Path, run: str | None, *, as_json: bool) -> None:
    """List lineages with faults, newest last; with a run, everything that happened in its lineage."""
    home = interlock_home(workspace)
    if run is None:
        _show_all([_summary(home, lineage) for lineage in _lineages(home)], as_json=as_json)
        return
    lineage = _find(home, run)
    rows = shown_lineage(lineage)
    if as_json:
        print_json([event.model_dump(mode="json") for event in lineage.events()])
        return
    from rich.console import Console

    console = Console(highlight=False)
    console.print(f"[bold]lineage of run {lineage.root_run}[/bold]", soft_wrap=True)
    for row in rows:
        console.print(
            f"{row['at'][:19].replace('T', ' ')}  {row['kind']:9}  {row['told']}", markup=False, soft_wrap=True
        )
    console.print(f"failures since the last success: {rows[-1]['failures'] if rows else 0}")


def _show_all(found: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    if not found:
        say("no faults yet")
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("asked for", "lane", "failed trainings", "failed verdicts", "last fault"):
        table.add_column(name, overflow="fold", no_wrap=name == "asked for")
    for row in found:
        table.add_row(
            row["root_run"], row["lane"], str(row["training_failures"]), str(row["gate_failures"]), row["last"]
        )
    Console(highlight=False).print(table)


def _summary(home: Path, lineage: Lineage) -> dict[str, Any]:
    events = lineage.events()
    stands = standing(home, lineage.root_run, RecoverySettings())
    faults = [event.classified.fault.value for event in events if event.classified]
    return {
        "root_run": lineage.root_run,
        "lane": events[-1].lane if events else "",
        "runs": sorted(strikes.runs_of(events)),
        "training_failures": stands.training_failures,
        "gate_failures": stands.gate_failures,
        "last": faults[-1].replace("_", " ") if faults else "-",
    }


def _lineages(home: Path) -> list[Lineage]:
    paths = sorted((home / FOLDER).glob("*.jsonl"), key=lambda path: path.stat().st_mtime)
    return [Lineage(home, path.stem) for path in paths]


def _find(home: Path, run: str) -> Lineage:
    found = {
        lineage.root_run: lineage
        for lineage in _lineages(home)
        if any(name.startswith(run) for name in (lineage.root_run, *strikes.runs_of(lineage.events())))
    }
    if len(found) != 1:
        problem = "no faults are known of such a run" if not found else "several lineages have such a run"
        raise UsageError(problem, key="run", value=run, hint="interlock recovery lists them")
    return next(iter(found.values()))
