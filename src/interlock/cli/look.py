"""Commands that show what was run: report, diff, runs, track."""

from pathlib import Path
from typing import Annotated

import typer

from interlock.cli.options import Json, Run, new_app, workspace

PANEL = "Look"
app = new_app()
runs = new_app(help="Archived runs: list them with a filter, show one.")
app.add_typer(runs, name="runs", rich_help_panel=PANEL)
track = new_app(help="W&B, the mirror: what it has of each run, send what it lacks.")
app.add_typer(track, name="track", rich_help_panel=PANEL)


@app.command(rich_help_panel=PANEL, epilog="Example: interlock report 3f2a --out page.html")
def report(
    runs: Annotated[
        list[str] | None, typer.Argument(help="Run ids or beginnings; none: the present run of every lane.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File to write; artifacts/report.html by default.")] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    as_json: Json = False,
) -> None:
    """Write one HTML page of the experiment, or of the runs named; it needs no network to be read."""
    from interlock.commands import report as command

    command.report(workspace(), runs or [], out=out, show=show, as_json=as_json)


@app.command(rich_help_panel=PANEL, epilog="Example: interlock diff 3f2a 9b01 --html difference.html")
def diff(
    run_a: Annotated[str, typer.Argument(help="Run id or a unique beginning of it: what it was.")],
    run_b: Annotated[str, typer.Argument(help="The other run: what it is now.")],
    html: Annotated[Path | None, typer.Option(help="Also write a page.")] = None,
    as_json: Json = False,
) -> None:
    """Say what two runs differ in: configuration, data, code, environment, metrics, verdicts, single queries."""
    from interlock.commands import compare

    compare.diff(workspace(), run_a, run_b, html=html, as_json=as_json)


@app.command(rich_help_panel=PANEL, epilog="Example: interlock recovery 3f2a")
def recovery(
    run: Annotated[
        str | None, typer.Argument(help="Run id or a unique beginning of it; none: every lineage with a fault.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what went wrong with trainings, what was done about it, and how often each lineage has failed."""
    from interlock.commands import recovery as command

    command.recovery(workspace(), run, as_json=as_json)


@runs.command("list", epilog="Example: interlock runs list --filter 'verdict=pass metrics.r_at_5>0.6' --sort -seed")
def runs_list(
    filter_by: Annotated[
        str,
        typer.Option(
            "--filter",
            help="Comparisons that must all hold, e.g. 'lane=query_tower seed>=2 metrics.r_at_5>0.6 dataset~docs'.",
        ),
    ] = "",
    sort: Annotated[str, typer.Option(help="Key to sort by, e.g. metrics.r_at_5; -KEY: largest first.")] = "",
    limit: Annotated[int | None, typer.Option(help="Show no more than this many.")] = None,
    as_json: Json = False,
) -> None:
    """List archived runs, newest first; --filter picks by verdict, lane, dataset, seed, trained, sweep, metrics ..."""
    from interlock.commands import records

    records.list_runs(workspace(), expression=filter_by, sort=sort, limit=limit, as_json=as_json)


@runs.command("show", epilog="Example: interlock runs show 3f2a")
def runs_show(run_id: Run, as_json: Json = False) -> None:
    """Show one archived run: card, results, judgements, attempts."""
    from interlock.commands import records

    records.show_run(workspace(), run_id, as_json=as_json)


@track.command("status", epilog="Example: interlock track status --json")
def track_status(as_json: Json = False) -> None:
    """Say of each tracked run what W&B has of it, and what is still pending."""
    from interlock.commands import track as command

    command.status(workspace(), as_json=as_json)


@track.command("sync", epilog="Example: interlock track sync 3f2a --set tracking=wandb")
def track_sync(
    run_id: Annotated[str | None, typer.Argument(help="Run id or a unique beginning of it; none: all runs.")] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Hydra override of tracking, e.g. tracking=wandb.")
    ] = None,
    wait_s: Annotated[float, typer.Option("--wait", min=0.0, help="Longest time in seconds to wait per run.")] = 600.0,
    as_json: Json = False,
) -> None:
    """Send W&B what it does not have yet of archived and failed runs; sends nothing twice."""
    from interlock.commands import track as command

    raise typer.Exit(command.sync(workspace(), run_id, overrides or [], wait_s=wait_s, as_json=as_json))
