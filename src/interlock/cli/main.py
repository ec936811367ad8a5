"""The entry point of `interlock`. Every command imports what it needs when it runs, so that help is instant.

Exit codes: 0 pass, 1 error, 2 usage or configuration, 3 fail, 4 inconclusive, 5 blocked, 130 interrupted.
"""

import sys

import typer

from interlock.cli import configure, decide, jobs, look, people, proof, team, work
from interlock.errors import ExitCode, InterlockError

app = typer.Typer(
    help="Interlock: people and language models propose, proven gates decide.",
    epilog="Exit codes: 0 pass, 1 error, 2 usage or configuration, 3 fail, 4 inconclusive, 5 blocked, 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
for room in (configure, work, decide, jobs, look, proof, people, team):
    app.add_typer(room.app)


def main() -> None:
    """Run one command; errors become sentences and exit codes."""
    try:
        app()
    except InterlockError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except SystemExit as ended:
        # Typer makes this code of Ctrl-C, without a word; a command that only reports it speaks for itself.
        if ended.code == ExitCode.INTERRUPTED and isinstance(_cause(ended), KeyboardInterrupt):
            print("interrupted: what was finished is kept; the same command goes on from there", file=sys.stderr)
        raise
    except OSError as error:
        print(f"ERROR: {_explained(error)}", file=sys.stderr)
        sys.exit(ExitCode.ERROR)


def _cause(ended: SystemExit) -> BaseException | None:
    return ended.__context__.__cause__ if ended.__context__ else None


def _explained(error: OSError) -> str:
    """One sentence with the file's name and the way out, which is another one where the folder is missing."""
    from interlock.stages.entry import explained

    if isinstance(error, FileNotFoundError | NotADirectoryError) and error.filename:
        return f"{error.filename}: {error.strerror}\n  way out: check the path; its folder must exist"
    return explained(error)


if __name__ == "__main__":
    main()
