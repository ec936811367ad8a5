"""Find the code that made a run: this workspace's, or that of the commit the run was made at, in a git worktree.

Which code a folder holds is told by that code itself, in a process of its own (`interlock.runs.reproduction.rerun`),
and believed only because its digest is the archived one: whether the workspace was clean does not matter.
Worktrees are temporary and removed whatever happens. Does not install anything: the packages are those of this
environment.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from interlock.errors import InterlockError, StageError
from interlock.lanes.catalog import find_lane
from interlock.lanes.spec import load_object
from interlock.provenance.workspace import HOME_VARIABLE
from interlock.runs.reproduction import rerun
from interlock.stages.place import Place, read_composed

_END_WAIT_S = 15.0
"""How long an interrupted child may take to close its attempt."""


@dataclass(frozen=True, kw_only=True)
class CodeRoot:
    """A folder with `src/` that stages can be run from."""

    folder: Path
    """Its root."""
    name: str
    """`workspace`, or the commit."""
    keys: Mapping[str, Mapping[str, str | None]]
    """By stage: the digests that its record would carry."""


def workspace_root(place: Place, home: Path) -> CodeRoot:
    """The workspace as it stands. Raises StageError when its code cannot tell what it is."""
    return CodeRoot(folder=place.workspace, name="workspace", keys=_keys(place.workspace, place, home))


@contextmanager
def commit_root(place: Place, commit: str, *, folder: Path, home: Path) -> Iterator[CodeRoot | None]:
    """A worktree of `commit` below `folder` for the block; None when the commit is not at hand or cannot speak.

    Data that the lane reads from the workspace and git does not keep is linked into it.
    """
    if not has_commit(place.workspace, commit):
        yield None
        return
    prefix = _git(place.workspace, "rev-parse", "--show-prefix").strip()
    tree = folder / f"commit-{commit[:12]}"
    # A post-checkout hook could run DVC in there, or anything else.
    _git(place.workspace, "-c", "core.hooksPath=/dev/null", "worktree", "add", "--quiet", "--detach", str(tree), commit)
    try:
        root = (tree / prefix).resolve()
        try:
            _link_data(place, root)
            found = CodeRoot(folder=root, name=commit, keys=_keys(root, place, home))
        except InterlockError:
            found = None
        yield found
    finally:
        _git(place.workspace, "worktree", "remove", "--force", str(tree))


def has_commit(workspace: Path, commit: str) -> bool:
    """Whether this repository has the commit."""
    try:
        _git(workspace, "cat-file", "-e", f"{commit}^{{commit}}")
    except StageError:
        return False
    return True


def run_stage_at(root: Path, place: Place, stage: str, *, home: Path) -> None:
    """Run one stage with the code of `root`. Raises StageError when it fails, KeyboardInterrupt when interrupted."""
    code, _ = _child(root, place, home, "run", stage, capture=False)
    if code == 130:
        raise KeyboardInterrupt
    if code:
        raise StageError(
            f"{stage} could not be run again: it ended with exit code {code}; its own message stands above",
            path=place.folder / stage,
            hint="the archived run finished here, so the machine, its data or its packages differ; nothing was changed",
        )


def _keys(root: Path, place: Place, home: Path) -> dict[str, dict[str, str | None]]:
    code, text = _child(root, place, home, "keys", capture=True)
    try:
        if code == 0:
            found: dict[str, dict[str, str | None]] = json.loads(text)
            return found
    except ValueError:
        pass
    raise StageError(
        f"the code or the data of the run cannot be read here (exit code {code}); the message above says why",
        path=root,
        hint="restore the data that the run was made from, e.g. dvc pull, and install the lane's package",
    )


def _child(root: Path, place: Place, home: Path, action: str, *stage: str, capture: bool) -> tuple[int, str]:
    """Run the child; what it prints for people goes to stderr. Returns its exit code and captured output."""
    paths = [str(root / "src"), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    drop = ("INTERLOCK_SWEEP", "INTERLOCK_JOB_RESULTS", "INTERLOCK_JOB_WORKSPACE")
    env = {name: value for name, value in os.environ.items() if name not in drop}
    # Its own home: neither archive nor registry nor resume states of the project are within its reach.
    env |= {"PYTHONPATH": os.pathsep.join(paths), HOME_VARIABLE: str(home), "WANDB_MODE": "disabled"}
    command = [sys.executable, "-P", rerun.__file__, action, root, place.folder, place.params, place.lane, *stage]
    process = subprocess.Popen(
        [str(word) for word in command],
        cwd=root,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if capture else sys.stderr.fileno(),
        text=True,
    )
    try:
        output, _ = process.communicate()
    except BaseException:
        _stop(process)
        raise
    return process.returncode, output or ""


def _stop(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    try:
        process.wait(_END_WAIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _link_data(place: Place, root: Path) -> None:
    """Link what the lane reads from inside the workspace and the commit does not hold (git-ignored, or DVC's)."""
    lane = read_composed(place.params)["lane"]
    spec = find_lane(str(lane["kind"]))
    sources: Sequence[Path] = load_object(spec.sources)(spec.body(lane), place.workspace) if spec.sources else []
    for path in sources:
        if not path.is_relative_to(place.workspace) or not path.exists():
            continue
        link = root / path.relative_to(place.workspace)
        if not link.exists():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path, target_is_directory=path.is_dir())


def _git(workspace: Path, *words: str) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    clean |= {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    command = ["git", "-C", str(workspace), *words]
    try:
        done = subprocess.run(
            command, env=clean, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
        )
    except OSError as error:
        raise StageError(f"git cannot be run: {error.strerror}", path=workspace) from error
    if done.returncode:
        raise StageError(f"git {words[0]} failed: {done.stderr.strip()}", path=workspace)
    return done.stdout
