"""Commands about the registry and the team: registry, push, pull, serve, gc."""

from typing import Annotated

import typer

from interlock.cli.options import Json, Remote, new_app, workspace

PANEL = "Share and keep"
app = new_app()
registry = new_app(help="Registered models: list, show, history; promote, demote, rollback, retire; rebuild the index.")
app.add_typer(registry, name="registry", rich_help_panel=PANEL)


@registry.command("list", epilog="Example: interlock registry list")
def registry_list(as_json: Json = False) -> None:
    """List registered models with verdict and stage."""
    from interlock.commands import records

    records.list_models(workspace(), as_json=as_json)


@registry.command("show", epilog="Example: interlock registry show query_tower_docstrings_20260101_nogit00_3f2a")
def registry_show(
    model: Annotated[str, typer.Argument(help="Model id or a unique beginning of it.")], as_json: Json = False
) -> None:
    """Show one model with the history of its stages."""
    from interlock.commands import records

    records.show_model(workspace(), model, as_json=as_json)


By = Annotated[str, typer.Option("--by", help="Who does it; kept.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept.")]
Model = Annotated[str, typer.Argument(help="Model id or a unique beginning of it.")]


@registry.command("promote", epilog="Example: interlock registry promote MODEL --to staging --by Ada --reason best")
def registry_promote(
    model: Model,
    to: Annotated[str, typer.Option("--to", help="shadow, staging, canary or production.")],
    by: By,
    reason: Reason,
    share: Annotated[
        float | None, typer.Option("--share", help="With canary: percent of live requests that it answers.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Move a model forward; refused without a pass, intact files and, before it goes live, an approval."""
    from interlock.commands import promote as command

    command.promote(workspace(), model, to=to, by=by, reason=reason, share=share, as_json=as_json)


@registry.command("demote", epilog="Example: interlock registry demote MODEL --to shadow --by Ada --reason slow")
def registry_demote(
    model: Model,
    to: Annotated[str, typer.Option("--to", help="staging, shadow or candidate: one step back.")],
    by: By,
    reason: Reason,
    as_json: Json = False,
) -> None:
    """Move a model one step back."""
    from interlock.commands import promote as command

    command.demote(workspace(), model, to=to, by=by, reason=reason, as_json=as_json)


@registry.command("rollback", epilog="Example: interlock registry rollback MODEL --by Ada --reason errors")
def registry_rollback(
    model: Model,
    by: By,
    reason: Reason,
    to: Annotated[str, typer.Option("--to", help="Model to put back; the one before it by default.")] = "",
    as_json: Json = False,
) -> None:
    """Take a model out of production or canary and put back the one before it; needs no approval."""
    from interlock.commands import promote as command

    command.rollback(workspace(), model, to=to, by=by, reason=reason, as_json=as_json)


@registry.command("retire", epilog="Example: interlock registry retire MODEL --by Ada --reason superseded")
def registry_retire(model: Model, by: By, reason: Reason, as_json: Json = False) -> None:
    """Take a model out of whichever stage it is in."""
    from interlock.commands import promote as command

    command.retire(workspace(), model, by=by, reason=reason, as_json=as_json)


@registry.command("history", epilog="Example: interlock registry history MODEL")
def registry_history(model: Model, as_json: Json = False) -> None:
    """Show every stage that a model was in, who moved it, why, and under which approval."""
    from interlock.commands import promote as command

    command.history(workspace(), model, as_json=as_json)


@registry.command("rebuild", epilog="Example: interlock registry rebuild")
def registry_rebuild(as_json: Json = False) -> None:
    """Rebuild the index from events and archived records; loses nothing."""
    from interlock.commands import records

    records.rebuild(workspace(), as_json=as_json)


@app.command(rich_help_panel=PANEL, epilog="Example: interlock push --remote /mnt/team")
def push(
    remote: Remote = None,
    repair: Annotated[bool, typer.Option("--repair", help="Look at every file there; replace damaged ones.")] = False,
    as_json: Json = False,
) -> None:
    """Share archived runs, verdicts and promotions through a folder; data goes by dvc push."""
    from interlock.commands import team

    raise typer.Exit(team.push(workspace(), remote, repair=repair, as_json=as_json))


@app.command(rich_help_panel=PANEL, epilog="Example: interlock pull")
def pull(remote: Remote = None, as_json: Json = False) -> None:
    """Take over what others shared, once every byte is verified; what is refused is named."""
    from interlock.commands import team

    raise typer.Exit(team.pull(workspace(), remote, as_json=as_json))


@app.command(rich_help_panel=PANEL, epilog="Example: interlock serve --port 8765")
def serve(
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="Port; 0 takes a free one.")] = 8765,
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Allow an address that other machines can reach.")
    ] = False,
) -> None:
    """Serve the control API: cards, reservations, heartbeats, approvals; runs and models to read."""
    from interlock.commands import serve as command

    command.serve(workspace(), host=host, port=port, allow_remote=allow_remote)


@app.command(rich_help_panel=PANEL, epilog="Example: interlock gc --dry-run")
def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List with size and reason; remove nothing.")] = False,
    keep_days: Annotated[
        float, typer.Option("--keep-days", help="Keep what is unfinished unless untouched for so many days.")
    ] = 14.0,
    runs: Annotated[
        bool, typer.Option("--runs", help="Also archived runs that gave no model and that nothing refers to.")
    ] = False,
    state: Annotated[
        bool, typer.Option("--state", help="Also resume states of unfinished runs; these start anew then.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Remove what no card and no pointer needs. DVC's cache stays as it is: dvc gc."""
    from interlock.commands import gc as command

    command.gc(workspace(), dry_run=dry_run, keep_days=keep_days, runs=runs, state=state, as_json=as_json)
