"""Which process this is, and whether another one of this machine still runs.

Process ids are used again, and mean nothing across two starts of the machine: a process is told by id, start and boot.
"""

from functools import lru_cache
from pathlib import Path

_CLOCK_TOLERANCE_S = 1.0


def this_process() -> tuple[int, float]:
    """The present process: its id and when it started, in seconds since 1970."""
    import psutil

    process = psutil.Process()
    return process.pid, process.create_time()


def process_runs(pid: int, started_s: float) -> bool:
    """Whether the process that had this id and start is at work on this machine; a zombie is not."""
    import psutil

    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - started_s) <= _CLOCK_TOLERANCE_S
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


@lru_cache(maxsize=1)
def boot_id() -> str:
    """Another text after every start of the machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        import psutil

        return f"{psutil.boot_time():.0f}"
