"""What every committed file keeps to: size, no trace of a machine, a changelog that follows the version."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

import interlock

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 80
# Joined from pieces, so that this file does not match itself.
MACHINE_TRACES = re.compile(
    "|".join(
        [
            r"(?<![\w.])/" + r"(?:work|root)/\w",
            r"(?<![\w.])/" + r"(?:home|Users)/[\w.-]+/",
            r"(?<![\w.])/" + r"tmp/(?!$)\w+/",
            r"file" + r":///\w",
            r"pypi\." + r"org|pythonhosted\." + r"org|download\.pytorch\." + r"org",
        ]
    )
)
TEXT_SUFFIXES = {"", ".py", ".toml", ".yaml", ".yml", ".md", ".lock", ".json", ".cfg", ".txt", ".sh", ".j2", ".csv"}


def _committed(repository: Path) -> list[Path]:
    """Files under version control, or about to be; without git, what is not hidden, built or cached."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0 and (repository / ".git").exists():
        names = [repository / name for name in listed.stdout.split("\0") if name]
    else:
        folders = ("src", "tests", "conf", "pipelines", "tools", "benchmarks", "docs")
        names = [
            path for folder in folders for path in (repository / folder).rglob("*") if "__pycache__" not in path.parts
        ]
    return [path for path in names if path.is_file() and path.suffix in TEXT_SUFFIXES]


def _python_files(repository: Path, *folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (repository / folder).rglob("*.py"))


def test_no_file_remembers_a_machine(repository: Path) -> None:
    traces = []
    for path in _committed(repository):
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
            if found := MACHINE_TRACES.search(line):
                traces.append(f"{path.relative_to(repository)}:{number}: {found.group()}")
    assert traces == []


@pytest.mark.parametrize(
    "line",
    ["open('/" + "home/ann/x')", "see https://pypi" + ".org/simple", "/" + "tmp/w/venv/bin"],
)
def test_the_trace_pattern_finds_traces(line: str) -> None:
    assert MACHINE_TRACES.search(line)


@pytest.mark.parametrize("line", ["artifacts/work/x", "../shared/data", "a/home/b", "https://example.org/docs"])
def test_the_trace_pattern_lets_plain_paths_pass(line: str) -> None:
    assert not MACHINE_TRACES.search(line)


def test_files_are_short(repository: Path) -> None:
    lengths = {
        path: len(path.read_text(encoding="utf-8").splitlines())
        for path in _python_files(repository, "src", "pipelines")
    }
    too_long = {str(path.relative_to(repository)): lines for path, lines in lengths.items() if lines > FILE_LINES_MAX}
    assert too_long == {}


def test_functions_are_short(repository: Path) -> None:
    too_long = []
    for path in _python_files(repository, "src", "pipelines", "tools"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES_MAX:
                    too_long.append(f"{path.relative_to(repository)}:{node.lineno} {node.name}: {lines}")
    assert too_long == []


def test_pipeline_scripts_are_thin(repository: Path) -> None:
    scripts = {
        path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in _python_files(repository, "pipelines")
    }
    assert scripts
    assert {name: lines for name, lines in scripts.items() if lines > 40} == {}


def test_the_changelog_tells_of_this_version(repository: Path) -> None:
    text = (repository / "CHANGELOG.md").read_text(encoding="utf-8")
    section = re.search(
        rf"^## {re.escape(interlock.__version__)}\b.*?(?=^## |\Z)", text, flags=re.MULTILINE | re.DOTALL
    )
    assert section, f"CHANGELOG.md has no section for {interlock.__version__}"
    assert re.search(r"^- \S", section.group(), flags=re.MULTILINE), "the section is empty"


def test_what_a_newcomer_needs_stands_at_the_top(repository: Path) -> None:
    for name in ("README.md", "CHANGELOG.md", "LICENSE", "Makefile", ".ci/run", "dvc.yaml", "params.yaml"):
        assert (repository / name).is_file(), name
    assert "Apache License" in (repository / "LICENSE").read_text(encoding="utf-8")
