"""`train_log.jsonl`: one line every few steps, `{epoch, step, loss, lr, timestamp}`, each chained to the one before.

The file carries wall-clock times, so it is volatile: reproducible curves stand in `loss.csv`. A resumed run cuts off
what was logged after the step it resumes from, so no step appears twice and the chain stays whole.
"""

import os
from datetime import UTC, datetime
from pathlib import Path

from interlock.errors import ProvenanceError
from interlock.lanes.spec import Progress
from interlock.lanes.training.states import disk_error
from interlock.provenance.chain import ChainWriter


class TrainLog:
    """The growing log of one run; open it with `begin` or `rewind`. `lines` belongs into a resumable state."""

    def __init__(self, path: Path, progress: Progress) -> None:
        """Touches nothing yet: a run that fails before it trains must leave the log of earlier attempts alone."""
        self._path, self._progress = path, progress
        self._writer: ChainWriter | None = None

    @property
    def lines(self) -> int:
        """Lines written so far."""
        return self._writer.lines if self._writer is not None else 0

    def begin(self) -> None:
        """Start an empty log, dropping what an attempt left that was killed before its first state."""
        self._path.unlink(missing_ok=True)
        self._writer = ChainWriter(self._path)

    def append(self, *, epoch: int, step: int, loss: float, lr: float) -> None:
        """Add one line with the time of now (UTC). Raises StageError when the disk is full."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        try:
            self._opened().append({"epoch": epoch, "step": step, "loss": loss, "lr": lr, "timestamp": now})
        except OSError as error:
            raise disk_error(error, self._path.parent) from error

    def sync(self) -> None:
        """Bring everything appended so far to disk."""
        self._opened().checkpoint()

    def rewind(self, lines: int) -> None:
        """Keep the first `lines` lines. A log that is damaged or too short is set aside, with a message."""
        try:
            writer = ChainWriter(self._path)
        except ProvenanceError as error:
            self._set_aside(error)
            return
        try:
            writer.rewind(lines)
        except ProvenanceError as error:
            writer.close()
            self._set_aside(error)
            return
        self._writer = writer

    def close(self) -> None:
        """Flush and close; nothing happens when it was never opened."""
        if self._writer is not None:
            self._writer.close()

    def _opened(self) -> ChainWriter:
        assert self._writer is not None, "begin or rewind comes first"
        return self._writer

    def _set_aside(self, error: ProvenanceError) -> None:
        aside = self._path.with_suffix(".damaged")
        os.replace(self._path, aside)
        self._progress.message(f"{error.message}: {self._path.name} set aside as {aside}, a new one begins")
        self.begin()
