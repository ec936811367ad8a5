"""Exclusive locks between processes, released by the kernel however their holder ends.

POSIX record locks (`lockf`) are used instead of `flock` (and so of the filelock package): `flock` belongs to the open
file, so data-loading workers that outlive a killed parent would keep its lock. A record lock belongs to the process;
it is lost when the process closes *any* handle on the file, so only this module opens lock files, and locks inside one
process are kept apart by a table. Lock files are never deleted, which would let two processes lock two files of one
name. Does not work on file systems without locks; that is refused, not ignored.
"""

import errno
import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from interlock.errors import StageError

_held: set[str] = set()
_guard = threading.Lock()


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock for the block. Raises BlockingIOError at once when this or another process has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    name = str(path.resolve())
    with _guard:
        descriptor = _acquire(path, name)
        _held.add(name)
    try:
        yield
    finally:
        with _guard:
            os.close(descriptor)
            _held.discard(name)


def is_locked(path: Path) -> bool:
    """Whether this or another process holds the lock."""
    name = str(path.resolve())
    with _guard:
        if name in _held:
            return True
        if not path.exists():
            return False
        try:
            os.close(_acquire(path, name))
        except BlockingIOError:
            return True
        return False


def _acquire(path: Path, name: str) -> int:
    """Lock and return the descriptor. The caller holds `_guard`."""
    if name in _held:
        raise BlockingIOError(errno.EAGAIN, "locked by this process", name)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno in (errno.EACCES, errno.EAGAIN):
            raise BlockingIOError(errno.EAGAIN, "locked by another process", name) from error
        raise StageError(
            f"files cannot be locked here: {error.strerror}", path=path, hint="set INTERLOCK_HOME to a local disk"
        ) from error
    return descriptor
