"""Loader processes that end with their training, however it ends.

Torch's own watch remembers the parent that a worker has when it gets to look. A training that is killed with SIGKILL in
that moment, between starting a worker and the worker's first look, leaves a process that waits for ever: its parent
never changes again. So the training tells its workers who it is.
"""

import os
import threading
import time

LOOK_EVERY_S = 1.0


def end_with(parent_pid: int, worker_id: int) -> None:
    """Start watching for the end of the process `parent_pid`; for a loader's `worker_init_fn`."""

    def watch() -> None:
        while os.getppid() == parent_pid:
            time.sleep(LOOK_EVERY_S)
        os._exit(1)

    threading.Thread(target=watch, name=f"parent of worker {worker_id}", daemon=True).start()
