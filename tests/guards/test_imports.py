"""Every module can be imported by itself, and commands, judging and records stay free of heavy libraries."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    "anthropic", "dvc", "faiss", "google", "httpx2", "hydra", "instructor", "lightning", "matplotlib", "numba",
    "omegaconf", "onnx", "onnxruntime", "openai", "pandas", "pyarrow", "pymc", "scipy", "sklearn", "torch",
    "transformers", "wandb",
}  # fmt: skip
LIGHT_PACKAGES = ("contracts", "decisions", "provenance", "registry")
LOADED = "import json, sys; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"


def _modules(repository: Path, package: str = "") -> list[str]:
    source = repository / "src"
    files = sorted((source / "interlock" / package).rglob("*.py"))
    parts = [file.relative_to(source).with_suffix("").parts for file in files]
    return [".".join(part[:-1] if part[-1] == "__init__" else part) for part in parts]


def _python(repository: Path, code: str) -> subprocess.CompletedProcess[str]:
    prelude = f"import sys; sys.path.insert(0, {str(repository / 'src')!r})\n"
    return subprocess.run(
        [sys.executable, "-c", prelude + code], capture_output=True, text=True, check=False, timeout=200
    )


def _heavy_after(repository: Path, modules: list[str]) -> set[str]:
    done = _python(repository, "\n".join([*(f"import {name}" for name in modules), LOADED]))
    assert done.returncode == 0, done.stderr
    return HEAVY & set(json.loads(done.stdout))


def test_the_command_line_loads_nothing_heavy(repository: Path) -> None:
    assert _heavy_after(repository, ["interlock.cli.main"]) == set()


@pytest.mark.parametrize("package", LIGHT_PACKAGES)
def test_records_and_rules_load_nothing_heavy(repository: Path, package: str) -> None:
    assert _heavy_after(repository, _modules(repository, package)) == set()


def test_gates_load_no_training_library(repository: Path) -> None:
    assert _heavy_after(repository, _modules(repository, "gates")) <= {"scipy"}


def test_lane_names_load_nothing_heavy(repository: Path) -> None:
    code = ["interlock.lanes.catalog as catalog", "interlock.lanes.query_tower.spec"]
    assert _heavy_after(repository, code) == set()


def test_every_module_imports_silently(repository: Path) -> None:
    modules = _modules(repository)
    assert len(modules) > 20
    done = _python(repository, f"import importlib\nfor name in {modules!r}: importlib.import_module(name)")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


def test_packages_hold_a_docstring_only(repository: Path) -> None:
    """Facades would widen the import closure of every stage, and with it what makes a stage run again."""
    package = repository / "src" / "interlock"
    loaded = [
        str(file.relative_to(package))
        for file in sorted(package.rglob("__init__.py"))
        if any(line.startswith(("import ", "from ")) for line in file.read_text(encoding="utf-8").splitlines())
    ]
    assert loaded == []
