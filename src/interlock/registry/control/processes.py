"""Processes as holders of reservations, and whether one has ended. Those of other machines cannot be asked."""

from interlock.contracts.reservation import Holder
from interlock.provenance.environment import host_name
from interlock.provenance.processes import boot_id, process_runs
from interlock.provenance.processes import this_process as identified


def this_process(*, job: str = "", run: str = "") -> Holder:
    """The present process as a holder of reservations."""
    pid, started_s = identified()
    return Holder(job=job, run=run, pid=pid, process_started_s=started_s, host=host_name(), boot_id=boot_id())


def is_gone(holder: Holder) -> bool:
    """Whether the process is known to have ended; False for one of another machine."""
    if holder.host != host_name():
        return False
    return holder.boot_id != boot_id() or not process_runs(holder.pid, holder.process_started_s)
