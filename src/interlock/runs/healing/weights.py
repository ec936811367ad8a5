"""The last finite weights of a failed training, kept for the one that begins with them. Torch-free.

Checkpoints of a state folder are safetensors by epoch; the newest one without NaN or infinity counts. It is copied
under its digest, because the failed run's state may be cleaned up while the next training has not begun.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from interlock.contracts.recovery import WarmStart
from interlock.errors import CorruptStateError
from interlock.provenance.digest import sha256_file
from interlock.provenance.files import copy_atomic
from interlock.runs.healing.lineage import FOLDER

_EPOCH = re.compile(r"^epoch_(\d+)\.safetensors$")


def keep_last_finite(home: Path, state: Path, run_id: str) -> WarmStart | None:
    """Keep the newest finite checkpoint of a run's state; None when there is none: training begins afresh."""
    for path in reversed(_by_epoch(state / "checkpoints")):
        if is_finite(path):
            warm_start = WarmStart(sha256=sha256_file(path), run_id=run_id, file=path.name)
            copy_atomic(path, _place(home, warm_start))
            return warm_start
    return None


def kept(home: Path, warm_start: WarmStart | None) -> Path | None:
    """The kept file. Raises CorruptStateError when it is gone or was changed."""
    if warm_start is None:
        return None
    path = _place(home, warm_start)
    if not path.is_file() or sha256_file(path) != warm_start.sha256:
        raise CorruptStateError(
            "the weights that this training begins with are missing or were changed",
            path=path,
            hint="change a setting of the lane to begin another run, or restore the file",
        )
    return path


def forget(home: Path, warm_starts: Iterable[WarmStart | None]) -> None:
    """Delete kept weights whose training has ended well: they stand beside its model."""
    for warm_start in warm_starts:
        if warm_start is not None:
            _place(home, warm_start).unlink(missing_ok=True)


def is_finite(path: Path) -> bool:
    """Whether a checkpoint can be read and holds finite numbers alone."""
    import numpy as np
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors = load_file(path).values()
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):  # unreadable, or of a type numpy lacks
        return False
    return all(bool(np.isfinite(tensor).all()) for tensor in tensors if np.issubdtype(tensor.dtype, np.floating))


def _by_epoch(folder: Path) -> list[Path]:
    found = [(int(match[1]), path) for path in folder.glob("*.safetensors") if (match := _EPOCH.match(path.name))]
    return [path for _, path in sorted(found)]


def _place(home: Path, warm_start: WarmStart) -> Path:
    return home / FOLDER / "warm_starts" / f"{warm_start.sha256}.safetensors"
