"""Every command has help with an example, and the exit codes are stated."""

import re
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from interlock.cli.main import app


def commands(command, path=()):
    found = getattr(command, "commands", None)
    if not found:
        yield path, command
    for name, child in (found or {}).items():
        yield from commands(child, (*path, name))


DOCUMENTED = Path(__file__).resolve().parents[3] / "docs" / "cli.md"
ALL = list(commands(typer.main.get_command(app)))


def test_the_documented_commands_are_those_that_exist():
    documented = re.findall(r"^##+ `interlock (.+)`$", DOCUMENTED.read_text(), flags=re.MULTILINE)
    groups = {path[0] for path, _ in ALL if len(path) > 1}
    assert {name for name in documented if name not in groups} == {" ".join(path) for path, _ in ALL}, "call make docs"


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
