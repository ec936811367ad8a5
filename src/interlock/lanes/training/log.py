"""`train_log.jsonl`: one line every few steps, `{epoch, step, loss, lr, timestamp}`, each chained to the one before.

The file carries wall-clock times, so it is volatile: reproducible curves stand in `loss.csv`. A resumed run cuts off
what was logged after the step it resumes from, so no step appears twice and the chain stays whole.
"""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from interlock.lanes.spec import Progress
from interlock.lanes.training.states import disk_error
from interlock.provenance.canonical import canonical_json, sha256_json

START = "0" * 64


class TrainLog:
    """The growing log of one run. `position` goes into a resumable state, `rewind` takes the file back there."""

    def __init__(self, path: Path, progress: Progress) -> None:
        """Nothing is opened before the first line; an existing file is started anew unless it was rewound."""
        self._path, self._progress = path, progress
        self._head, self._size = START, 0
        self._file: BinaryIO | None = None

    def append(self, *, epoch: int, step: int, loss: float, lr: float) -> None:
        """Add one line with the time of now (UTC). Raises StageError when the disk is full."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        row = {"epoch": epoch, "step": step, "loss": loss, "lr": lr, "timestamp": now, "previous": self._head}
        line = canonical_json(row).encode() + b"\n"
        try:
            self._open().write(line)
        except OSError as error:
            raise disk_error(error, self._path.parent) from error
        self._head, self._size = sha256_json(row), self._size + len(line)

    def sync(self) -> None:
        """Bring everything appended so far to disk."""
        file = self._open()
        file.flush()
        os.fsync(file.fileno())

    def position(self) -> dict[str, str | int]:
        """Where the log ends now."""
        return {"head": self._head, "size_bytes": self._size}

    def rewind(self, position: dict[str, str | int]) -> None:
        """Cut the file back to `position`. A file that was damaged since is set aside and a new one begins, with a message."""
        head, size = str(position["head"]), int(position["size_bytes"])
        if self._is_whole_until(size, head):
            self._file = self._path.open("r+b")
            self._file.truncate(size)
            self._file.seek(size)
            self._head, self._size = head, size
        elif self._path.exists():
            aside = self._path.with_suffix(".damaged")
            os.replace(self._path, aside)
            self._progress.message(f"{self._path.name} does not match the resumed state; set aside as {aside}")

    def _is_whole_until(self, size: int, head: str) -> bool:
        if not self._path.is_file() or self._path.stat().st_size < size:
            return False
        with self._path.open("rb") as file:
            lines = file.read(size).splitlines()
        return (sha256_json(json.loads(lines[-1])) if lines else START) == head

    def close(self) -> None:
        """Flush and close; a log without a line is an empty file."""
        self.sync()
        self._open().close()

    def _open(self) -> BinaryIO:
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("wb")
        return self._file
