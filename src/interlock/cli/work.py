"""Commands that run and judge: run, status, sync, judge, sweep."""

from typing import Annotated

import typer

from interlock.cli.options import Json, Run, new_app, workspace

PANEL = "Run and judge"
app = new_app()
sweep = new_app(help="Sweeps: list them, rank the runs of one with intervals and ties.")
app.add_typer(sweep, name="sweep", rich_help_panel=PANEL)


@app.command(
    rich_help_panel=PANEL,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog="Example: interlock run -m lane.optimizer.lr=1e-3,3e-4 seed=1,2,3",
)
def run(context: typer.Context) -> None:
    """Run a lane without DVC. Everything after `run` goes to Hydra as it stands: -m sweeps, --cfg job prints."""
    from interlock.commands.run import run_hydra

    raise typer.Exit(run_hydra(workspace(), context.args))


@app.command(rich_help_panel=PANEL, epilog="Example: interlock status --json")
def status(as_json: Json = False) -> None:
    """Show each lane's verdict with the reason for every gate; exits with the verdict's code."""
    from interlock.commands import status as command

    raise typer.Exit(command.status(workspace(), as_json=as_json))


@app.command(rich_help_panel=PANEL, epilog="Example: interlock sync")
def sync(as_json: Json = False) -> None:
    """Archive finished runs and index them; safe to repeat."""
    from interlock.commands import records

    raise typer.Exit(records.sync(workspace(), as_json=as_json))


@app.command(rich_help_panel=PANEL, epilog="Example: interlock judge 3f2a --set lane.gates.r_at_5.target=0.6")
def judge(
    run_id: Run,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", help="Hydra override of the gates: prints what would be, keeps nothing."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Judge an archived run again with the gates of conf/ and params.yaml; never trains. With --set: not kept."""
    from interlock.commands import records

    raise typer.Exit(records.judge(workspace(), run_id, overrides or [], as_json=as_json))


@sweep.command("list", epilog="Example: interlock sweep list")
def sweep_list(as_json: Json = False) -> None:
    """List sweeps, newest first."""
    from interlock.commands import sweep as command

    command.list_all(workspace(), as_json=as_json)


@sweep.command("show", epilog="Example: interlock sweep show 3f2a")
def sweep_show(
    sweep: Annotated[str, typer.Argument(help="Sweep id or a unique beginning of it.")], as_json: Json = False
) -> None:
    """Rank the finished runs of a sweep, with intervals and ties; list the other jobs with the reason."""
    from interlock.commands import sweep as command

    command.show(workspace(), sweep, as_json=as_json)
