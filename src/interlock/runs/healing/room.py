"""Room on a full disk: which old checkpoints may go, and their deletion. Only under `<home>/state/runs/`.

    1. what was set aside as damaged, of the run itself
    2. states of runs of the same lineage that healing has left behind; their failures are on record
    3. states of other runs that nobody touched for `recovery.keep_states_days` and no process holds

Never an archived file, a state of the run itself, or anything of a run that another process works on. `interlock gc`
frees more, and is a person's to call.
"""

import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from interlock.provenance.locks import is_locked


def make_room(home: Path, run_id: str, *, left_behind: Iterable[str], keep_days: float) -> int:
    """Delete what may go; returns the bytes that this gave back."""
    runs = home / "state" / "runs"
    freed = sum(_deleted(path) for path in _set_aside(runs / run_id))
    older = {path.name for path in runs.glob("*") if path.is_dir() and _age_days(path) > keep_days}
    for name in sorted({*left_behind, *older} - {run_id}):
        folder = runs / name
        if folder.is_dir() and not is_locked(home / "state" / "locks" / f"{name}.lock"):
            freed += sum(_deleted(path) for path in folder.rglob("*") if path.is_file())
            shutil.rmtree(folder, ignore_errors=True)
    return freed


def _set_aside(folder: Path) -> Iterator[Path]:
    yield from (path for pattern in ("set_aside_*", "*.damaged", ".*.part") for path in folder.glob(pattern))


def _deleted(path: Path) -> int:
    size = path.stat().st_size
    path.unlink(missing_ok=True)
    return size


def _age_days(folder: Path) -> float:
    newest = max((path.stat().st_mtime for path in (folder, *folder.rglob("*"))), default=0.0)
    return (time.time() - newest) / 86400
