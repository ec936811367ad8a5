"""Imports point down only: the contracts of pyproject.toml hold, and they cover what the design lists."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def contracts(repository: Path) -> list[dict[str, object]]:
    settings = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))
    found: list[dict[str, object]] = settings["tool"]["importlinter"]["contracts"]
    return found


def test_every_import_contract_holds(repository: Path) -> None:
    command = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, 'src'); {command}"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_package_has_a_layer(contracts: list[dict[str, object]]) -> None:
    (layers,) = [contract for contract in contracts if contract["type"] == "layers"]
    assert layers["exhaustive"] is True
    assert "exhaustive_ignores" not in layers


@pytest.mark.parametrize("layer", ["contracts", "decisions", "errors", "gates", "provenance", "registry"])
def test_what_judges_never_loads_a_training_library(contracts: list[dict[str, object]], layer: str) -> None:
    (contract,) = [contract for contract in contracts if str(contract["name"]).startswith("What judges and records")]
    sources, forbidden = contract["source_modules"], contract["forbidden_modules"]
    assert isinstance(sources, list)
    assert isinstance(forbidden, list)
    assert f"interlock.{layer}" in sources
    assert {"torch", "lightning", "wandb", "instructor", "faiss", "pymc"} <= set(forbidden)
