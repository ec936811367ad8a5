"""Signs of life that outlast a kill: how much memory a training held, of how much, and for how long it ran.

    with vitals(home, run_id): ...                        a thread writes a small file a few times a second
    left_by(home, run_id, pid=..., started_s=...)         what the process left, for whoever finds it gone

A process that is killed for memory says nothing. The kernel's counters of its control group (v1 and v2) and the memory
that it was last seen to hold do. Files are written without fsync: a killed process loses none of them, a machine that
loses power tells of nothing anyway. Does not measure memory of accelerators: those raise an error of their own.
"""

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from interlock.contracts.recovery import MemoryEvidence
from interlock.runs.healing.lineage import FOLDER

EVERY_S = 0.2
_CHILDREN_EVERY_S = 2.0
_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUPS = Path("/proc/self/cgroup")
_UNLIMITED_BYTES = 1 << 60
"""Control groups of version 1 write a number of this size where there is no limit."""


@contextmanager
def vitals(home: Path, run_id: str) -> Iterator[None]:
    """Keep the file up to date while the block runs. What goes wrong with it costs the training nothing."""
    ends = threading.Event()
    writer = _Writer(home / FOLDER / "vitals" / f"{run_id}.json")
    thread = threading.Thread(target=writer.run, args=(ends,), name="vitals", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ends.set()
        thread.join(timeout=5.0)
        with suppress(OSError):
            writer.path.unlink()  # an end that can be told needs no file


def left_by(home: Path, run_id: str, *, pid: int, started_s: float) -> tuple[MemoryEvidence | None, float]:
    """Memory evidence and hours that the process left; nothing when the file is another process's."""
    try:
        left: dict[str, Any] = json.loads((home / FOLDER / "vitals" / f"{run_id}.json").read_text())
        if left["pid"] != pid or abs(left["process_started_s"] - started_s) > 1.0:
            return None, 0.0
        now = counters()
        same_group = left["group"] == now["group"]
        return MemoryEvidence(
            limit_bytes=left["limit_bytes"],
            peak_bytes=left["peak_bytes"],
            oom_kills_before=left["oom_kills"] if same_group else None,
            oom_kills_after=now["oom_kills"] if same_group else None,
        ), float(left["elapsed_s"]) / 3600
    except (OSError, ValueError, KeyError, TypeError):
        return None, 0.0


def counters(cgroups: Path | None = None, own: Path | None = None) -> dict[str, Any]:
    """`group`, `limit_bytes` and `oom_kills` of this process's control group, else of the machine."""
    limit = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    found: dict[str, Any] = {"group": "", "limit_bytes": limit, "oom_kills": None}
    for folder, limit_file, events_file in _groups(cgroups or _CGROUPS, own or _OWN_CGROUPS):
        text = _read(folder / limit_file)
        if text.isdigit() and int(text) < _UNLIMITED_BYTES:
            found["limit_bytes"] = min(found["limit_bytes"], int(text))
        kills = [line.split()[1] for line in _read(folder / events_file).splitlines() if line.startswith("oom_kill ")]
        if kills and found["oom_kills"] is None:
            found |= {"group": str(folder), "oom_kills": int(kills[0])}
    return found


def _groups(cgroups: Path, own: Path) -> Iterator[tuple[Path, str, str]]:
    """Folders of the process's own memory group and those around it, innermost first."""
    for line in _read(own).splitlines():
        _, controllers, name = line.split(":", 2)
        if controllers == "":
            root, files = cgroups, ("memory.max", "memory.events")
        elif "memory" in controllers.split(","):
            root, files = cgroups / "memory", ("memory.limit_in_bytes", "memory.oom_control")
        else:
            continue
        folder = root / name.lstrip("/")
        for parent in (folder, *folder.parents):
            if parent.is_relative_to(root):
                yield parent, *files


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


class _Writer:
    """The thread's work."""

    def __init__(self, path: Path) -> None:
        import psutil

        self.path, self._process = path, psutil.Process()
        self._peak_bytes, self._children_bytes, self._asked_s = 0, 0, -_CHILDREN_EVERY_S
        self._started_s = time.monotonic()

    def run(self, ends: threading.Event) -> None:
        """Write until told to end."""
        first = counters()
        while True:
            self._write(first)
            if ends.wait(EVERY_S):
                return

    def _write(self, first: dict[str, Any]) -> None:
        elapsed_s = time.monotonic() - self._started_s
        self._peak_bytes = max(self._peak_bytes, self._held(elapsed_s))
        own = {"pid": self._process.pid, "process_started_s": self._process.create_time()}
        content = {**first, **own, "elapsed_s": elapsed_s, "peak_bytes": self._peak_bytes}
        unnamed = self.path.with_suffix(".part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            unnamed.write_text(json.dumps(content))
            os.replace(unnamed, self.path)
        except OSError:  # a full disk: the file of a moment ago is evidence enough
            return

    def _held(self, elapsed_s: float) -> int:
        """Resident memory of the process and, looked up less often because it is slow, of its children."""
        import psutil

        if elapsed_s - self._asked_s >= _CHILDREN_EVERY_S:
            self._asked_s, self._children_bytes = elapsed_s, 0
            for child in self._process.children(recursive=True):
                try:
                    self._children_bytes += child.memory_info().rss
                except psutil.Error:
                    continue
        return int(self._process.memory_info().rss) + self._children_bytes
