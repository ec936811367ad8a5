"""Resumable states on disk: written atomically, named by their own digest, loaded without running any code.

A file is called `resume_<step>_<sha256>.ckpt`: name and content appear in one rename, so a state is either whole and
checkable or absent. The two newest are kept; one that does not match its digest is set aside and the one before is
used. Content is tensors and plain values only and is read with `weights_only=True`.
"""

import errno
import hashlib
import os
import re
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import torch
from lightning.pytorch.plugins.io import CheckpointIO

from interlock.errors import CorruptStateError, DiskFullError, StageError
from interlock.lanes.spec import Progress
from interlock.provenance.digest import sha256_file
from interlock.provenance.files import atomic_file

KEPT_STATES = 2
_NAME = re.compile(r"^resume_(\d{9,})_([0-9a-f]{64})\.ckpt$")
_UNNAMED = "writing.ckpt"
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class StateStore:
    """The states of one run in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def states(self) -> list[Path]:
        """All states, oldest first, unchecked."""
        found = [path for path in self.folder.glob("resume_*.ckpt") if _NAME.match(path.name)]
        return sorted(found, key=lambda path: (self.step_of(path), path.name))

    @staticmethod
    def step_of(path: Path) -> int:
        """Optimiser steps done when the state was saved."""
        return int(path.name.split("_")[1])

    def newest_valid(self, progress: Progress) -> Path | None:
        """The newest state whose bytes match its name; broken ones are renamed out of the way and reported."""
        for path in reversed(self.states()):
            if path.stem.endswith(sha256_file(path)):
                return path
            aside = path.with_name(f"set_aside_{path.name}")
            os.replace(path, aside)
            progress.message(f"resumable state {path.name} does not match its digest; set aside as {aside}")
        return None

    def drop_unfinished(self) -> None:
        """Delete what a kill in the middle of a write left here and below; nothing else may be writing."""
        for path in (*self.folder.rglob(".*.part"), self.folder / _UNNAMED):
            path.unlink(missing_ok=True)

    def write(self, content: dict[str, Any], step: int) -> Path:
        """Write a state after `step` optimiser steps, then drop all but the newest two.

        Raises StageError when the disk is full or refuses; earlier states stay as they are.
        """
        unnamed = self.folder / _UNNAMED
        try:
            with atomic_file(unnamed) as file:
                digest = _save_hashed(content, file)
            path = self.folder / f"resume_{step:09d}_{digest}.ckpt"
            os.replace(unnamed, path)
        except OSError as error:
            raise disk_error(error, self.folder) from error
        for old in self.states()[:-KEPT_STATES]:
            old.unlink(missing_ok=True)
        return path


class StateIO(CheckpointIO):
    """Lightning's door to the store: `Trainer.save_checkpoint` and `fit(ckpt_path=...)` go through here."""

    def __init__(self, store: StateStore) -> None:
        self._store = store

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """The given path is ignored: the name follows from the content."""
        self._store.write(checkpoint, int(checkpoint["global_step"]))

    def load_checkpoint(
        self, path: Any, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read tensors and plain values; anything else is refused, whatever `weights_only` says."""
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises UnpicklingError, RuntimeError, EOFError ... for unreadable bytes
            raise CorruptStateError(
                f"resumable state cannot be read: {error}",
                path=path,
                hint="delete the file to start from the one before",
            ) from error
        assert isinstance(content, dict)
        return content

    def remove_checkpoint(self, path: Any) -> None:
        """Lightning's own retention is not used."""
        raise AssertionError("states are removed by StateStore alone")


def _save_hashed(content: dict[str, Any], file: BinaryIO) -> str:
    hashing = _HashingFile(file)
    try:
        torch.save(content, cast(IO[bytes], hashing))
    except RuntimeError:
        if hashing.error is not None:  # torch hides an error of the file object behind a RuntimeError of its own
            raise hashing.error from None
        raise
    return hashing.hexdigest()


class _HashingFile:
    """A write-only file that hashes what passes and remembers its first error."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._digest = file, hashlib.sha256()
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        try:
            written = self._file.write(data)
        except OSError as error:
            self.error = error
            raise
        self._digest.update(data)
        return written

    def flush(self) -> None:
        self._file.flush()

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


def disk_error(error: Exception, folder: Path) -> StageError:
    """The one way a failed write is told."""
    is_full = isinstance(error, OSError) and error.errno in _NO_ROOM
    return (DiskFullError if is_full else StageError)(
        f"cannot save the training state: {error}",
        path=folder,
        hint="free disk space or fix the folder's permissions, then start again: the last good state is used",
    )
