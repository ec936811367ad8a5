"""Append-only logs of JSON lines, each carrying the digest of the line before it.

    {"payload": {...}, "prev": "<sha256 of the line before>", "seq": 1, "sha256": "<over seq, prev and payload>"}

A changed, removed, inserted or reordered line breaks the chain at the first such place. A process killed while writing
leaves a torn last line (without its newline): readers pass over it, the next writer cuts it off. The chain alone does
not show that whole lines were cut off its end; whoever needs that keeps `head` somewhere else.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from interlock.errors import ProvenanceError
from interlock.provenance.canonical import canonical_json, sha256_json

GENESIS = "0" * 64
"""`prev` of the first line."""
_BLOCK_BYTES = 1 << 16


@dataclass(frozen=True, kw_only=True)
class ChainLine:
    """One whole line."""

    seq: int
    """Counted from 1."""
    prev: str
    payload: Any
    sha256: str


@dataclass(frozen=True, kw_only=True)
class BrokenLine:
    """The first line that does not hold."""

    number: int
    """Line of the file, counted from 1."""
    reason: str


def append(path: Path, payload: Any) -> ChainLine:
    """Append one line, safely beside other processes that do the same, and flush it to disk.

    Raises ProvenanceError when the last line is broken, ValueError or TypeError for a payload that is no JSON.
    """
    with ChainWriter(path, shared=True) as writer:
        line = writer.append(payload)
        writer.checkpoint()
        return line


def read_chain(path: Path) -> tuple[ChainLine, ...]:
    """All whole lines, verified; empty when there is no file. Raises ProvenanceError naming the first broken line."""
    lines = []
    for item in _walk(path):
        if isinstance(item, BrokenLine):
            raise _broken(path, item)
        lines.append(item)
    return tuple(lines)


def verify(path: Path) -> BrokenLine | None:
    """The first broken line, or None. A torn last line is no break: it was never finished."""
    return next((item for item in _walk(path) if isinstance(item, BrokenLine)), None)


def head(path: Path) -> tuple[int, str]:
    """`(seq, sha256)` of the last whole line; `(0, GENESIS)` of an empty log. Checks that line alone."""
    try:
        with path.open("rb") as file:
            return _last(path, file.fileno())[:2]
    except FileNotFoundError:
        return 0, GENESIS


class ChainWriter:
    """Keeps a log open for many lines. Each line reaches the kernel at once, the disk at `checkpoint` and `close`.

    `shared` waits for and holds a lock on the file until `close`. Without it the caller answers for being the only
    writer: the lock of a log that stays open for hours would be inherited by forked data-loading workers.
    """

    def __init__(self, path: Path, *, shared: bool = False) -> None:
        """Open or create the log and cut off a torn last line. Raises ProvenanceError when the last line is broken."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            if shared:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            self._seq, self._prev, self._end = _last(path, self._descriptor)
            if os.fstat(self._descriptor).st_size != self._end:  # cutting off nothing would still change its time
                os.ftruncate(self._descriptor, self._end)
        except BaseException:
            os.close(self._descriptor)
            raise

    @property
    def lines(self) -> int:
        """Number of whole lines."""
        return self._seq

    def append(self, payload: Any) -> ChainLine:
        """Append one line; a write that fails half-way (full disk) is taken back."""
        body = {"seq": self._seq + 1, "prev": self._prev, "payload": payload}
        line = ChainLine(**body, sha256=sha256_json(body))
        data = _encode(line)
        try:
            written = os.pwrite(self._descriptor, data, self._end)
            if written != len(data):
                raise OSError(28, "No space left on device", str(self._path))
        except OSError:
            os.ftruncate(self._descriptor, self._end)
            raise
        self._seq, self._prev, self._end = line.seq, line.sha256, self._end + len(data)
        return line

    def rewind(self, lines: int) -> None:
        """Keep only the first `lines` lines: a resumed run logs again what followed. Raises ProvenanceError."""
        offset, kept = 0, (0, GENESIS)
        for item in _walk(self._path):
            if isinstance(item, BrokenLine):
                raise _broken(self._path, item)
            if item.seq > lines:
                break
            kept = (item.seq, item.sha256)
            offset += len(_encode(item))
        if kept[0] != lines:
            raise ProvenanceError(
                f"the log is shorter than the {lines} lines to go back to", path=self._path, value=kept[0],
                hint="the log and the resume state do not belong together; remove both to start again",
            )  # fmt: skip
        os.ftruncate(self._descriptor, offset)
        (self._seq, self._prev), self._end = kept, offset

    def checkpoint(self) -> None:
        """Flush to disk everything appended so far."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Flush and close. Closing twice does nothing."""
        if self._descriptor < 0:
            return
        descriptor, self._descriptor = self._descriptor, -1
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _encode(line: ChainLine) -> bytes:
    return (canonical_json(vars(line)) + "\n").encode()


def _decode(line: bytes) -> ChainLine:
    """Raises ValueError unless the line is exactly what the writer writes."""
    try:
        found = ChainLine(**json.loads(line))
        body = {"seq": found.seq, "prev": found.prev, "payload": found.payload}
        right = _encode(found) == line + b"\n" and sha256_json(body) == found.sha256
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError("it is not a line of a chain") from error
    if not right:
        raise ValueError("its content does not fit its digest")
    return found


def _walk(path: Path) -> Iterator[ChainLine | BrokenLine]:
    """Every whole line in order; ends after the first broken one."""
    seq, prev = 0, GENESIS
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        for number, data in enumerate(file, start=1):
            if not data.endswith(b"\n"):
                return
            try:
                line = _decode(data[:-1])
                if (line.seq, line.prev) != (seq + 1, prev):
                    raise ValueError(f"it does not follow line {seq}")
            except ValueError as error:
                yield BrokenLine(number=number, reason=str(error))
                return
            yield line
            seq, prev = line.seq, line.sha256


def _last(path: Path, descriptor: int) -> tuple[int, str, int]:
    """`(seq, sha256, offset of the end)` of the last whole line. Raises ProvenanceError when it is broken."""
    size = os.fstat(descriptor).st_size
    end = _after_newline(descriptor, size)
    if end == 0:
        return 0, GENESIS, 0
    start = _after_newline(descriptor, end - 1)
    try:
        line = _decode(os.pread(descriptor, end - start - 1, start))
    except ValueError as error:
        raise _broken(path, BrokenLine(number=-1, reason=str(error))) from error
    return line.seq, line.sha256, end


def _after_newline(descriptor: int, end: int) -> int:
    """Offset just after the last newline before `end`; 0 when there is none."""
    while end > 0:
        start = max(0, end - _BLOCK_BYTES)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _broken(path: Path, line: BrokenLine) -> ProvenanceError:
    return ProvenanceError(
        f"the chain is broken: {line.reason}",
        path=path,
        key=f"line {line.number}" if line.number > 0 else "last line",
        hint="it was changed after it was written; restore the file from a backup",
    )
