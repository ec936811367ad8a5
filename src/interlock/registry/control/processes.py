"""Which process this is, and whether another one of the same machine has ended. Other machines cannot be asked."""

from functools import lru_cache
from pathlib import Path

from interlock.contracts.reservation import Holder
from interlock.provenance.environment import host_name

_CLOCK_TOLERANCE_S = 1.0


def this_process(*, job: str = "", run: str = "") -> Holder:
    """The present process as a holder of reservations."""
    import psutil

    process = psutil.Process()
    return Holder(
        job=job,
        run=run,
        pid=process.pid,
        process_started_s=process.create_time(),
        host=host_name(),
        boot_id=boot_id(),
    )


def is_gone(holder: Holder) -> bool:
    """Whether the process is known to have ended; False for one of another machine."""
    if holder.host != host_name():
        return False
    return holder.boot_id != boot_id() or not _runs(holder.pid, holder.process_started_s)


def _runs(pid: int, started_s: float) -> bool:
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
