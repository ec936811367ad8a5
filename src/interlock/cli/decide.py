"""Commands that decide and explain: decide, why; drive and answers stand here, too."""

from pathlib import Path
from typing import Annotated

import typer

from interlock.cli.options import Json, Run, new_app, workspace

PANEL = "Decide"
app = new_app()


@app.command(
    rich_help_panel=PANEL,
    epilog="Example: interlock decide 3f2a llm=anthropic llm.mode=live budget.usd=0.5",
)
def decide(
    run_id: Run,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(help="Hydra overrides of agents, llm, prices, budget, max_attempts, e.g. llm=anthropic."),
    ] = None,
    replay: Annotated[
        bool, typer.Option("--replay", help="Make the recorded decision again from its own files; no key, no network.")
    ] = False,
    decision: Annotated[
        str, typer.Option("--decision", help="Which decision to replay, by a beginning of its id; the newest.")
    ] = "",
    person: Annotated[str, typer.Option("--as", help="Your name: you decide, inside the same set of actions.")] = "",
    action: Annotated[str, typer.Option(help="With --as: what to do, e.g. retrain.")] = "",
    values: Annotated[
        list[str] | None, typer.Option("--set", help="With --as and retrain: KEY=VALUE of the search space.")
    ] = None,
    reason: Annotated[str, typer.Option(help="With --as: why, in a sentence.")] = "",
    as_json: Json = False,
) -> None:
    """Decide upon a judged run by the configured policy, a model or a person, and record the decision."""
    from interlock.commands import decide as command

    asked = command.Asked(
        overrides=tuple(overrides or ()),
        replay=replay,
        decision=decision,
        person=person,
        action=action,
        values=tuple(values or ()),
        reason=reason,
    )
    raise typer.Exit(command.decide(workspace(), run_id, asked, as_json=as_json))


@app.command(rich_help_panel=PANEL, epilog="Example: interlock why 3f2a")
def why(
    run_id: Run,
    decision: Annotated[
        str, typer.Option("--decision", help="Which of several, by a beginning of its id; the newest by default.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Show the chain from a decision to its evidence, each digest checked now; exit code 1 where a link is broken."""
    from interlock.commands import why as command

    raise typer.Exit(command.why(workspace(), run_id, decision=decision, as_json=as_json))


@app.command(
    rich_help_panel=PANEL,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog="Example: interlock drive lane=query_tower max_attempts=4 budget.usd=2",
)
def drive(context: typer.Context) -> None:
    """Run, judge, decide, change what the decision proposes inside its bounds, run again, until a run is accepted.

    Everything after `drive` is Hydra overrides of one configuration. The same command again goes on where it was.
    """
    from interlock.commands import drive as command

    raise typer.Exit(command.drive(workspace(), context.args))


drives = new_app(help="Drives: list them, show the path of one.")
app.add_typer(drives, name="drives", rich_help_panel=PANEL)


@drives.callback(invoke_without_command=True, no_args_is_help=False, epilog="Example: interlock drives")
def drives_alone(context: typer.Context, as_json: Json = False) -> None:
    """Drives: list them, show the path of one."""
    if context.invoked_subcommand is None:
        from interlock.commands import drives as command

        raise typer.Exit(command.list_all(workspace(), as_json=as_json))


@drives.command("list", epilog="Example: interlock drives list")
def drives_list(as_json: Json = False) -> None:
    """List drives, newest first; `interlock drives` alone does the same."""
    from interlock.commands import drives as command

    raise typer.Exit(command.list_all(workspace(), as_json=as_json))


@drives.command("show", epilog="Example: interlock drives show 3f2a")
def drives_show(
    drive: Annotated[str, typer.Argument(help="Drive id or a unique beginning of it.")], as_json: Json = False
) -> None:
    """Show the attempts of a drive, what changed between them, why, and where it ended."""
    from interlock.commands import drives as command

    command.show(workspace(), drive, as_json=as_json)


@app.command(
    rich_help_panel=PANEL,
    epilog="Example: interlock release query_tower_docstrings --evidence shadow.json llm=anthropic",
)
def release(
    model: Annotated[str, typer.Argument(metavar="MODEL_OR_RUN", help="Model or run id, or a unique beginning of it.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Hydra overrides of agents, llm, prices, budget, release.")
    ] = None,
    evidence: Annotated[
        Path | None, typer.Option("--evidence", help="shadow.json: what was observed beside production.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Decide whether a model goes live: GO, SHADOW ONLY, PAUSE_AND_FIX, REJECT, with the three executives' votes."""
    from interlock.commands import release as command

    raise typer.Exit(command.release(workspace(), model, overrides or [], evidence=evidence, as_json=as_json))


@app.command(rich_help_panel=PANEL, epilog="Example: interlock answer query_tower reranker")
def answer(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="LANE", help="Lanes of params.yaml, all by default; KEY=VALUE overrides."),
    ] = None,
    jobs: Annotated[
        list[str] | None, typer.Option("--job", help="Id of a job card in place of lanes; repeat it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Answer a job: several lanes into one verdict, read from their judgements, and the architect's decision."""
    from interlock.commands import answer as command

    raise typer.Exit(command.answer(workspace(), words or [], jobs=jobs or [], as_json=as_json))
