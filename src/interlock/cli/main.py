"""The entry point of `interlock`. Every command imports what it needs when it runs, so that help is instant.

Exit codes: 0 pass, 1 error, 2 usage or configuration, 3 fail, 4 inconclusive, 5 blocked, 130 interrupted.
"""

import sys

import typer

from interlock.cli import configure, look, proof, team, work
from interlock.errors import ExitCode, InterlockError

app = typer.Typer(
    help="Interlock: people and language models propose, proven gates decide.",
    epilog="Exit codes: 0 pass, 1 error, 2 usage or configuration, 3 fail, 4 inconclusive, 5 blocked, 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
for room in (configure, work, look, proof, team):
    app.add_typer(room.app)


def main() -> None:
    """Run one command; errors become sentences and exit codes."""
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


if __name__ == "__main__":
    main()
