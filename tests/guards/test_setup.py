"""The environment is made again exactly when it must be: half-made, moved, of another lock."""

import importlib.util
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

WANTED = {"runtime": "r1", "dev": "d1", "project": "p1"}
RUNTIME_ONLY = {"runtime": "r1", "project": "p1"}


@pytest.fixture(scope="module")
def environment(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("environment", repository / "tools" / "environment.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("found", "wanted", "steps"),
    [
        (WANTED, WANTED, []),
        (WANTED, RUNTIME_ONLY, []),
        (None, RUNTIME_ONLY, ["create", "runtime", "project"]),
        (None, WANTED, ["create", "runtime", "dev", "project"]),
        ({"busy": "runtime"}, RUNTIME_ONLY, ["create", "runtime", "project"]),
        ({**WANTED, "busy": "dev"}, WANTED, ["create", "runtime", "dev", "project"]),
        ({**WANTED, "runtime": "r0"}, WANTED, ["create", "runtime", "dev", "project"]),
        ({**WANTED, "dev": "d0"}, WANTED, ["create", "runtime", "dev", "project"]),
        ({**WANTED, "dev": "d0"}, RUNTIME_ONLY, []),
        (RUNTIME_ONLY, WANTED, ["dev"]),
        ({**WANTED, "project": "p0"}, WANTED, ["project"]),
        ({"runtime": "r1"}, WANTED, ["dev", "project"]),
    ],
)
def test_the_plan(
    environment: ModuleType, found: dict[str, str] | None, wanted: dict[str, str], steps: list[str]
) -> None:
    assert environment.plan(found, wanted) == steps


def test_a_moved_environment_is_another_one(environment: ModuleType, repository: Path, tmp_path: Path) -> None:
    here, there = (environment.wanted_stamp(repository, tmp_path / name, dev=True) for name in "ab")
    assert here["runtime"] != there["runtime"]
    assert here["dev"] == there["dev"]


@pytest.mark.parametrize("content", ["", "{", "[]", "null"])
def test_an_unreadable_stamp_counts_as_none(environment: ModuleType, tmp_path: Path, content: str) -> None:
    (tmp_path / environment.STAMP).write_text(content)
    assert environment.read_stamp(tmp_path) is None


def test_a_folder_that_is_no_environment_is_never_removed(environment: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(SystemExit, match="not a virtual environment"):
        environment.create(tmp_path)
    assert (tmp_path / "thesis.txt").exists()


def test_make_help_lists_every_target(repository: Path) -> None:
    shown = subprocess.run(["make", "help"], cwd=repository, capture_output=True, text=True, check=True).stdout
    for target in ("help", "run", "test", "test-all", "check", "bench", "docs", "clean", "lock"):
        assert f"make {target} " in shown


def test_make_without_a_python_says_so(repository: Path) -> None:
    done = subprocess.run(
        ["make", "run", "PYTHON="], cwd=repository, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode != 0
    assert "Python 3.11 or newer is needed" in done.stderr


def test_continuous_integration_runs_make_test_alone(repository: Path) -> None:
    script = repository / ".ci" / "run"
    commands = [line for line in script.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    assert commands[-1] == "exec make test"
    assert script.stat().st_mode & 0o111
