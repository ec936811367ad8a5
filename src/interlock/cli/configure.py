"""Commands about configuration: init, compose, validate, explain, pipeline render."""

from typing import Annotated

import typer

from interlock.cli.options import Json, Lane, new_app, workspace

PANEL = "Configure"
app = new_app()
pipeline = new_app(help="The DVC pipeline file: render it, check it.")
app.add_typer(pipeline, name="pipeline", rich_help_panel=PANEL)


@app.command(rich_help_panel=PANEL, epilog="Example: interlock init my_questions --data /data/my_questions")
def init(
    name: Annotated[str, typer.Argument(help="Name of the new experiment.")],
    data: Annotated[str, typer.Option("--data", help="A BEIR folder, or an npz file with vectors.")],
    as_json: Json = False,
) -> None:
    """Make an experiment from your own data: checks it, writes at most ten lines of YAML, says what comes next."""
    from interlock.commands import init as command

    command.init(workspace(), name, data=data, as_json=as_json)


@app.command(rich_help_panel=PANEL, epilog="Example: interlock compose --print")
def compose(
    show: Annotated[bool, typer.Option("--print", help="Print the composed YAML instead of writing it.")] = False,
    as_json: Json = False,
) -> None:
    """Compose conf/ and params.yaml into params/LANE.yaml, validating everything first."""
    from interlock.commands import config

    config.compose(workspace(), show=show, as_json=as_json)


@app.command(rich_help_panel=PANEL, epilog="Example: interlock validate lane=query_tower lane.optimizer.lr=1e-3")
def validate(
    overrides: Annotated[list[str] | None, typer.Argument(help="Hydra overrides; none: params.yaml.")] = None,
    as_json: Json = False,
) -> None:
    """Check a configuration and list every fault at once; writes nothing."""
    from interlock.commands import config

    config.validate(workspace(), overrides or [], as_json=as_json)


@app.command(rich_help_panel=PANEL, epilog="Example: interlock explain lane.optimizer.lr")
def explain(
    key: Annotated[str, typer.Argument(help="Dotted key or group, e.g. lane.trainer.epochs or trainer.")],
    lane: Lane = None,
    as_json: Json = False,
) -> None:
    """Say what a key means, where it was set, and how each door spells an override."""
    from interlock.commands import config

    config.explain(workspace(), key, lane=lane, as_json=as_json)


@pipeline.command("render", epilog="Example: interlock pipeline render --check")
def pipeline_render(
    check: Annotated[bool, typer.Option("--check", help="Only say whether dvc.yaml is up to date.")] = False,
) -> None:
    """Write dvc.yaml for the lanes and the data of params.yaml."""
    from interlock.commands import config

    config.render(workspace(), check=check)
