"""Atomic writes and safe paths: nothing half-written is ever found under its final name.

Does not lock: `interlock.provenance.attempts` keeps two processes from working on one run.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from interlock.errors import ProvenanceError
from interlock.provenance.canonical import pretty_json


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Yield a binary file that appears under `path`, flushed to disk, only if the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    name = ""
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)  # mkstemp makes files private; results are shared
        os.replace(name, path)
    except BaseException as error:
        if name:
            Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and (not error.filename or str(error.filename).endswith(".part")):
            # A full disk is reported by write(), which knows no name; the others know one that nobody has heard of.
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    _fsync_folder(path.parent)


def write_atomic(path: Path, data: bytes | str) -> None:
    """Write `data` (text as UTF-8) atomically."""
    with atomic_file(path) as file:
        file.write(data.encode() if isinstance(data, str) else data)


def write_json(path: Path, value: Any) -> None:
    """Write readable, sorted JSON atomically."""
    write_atomic(path, pretty_json(value))


def copy_atomic(source: Path, target: Path) -> None:
    """Copy a file's bytes atomically, streaming."""
    with source.open("rb") as incoming, atomic_file(target) as outgoing:
        shutil.copyfileobj(incoming, outgoing, length=1 << 20)


def inside(root: Path, relative: str) -> Path:
    """Join and resolve; raises ProvenanceError when the result leaves `root`."""
    path = (root / relative).resolve()
    if not path.is_relative_to(root.resolve()):
        raise ProvenanceError("path leaves its root", path=root, value=relative, hint="use a relative path without ..")
    return path


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
