"""Start the mirror process, and wait for it no longer than the configuration says. Never raises for W&B's sake.

The process gets no terminal to ask at, no signal of ours, and its output goes to `mirror.log` in the run's tracking
folder. When a server did not answer in time, runs of this home leave it alone for a while: a sweep pays once, not once
per job. What was not sent stays pending, and `interlock track sync` sends it.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from interlock.contracts.tracking import Sent, WandbMode, WandbTracking
from interlock.provenance.files import write_json
from interlock.tracking.jsonl import run_tracking
from interlock.tracking.mirror import BUSY, DONE
from interlock.tracking.replay import pending, read_state
from interlock.tracking.wandb_mode import destination, mirror_environment, resolved_mode, wandb_root

LOG = "mirror.log"
PAUSE_S = 300.0
"""How long a destination that did not answer in time is left alone."""
LATER = "everything is kept; interlock track sync sends it"
_LOG_MAX_BYTES = 1 << 18


def follow(home: Path, run_id: str, settings: WandbTracking) -> None:
    """Show a training live, where there is somebody to show it to: offline, everything is written when it has ended."""
    mode = resolved_mode(settings, os.environ)
    if mode == "online" and not _is_paused(home, destination(settings, mode, os.environ)):
        process = _start(home, run_id, settings, mode=mode, flags=("--follow",))
        # Collects the exit code, so that no zombie stays; the thread dies with us, the mirror does not.
        threading.Thread(target=process.wait, daemon=True).start()


def complete(home: Path, run_id: str, settings: WandbTracking, *, wait_s: float | None = None) -> tuple[bool, str]:
    """Bring W&B up to date with the run's local files; returns whether it is, and one sentence for the person.

    Waits `wait_s` seconds at most (default: the settings'). A call that finds nothing pending starts nothing. With an
    explicit `wait_s` the person asked for it, so a destination that did not answer lately is asked again.
    """
    mode = resolved_mode(settings, os.environ)
    place = destination(settings, mode, os.environ)
    folder = run_tracking(home, run_id)
    if mode == "disabled":
        return True, ""
    if not pending(folder, read_state(folder).destinations.get(place, Sent())):
        return True, _where(folder, place)
    if wait_s is None and _is_paused(home, place):
        return False, f"W&B ({place}) did not answer lately and is left alone for now: {LATER}"
    limit_s = settings.wait_s if wait_s is None else wait_s
    process = _start(home, run_id, settings, mode=mode)
    try:
        code = process.wait(timeout=limit_s)
    except subprocess.TimeoutExpired:
        threading.Thread(target=process.wait, daemon=True).start()
        _pause(home, place)
        return False, f"W&B ({place}) is not done after {limit_s:g} s and goes on behind this command: {LATER}"
    return code == DONE, _where(folder, place) if code == DONE else _why(folder, place, code)


def _start(
    home: Path, run_id: str, settings: WandbTracking, *, mode: WandbMode, flags: tuple[str, ...] = ()
) -> "subprocess.Popen[bytes]":
    folder = run_tracking(home, run_id)
    log = folder / LOG
    fresh = not log.is_file() or log.stat().st_size > _LOG_MAX_BYTES
    command = [sys.executable, "-P", "-m", "interlock.tracking.mirror", str(home.resolve()), run_id, mode]
    with log.open("wb" if fresh else "ab") as output:
        return subprocess.Popen(
            [*command, settings.model_dump_json(), *flags],
            cwd=folder,
            env=mirror_environment(settings, mode, home=home),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _where(folder: Path, place: str) -> str:
    where = read_state(folder).destinations.get(place, Sent()).where
    return f"W&B: {where}" if where else ""


def _why(folder: Path, place: str, code: int) -> str:
    if code == BUSY:
        return f"W&B: another process is sending this run: {LATER}"
    error = read_state(folder).destinations.get(place, Sent()).error
    if code < 0:
        error = f"its process was ended by {signal.Signals(-code).name}"
    return f"W&B was not reached: {error or f'see {folder / LOG}'}: {LATER}"


def _unanswered(home: Path) -> Path:
    return wandb_root(home) / "unanswered.json"


def _pause(home: Path, place: str) -> None:
    write_json(_unanswered(home), {"destination": place, "at": int(time.time())})


def _is_paused(home: Path, place: str) -> bool:
    try:
        noted = json.loads(_unanswered(home).read_bytes())
        return bool(noted["destination"] == place and 0 <= time.time() - noted["at"] < PAUSE_S)
    except (OSError, ValueError, KeyError, TypeError):
        return False
