"""Every command has help with an example, and the exit codes are stated."""

import pytest
import typer
from typer.testing import CliRunner

from interlock.cli import app


def commands(command, path=()):
    found = getattr(command, "commands", None)
    if not found:
        yield path, command
    for name, child in (found or {}).items():
        yield from commands(child, (*path, name))


ALL = list(commands(typer.main.get_command(app)))


def test_all_commands_of_the_spine_exist():
    assert {" ".join(path) for path, _ in ALL} == {
        "compose",
        "validate",
        "explain",
        "run",
        "judge",
        "status",
        "sync",
        "runs list",
        "runs show",
        "registry list",
        "registry show",
        "registry rebuild",
        "pipeline render",
    }


@pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(path) for path, _ in ALL])
def test_help_has_a_sentence_and_an_example(path, command):
    result = CliRunner().invoke(app, [*path, "--help"])
    assert result.exit_code == 0
    assert f"Example: interlock {' '.join(path)}" in " ".join(result.output.split())
    assert len((command.help or "").split()) >= 4


def test_exit_codes_are_stated():
    text = " ".join(CliRunner().invoke(app, ["--help"]).output.split())
    assert "3 fail, 4 inconclusive, 5 blocked, 130 interrupted" in text


def test_a_mistyped_command_is_a_usage_error():
    result = CliRunner().invoke(app, ["statsu"])
    assert result.exit_code == 2
