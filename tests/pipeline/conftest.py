"""A workspace of its own for every test: the real code, the real pipelines, real git and DVC, and the toy lane."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Workspace:
    """A checkout in a temporary folder and the commands a user types in it."""

    path: Path
    env: dict[str, str]

    def run(self, *command: str, code: int = 0, cwd: Path | None = None) -> str:
        """Run a command; its exit code must be `code`. Returns stdout and stderr together."""
        done = subprocess.run(
            command,
            cwd=cwd or self.path,
            env=self.env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=280,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == code, f"{command} ended with {done.returncode}, not {code}\n{done.stdout}"
        return done.stdout

    def repro(self, *arguments: str, code: int = 0) -> list[str]:
        """`dvc repro`; returns the names of the stages that really ran, in order."""
        output = self.run("dvc", "repro", *arguments, code=code)
        return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")]

    def interlock(self, *arguments: str, code: int = 0) -> str:
        """`interlock ...`."""
        return self.run("interlock", *arguments, code=code)

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace text in a file; it must be there."""
        path = self.path / file
        text = path.read_text()
        assert old in text, f"{old!r} is not in {file}"
        path.write_text(text.replace(old, new))


@pytest.fixture(scope="session")
def finished_workspace(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Gives a folder with the given lanes, rendered and committed; it is made once and copied by every test."""
    made: dict[tuple[object, ...], Path] = {}

    def finished(lanes: tuple[str, ...], *, git: bool, ran: bool) -> Path:
        key = (lanes, git, ran)
        if key not in made:
            made[key] = path = tmp_path_factory.mktemp("workspace") / "checkout"
            if ran:
                shutil.copytree(finished(lanes, git=git, ran=False), path, symlinks=True)
                Workspace(path, _environment(path)).repro()
            else:
                _make(Workspace(path, _environment(path)), lanes, git=git)
        return made[key]

    return finished


@pytest.fixture(scope="session")
def open_workspace() -> Callable[[Path], Workspace]:
    """The commands of a workspace that stands in a folder already."""
    return lambda path: Workspace(path, _environment(path))


def _make(workspace: Workspace, lanes: tuple[str, ...], *, git: bool) -> None:
    path = workspace.path
    path.mkdir()
    for part in ("src/interlock", "src/hydra_plugins", "pipelines", "conf"):
        shutil.copytree(ROOT / part, path / part)  # compiled files, too: every process of a test would compile anew
    for part in ("requirements.lock", ".dvcignore", ".gitignore"):
        shutil.copy(ROOT / part, path / part)
    (path / "params.yaml").write_text(
        f"experiment: default\nlanes: [{', '.join(lanes)}]\noverrides: {{}}\nlane_overrides: {{}}\n"
    )
    if git:
        workspace.run("git", "init", "--quiet", "--initial-branch=main")
    workspace.run("dvc", "init", "--quiet", *([] if git else ["--no-scm"]))
    workspace.run("dvc", "config", "core.analytics", "false")
    workspace.interlock("pipeline", "render")
    if git:
        workspace.run("git", "add", "--all")
        workspace.run("git", "commit", "--quiet", "--message", "start")


@pytest.fixture
def make_workspace(tmp_path: Path, finished_workspace: Callable[..., Path]) -> Callable[..., Workspace]:
    """Make a workspace with the given lanes, rendered and committed, and with `ran` run by `dvc repro`, too."""

    def make(
        name: str = "checkout", *, lanes: tuple[str, ...] = ("toy",), git: bool = True, ran: bool = False
    ) -> Workspace:
        path = tmp_path / name
        shutil.copytree(finished_workspace(lanes, git=git, ran=ran), path, symlinks=True)
        return Workspace(path, _environment(path))

    return make


@pytest.fixture
def workspace(make_workspace: Callable[..., Workspace]) -> Workspace:
    """A workspace that runs the toy lane."""
    return make_workspace()


@pytest.fixture
def ran_workspace(make_workspace: Callable[..., Workspace]) -> Workspace:
    """The same after `dvc repro`."""
    return make_workspace(ran=True)


def _environment(path: Path) -> dict[str, str]:
    """This interpreter's tools first, this workspace's code before the installed one, no settings from outside."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "DVC_", "INTERLOCK_"))}
    return kept | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": f"{path / 'src'}{os.pathsep}{ROOT / 'tests' / 'plugins'}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "GIT_AUTHOR_NAME": "Tester",
        "GIT_AUTHOR_EMAIL": "tester@example.org",
        "GIT_COMMITTER_NAME": "Tester",
        "GIT_COMMITTER_EMAIL": "tester@example.org",
        "NO_COLOR": "1",
        "COLUMNS": "160",
    }
