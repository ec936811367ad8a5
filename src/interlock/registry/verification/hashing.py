"""Digests of many files, streamed, by a few threads: `hashlib` lets other threads run while it works on a block.

Links and devices are never followed: a file of the archive is a plain file inside its folder.
"""

import hashlib
import os
import stat
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from interlock.contracts.stage import Artifact

THREADS_MAX = 4
"""More than the memory bus of a small machine feeds."""
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Contents:
    """Every file of a folder by relative POSIX name."""

    files: dict[str, Artifact]
    others: tuple[str, ...]
    """Links, pipes, and whatever else is no plain file."""
    unreadable: dict[str, str]
    """Files that could not be read, with the reason."""


def read_contents(folder: Path, *, threads: int | None = None) -> Contents:
    """Hash all plain files under `folder`. `threads` is at most the processors at hand by default."""
    names, others = _walk(folder)
    files, unreadable = hash_files(folder, names, threads=threads)
    return Contents(files=files, others=tuple(others), unreadable=unreadable)


def hash_files(
    folder: Path, names: Iterable[str], *, threads: int | None = None
) -> tuple[dict[str, Artifact], dict[str, str]]:
    """Digest and size by name, and the reason for each file that cannot be read."""
    wanted = list(names)
    found: dict[str, Artifact] = {}
    unreadable: dict[str, str] = {}
    with ThreadPoolExecutor(threads or _threads()) as pool:

        def hashed(name: str) -> Artifact | str:
            return _hashed(folder / name)

        largest_first = sorted(wanted, key=lambda name: -_size(folder / name))  # so that no thread ends alone
        for name, result in zip(largest_first, pool.map(hashed, largest_first), strict=True):
            if isinstance(result, Artifact):
                found[name] = result
            else:
                unreadable[name] = result
    return {name: found[name] for name in wanted if name in found}, unreadable


def _hashed(path: Path) -> Artifact | str:
    digest, size_bytes, block = hashlib.sha256(), 0, bytearray(_BLOCK_BYTES)
    view = memoryview(block)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            while count := file.readinto(block):
                digest.update(view[:count])
                size_bytes += count
    except OSError as error:
        return error.strerror or str(error)
    return Artifact(sha256=digest.hexdigest(), size_bytes=size_bytes)


def _walk(folder: Path) -> tuple[list[str], list[str]]:
    plain, others = [], []
    for root, folders, files in os.walk(folder):
        for name in (*files, *folders):
            path = Path(root, name)
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode):
                plain.append(path.relative_to(folder).as_posix())
            elif not stat.S_ISDIR(mode):
                others.append(path.relative_to(folder).as_posix())
    return sorted(plain), sorted(others)


def _threads() -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(THREADS_MAX, cores))


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0
