"""The command line: `interlock COMMAND`. Every command imports what it needs when it runs, so that help is instant.

Exit codes: 0 pass, 1 error, 2 usage or configuration, 3 fail, 4 inconclusive, 5 blocked, 130 interrupted.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from interlock.errors import ExitCode, InterlockError

app = typer.Typer(
    help="Interlock: people and language models propose, proven gates decide.",
    epilog="Exit codes: 0 pass, 1 error, 2 usage or configuration, 3 fail, 4 inconclusive, 5 blocked, 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
runs_app = typer.Typer(help="Archived runs.", no_args_is_help=True, rich_markup_mode=None)
registry_app = typer.Typer(help="Registered models.", no_args_is_help=True, rich_markup_mode=None)
pipeline_app = typer.Typer(help="The DVC pipeline file.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(runs_app, name="runs")
app.add_typer(registry_app, name="registry")
app.add_typer(pipeline_app, name="pipeline")

Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
Lane = Annotated[str | None, typer.Option("--lane", help="Name of the lane; the first of params.yaml by default.")]


def main() -> None:
    """Entry point of the `interlock` script."""
    try:
        app()
    except InterlockError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted: finished stages are kept, the next run resumes", file=sys.stderr)
        sys.exit(ExitCode.INTERRUPTED)
    except OSError as error:
        from interlock.stages.entry import explained

        print(f"ERROR: {explained(error)}", file=sys.stderr)
        sys.exit(ExitCode.ERROR)


def _workspace() -> Path:
    from interlock.provenance.workspace import find_workspace

    return find_workspace(Path.cwd())


@app.command(epilog="Example: interlock compose --print")
def compose(
    show: Annotated[bool, typer.Option("--print", help="Print the composed YAML instead of writing it.")] = False,
    as_json: Json = False,
) -> None:
    """Compose conf/ and params.yaml into params/LANE.yaml, validating everything first."""
    from interlock.commands import config

    config.compose(_workspace(), show=show, as_json=as_json)


@app.command(epilog="Example: interlock validate lane=query_tower lane.optimizer.lr=1e-3")
def validate(
    overrides: Annotated[list[str] | None, typer.Argument(help="Hydra overrides; none: params.yaml.")] = None,
    as_json: Json = False,
) -> None:
    """Check a configuration and list every fault at once; writes nothing."""
    from interlock.commands import config

    config.validate(_workspace(), overrides or [], as_json=as_json)


@app.command(epilog="Example: interlock explain lane.optimizer.lr")
def explain(
    key: Annotated[str, typer.Argument(help="Dotted key or group, e.g. lane.trainer.epochs or trainer.")],
    lane: Lane = None,
    as_json: Json = False,
) -> None:
    """Say what a key means, where it was set, and how each door spells an override."""
    from interlock.commands import config

    config.explain(_workspace(), key, lane=lane, as_json=as_json)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog="Example: interlock run -m lane.optimizer.lr=1e-3,3e-4 seed=1,2,3",
)
def run(context: typer.Context) -> None:
    """Run a lane without DVC. Everything after `run` goes to Hydra as it stands: -m sweeps, --cfg job prints."""
    from interlock.commands.run import run_hydra

    raise typer.Exit(run_hydra(_workspace(), context.args))


@app.command(epilog="Example: interlock judge 3f2a --set lane.gates.r_at_5.target=0.6")
def judge(
    run_id: Annotated[str, typer.Argument(help="Run id or a unique beginning of it.")],
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", help="Hydra override of the gates: prints what would be, keeps nothing."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Judge an archived run again with the gates of conf/ and params.yaml; never trains. With --set: not kept."""
    from interlock.commands import records

    raise typer.Exit(records.judge(_workspace(), run_id, overrides or [], as_json=as_json))


@app.command(epilog="Example: interlock status --json")
def status(as_json: Json = False) -> None:
    """Show each lane's verdict with the reason for every gate; exits with the verdict's code."""
    from interlock.commands import status as command

    raise typer.Exit(command.status(_workspace(), as_json=as_json))


@app.command(epilog="Example: interlock sync")
def sync(as_json: Json = False) -> None:
    """Archive finished runs and index them; safe to repeat."""
    from interlock.commands import records

    raise typer.Exit(records.sync(_workspace(), as_json=as_json))


@runs_app.command("list", epilog="Example: interlock runs list --json")
def runs_list(as_json: Json = False) -> None:
    """List archived runs, newest first."""
    from interlock.commands import records

    records.list_runs(_workspace(), as_json=as_json)


@runs_app.command("show", epilog="Example: interlock runs show 3f2a")
def runs_show(
    run_id: Annotated[str, typer.Argument(help="Run id or a unique beginning of it.")], as_json: Json = False
) -> None:
    """Show one archived run: card, results, judgements, attempts."""
    from interlock.commands import records

    records.show_run(_workspace(), run_id, as_json=as_json)


@registry_app.command("list", epilog="Example: interlock registry list")
def registry_list(as_json: Json = False) -> None:
    """List registered models with verdict and stage."""
    from interlock.commands import records

    records.list_models(_workspace(), as_json=as_json)


@registry_app.command("show", epilog="Example: interlock registry show query_tower_docstrings_20260101_nogit00_3f2a")
def registry_show(
    model: Annotated[str, typer.Argument(help="Model id or a unique beginning of it.")], as_json: Json = False
) -> None:
    """Show one model with the history of its stages."""
    from interlock.commands import records

    records.show_model(_workspace(), model, as_json=as_json)


@registry_app.command("rebuild", epilog="Example: interlock registry rebuild")
def registry_rebuild(as_json: Json = False) -> None:
    """Rebuild the index from events and archived records; loses nothing."""
    from interlock.commands import records

    records.rebuild(_workspace(), as_json=as_json)


@pipeline_app.command("render", epilog="Example: interlock pipeline render --check")
def pipeline_render(
    check: Annotated[bool, typer.Option("--check", help="Only say whether dvc.yaml is up to date.")] = False,
) -> None:
    """Write dvc.yaml from the composed configuration and the imports of each stage."""
    from interlock.commands import config

    config.render(_workspace(), check=check)


if __name__ == "__main__":
    main()
