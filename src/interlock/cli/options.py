"""What the commands share: options that mean the same everywhere, and the workspace they work in."""

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
Lane = Annotated[str | None, typer.Option("--lane", help="Name of the lane; the first of params.yaml by default.")]
Run = Annotated[str, typer.Argument(help="Run id or a unique beginning of it.")]
Remote = Annotated[
    Path | None, typer.Option("--remote", help="Shared folder; by default DVC's default remote when it is a folder.")
]


def new_app(help: str | None = None) -> typer.Typer:
    """A group of commands; without `help` its commands stand directly under `interlock`."""
    return typer.Typer(help=help, no_args_is_help=True, rich_markup_mode="rich")


def workspace() -> Path:
    """The project that the current folder lies in; UsageError outside of one."""
    from interlock.provenance.workspace import find_workspace

    return find_workspace(Path.cwd())
