"""Where things are: the workspace, the home of archive and registry, and whose code is running.

The home is shared by every checkout of a project, so that a run made in a temporary experiment folder or in a git
worktree is archived beside the others. Git and DVC are not called: their folders and pointer files are read. Does not
cover which files a stage uses (`interlock.provenance.closure`).
"""

import os
from pathlib import Path

import interlock
from interlock.errors import StageError, UsageError

HOME_VARIABLE = "INTERLOCK_HOME"
_EXPERIMENTS = (".dvc", "tmp", "exps")
_GIT_POINTER_MAX_BYTES = 4096


def find_workspace(start: Path) -> Path:
    """The nearest folder at or above `start` with `dvc.yaml`, or with `params.yaml` and `conf/`. Raises UsageError."""
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / "dvc.yaml").is_file() or ((folder / "params.yaml").is_file() and (folder / "conf").is_dir()):
            return folder
    raise UsageError(
        "no Interlock workspace here or above: neither dvc.yaml nor params.yaml with conf/",
        path=start,
        hint="change into the project's folder",
    )


def interlock_home(workspace: Path) -> Path:
    """Folder of archive, registry and resume states: `$INTERLOCK_HOME`, else `artifacts/` of the main checkout.

    A relative `$INTERLOCK_HOME` counts from the workspace, so that the answer does not depend on the current folder.
    The folder need not exist.
    """
    workspace = workspace.resolve()
    chosen = os.environ.get(HOME_VARIABLE, "").strip()
    if chosen:
        return (workspace / Path(chosen).expanduser()).resolve()
    return main_checkout(workspace) / "artifacts"


def main_checkout(workspace: Path) -> Path:
    """The workspace that `workspace` is a copy of: out of DVC's experiment folder, then out of a git worktree.

    The place inside the repository is kept: `<worktree>/sub` gives `<main>/sub`. Itself where it is no copy.
    """
    return _out_of_worktree(_out_of_experiment(workspace.resolve()))


def require_workspace_code(workspace: Path) -> None:
    """Raise StageError unless the running `interlock` lies under `<workspace>/src`.

    Otherwise the code digest would describe other code than the one that runs: an editable install points to one
    checkout, while a temporary experiment or a worktree has code of its own.
    """
    imported, wanted = Path(interlock.__file__).resolve(), (workspace / "src").resolve()
    if not imported.is_relative_to(wanted):
        raise StageError(
            f"the running code is not this workspace's: interlock was imported from {imported.parent}",
            path=wanted,
            hint=f"run with PYTHONPATH={wanted}, or install this checkout: pip install --no-deps -e {workspace}",
        )


def _out_of_experiment(workspace: Path) -> Path:
    """`dvc exp run --temp` and queued experiments run in `<main>/.dvc/tmp/exps/.../`."""
    parts = workspace.parts
    for index in range(len(parts) - len(_EXPERIMENTS), 0, -1):
        if parts[index : index + len(_EXPERIMENTS)] == _EXPERIMENTS:
            return Path(*parts[:index])
    return workspace


def _out_of_worktree(workspace: Path) -> Path:
    for folder in (workspace, *workspace.parents):
        pointer = folder / ".git"
        if pointer.is_file():
            main = _main_of_pointer(pointer)
            return main / workspace.relative_to(folder) if main else workspace
        if pointer.is_dir():
            break
    return workspace


def _main_of_pointer(pointer: Path) -> Path | None:
    """Main worktree named by a linked worktree's `.git` file; None for submodules and bare repositories."""
    target = _read_small(pointer).removeprefix("gitdir:").strip()
    git_folder = (pointer.parent / target).resolve()
    common = _read_small(git_folder / "commondir")
    if not target or not common:
        return None  # a submodule has a gitdir without `commondir`: it is a project of its own
    common_folder = (git_folder / common).resolve()
    return common_folder.parent if common_folder.name == ".git" else None


def _read_small(path: Path) -> str:
    try:
        with path.open(errors="replace") as file:
            return file.read(_GIT_POINTER_MAX_BYTES).strip()
    except OSError:
        return ""
