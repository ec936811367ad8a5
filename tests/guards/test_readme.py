"""What the README shows exists: commands, options, files, overrides."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from interlock.cli.main import app
from interlock.config.compose import compose_lane, first_values
from interlock.config.hydra_main import overrides_of
from interlock.config.validate import validate

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```\n(.*?)```", README, re.S)
PARTS = [part for block in BLOCKS for line in block.splitlines() for part in re.split(r"&&|;", line)]
LINES = [part.split("#")[0].strip() for part in PARTS]
COMMANDS = [shlex.split(line) for line in LINES if line.startswith("interlock ")]


@pytest.mark.parametrize("words", COMMANDS, ids=[" ".join(words) for words in COMMANDS])
def test_commands_exist(words):
    command = typer.main.get_command(app)
    for word in words[1:]:
        children = getattr(command, "commands", None)
        if children is None:
            break
        assert word in children, f"README shows {' '.join(words)}"
        command = children[word]
    names = {name for parameter in command.params for name in parameter.opts}
    if command.name != "run":
        assert {word for word in words if word.startswith("--")} <= names


@pytest.mark.parametrize("words", [words for words in COMMANDS if words[1] == "run"], ids=" ".join)
def test_runs_are_valid(words):
    overrides = first_values(overrides_of(words[2:]))
    validate(compose_lane(ROOT / "conf", overrides), subject="README")


def test_make_targets_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"^make ([a-z-]+)", "\n".join(LINES), re.M)) <= targets


def test_linked_files_exist():
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert link.startswith("http") or (ROOT / link).exists(), link
    for path in re.findall(r"`(docs/[\w./]+|tests/[\w./]+|conf/[\w./]+)`", README):
        assert (ROOT / path).exists(), path
