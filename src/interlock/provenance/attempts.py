"""Attempts: one execution of a stage on a host, recorded before it starts and after it ends, whatever happens.

    <home>/state/attempts/<lane>/<stage>/<attempt>.start.json    before anything runs
                                         <attempt>.end.json      always; of a killed process by the next attempt
    <home>/state/locks/                                          one process per run
    <home>/state/runs/<run_id>/                                  resume states; outside DVC's outputs, so they survive

    with run_lock(home, run_id), attempt(home, lane=..., stage=..., run_id=..., params_sha256=...) as this:
        ...

Does not decide whether to try again (`interlock.recovery`), nor catch signals: a caller that wants SIGTERM recorded as
an interruption turns it into an exception.
"""

import hashlib
import json
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from interlock.contracts.attempt import AttemptEnd, AttemptStart, Exit
from interlock.contracts.stage import StageName
from interlock.errors import BusyError, NonFiniteError, ProvenanceError, PrunedError
from interlock.provenance.environment import host_name, redact_text
from interlock.provenance.files import write_json
from interlock.provenance.locks import exclusive, is_locked
from interlock.provenance.processes import boot_id, process_runs, this_process

_START, _END, _ALIVE = ".start.json", ".end.json", ".alive"
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_ERROR_MAX_CHARS = 2000
_LABELS = {
    "sweep": "INTERLOCK_SWEEP",
    "dvc_experiment": "DVC_EXP_NAME",
    "purpose": "INTERLOCK_PURPOSE",
    "job": "INTERLOCK_JOB",
}
_WAIT_STEP_S = 0.05


class AttemptFiles(NamedTuple):
    """The two records of an attempt and where they stand."""

    start: AttemptStart
    end: AttemptEnd | None
    """None while it runs, or when nobody has found it gone yet."""
    paths: tuple[Path, ...]

    @property
    def has_vanished(self) -> bool:
        """Whether its process is gone without having said how it ended; the next attempt will write that down."""
        alive = self.paths[0].with_name(self.start.attempt + _ALIVE)
        return self.end is None and _has_vanished(self.start, alive)


@dataclass(kw_only=True)
class Attempt:
    """A running attempt. `close` may be called once."""

    start: AttemptStart
    folder: Path
    clock_s: float
    alive: ExitStack = field(repr=False)
    """Holds the lock that shows others that this process is at work."""

    @property
    def id(self) -> str:
        """Its id."""
        return self.start.attempt


def open_attempt(
    home: Path,
    *,
    lane: str,
    stage: StageName,
    run_id: str | None,
    params_sha256: str,
    device: str = "",
    price_usd_per_hour: float | None = None,
) -> Attempt:
    """Write the start record; first close earlier attempts of this lane and stage whose process is gone."""
    folder = _attempts_folder(home, lane, stage)
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    identity = f"{now:%Y%m%dT%H%M%S}.{now.microsecond:06d}Z-{secrets.token_hex(3)}"
    _close_vanished(folder, found_by=identity)
    pid, process_started_s = this_process()
    start = AttemptStart(
        attempt=identity,
        lane=lane,
        stage=stage,
        run_id=run_id,
        params_sha256=params_sha256,
        started_at=now.isoformat(timespec="seconds"),
        host=host_name(),
        boot_id=boot_id(),
        pid=pid,
        process_started_s=process_started_s,
        device=device,
        price_usd_per_hour=price_usd_per_hour,
        labels=labels(),
        follows=_unfinished_before(folder, run_id),
    )
    alive = ExitStack()
    alive.enter_context(exclusive(folder / (identity + _ALIVE)))
    try:
        write_json(folder / (identity + _START), start)
    except BaseException:
        alive.close()
        raise
    return Attempt(start=start, folder=folder, clock_s=time.monotonic(), alive=alive)


def labels() -> dict[str, str]:
    """What this process was started for, as far as its environment says; neither enters an identity."""
    return {name: value for name, variable in _LABELS.items() if (value := os.environ.get(variable, "").strip())}


def close(attempt: Attempt, *, exit: Exit, error: str = "") -> None:
    """Write the terminal record. Secrets that the error's text shows are taken out. Closing twice does nothing."""
    path = attempt.folder / (attempt.id + _END)
    if path.exists():
        return
    end = AttemptEnd(
        attempt=attempt.id,
        exit=exit,
        ended_at=_now(),
        duration_s=round(time.monotonic() - attempt.clock_s, 3),
        error=redact_text(error)[:_ERROR_MAX_CHARS],
    )
    try:
        write_json(path, end)
    finally:
        attempt.alive.close()
        (attempt.folder / (attempt.id + _ALIVE)).unlink(missing_ok=True)  # its name is never used again


@contextmanager
def attempt(
    home: Path,
    *,
    lane: str,
    stage: StageName,
    run_id: str | None,
    params_sha256: str,
    device: str = "",
    price_usd_per_hour: float | None = None,
) -> Iterator[Attempt]:
    """An attempt that closes itself: `completed`, or the exit that fits the exception, which goes on."""
    opened = open_attempt(
        home,
        lane=lane,
        stage=stage,
        run_id=run_id,
        params_sha256=params_sha256,
        device=device,
        price_usd_per_hour=price_usd_per_hour,
    )
    try:
        yield opened
    except BaseException as error:  # also Ctrl-C and sys.exit: a terminal record is owed to every end
        close(opened, exit=exit_of(error), error=f"{type(error).__name__}: {error}")
        raise
    close(opened, exit="completed")


def exit_of(error: BaseException) -> Exit:
    """The exit that an exception stands for. Leaving by `sys.exit` is a failure: the stage did not finish."""
    if isinstance(error, NonFiniteError):
        return "halted"
    if isinstance(error, PrunedError):
        return "pruned"
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, KeyboardInterrupt) or (isinstance(error, SystemExit) and error.code in (130, 143)):
        return "interrupted"
    return "failed"


def list_attempts(
    home: Path,
    *,
    lane: str | None = None,
    stage: StageName | None = None,
    run_id: str | None = None,
    skip_damaged: bool = False,
) -> tuple[AttemptFiles, ...]:
    """Attempts with the given lane, stage and run, oldest first.

    Raises ProvenanceError for a damaged record; with `skip_damaged` that attempt is left out.
    """
    root = home / "state" / "attempts"
    starts = sorted(root.glob(f"{lane or '*'}/{stage or '*'}/*{_START}"), key=lambda path: path.name)
    found = []
    for path in starts:
        try:
            found.append(_read(path))
        except ProvenanceError:
            if not skip_damaged:
                raise
    return tuple(files for files in found if run_id is None or files.start.run_id == run_id)


@contextmanager
def run_lock(home: Path, key: str, *, wait_s: float = 0.0) -> Iterator[None]:
    """Hold the only lock on `key` (a run id, a folder) for the block.

    Raises BusyError naming the holder when it is still held after `wait_s` seconds. Locks of a process that dies are
    released by the kernel.
    """
    name = key if _SAFE_NAME.fullmatch(key) else hashlib.sha256(key.encode()).hexdigest()[:32]
    lock, holder = home / "state" / "locks" / f"{name}.lock", home / "state" / "locks" / f"{name}.json"
    with ExitStack() as stack:
        deadline = time.monotonic() + wait_s
        while True:
            try:
                stack.enter_context(exclusive(lock))
                break
            except BlockingIOError as error:
                if time.monotonic() >= deadline:
                    raise _busy(key, holder) from error
                time.sleep(_WAIT_STEP_S)
        stack.callback(holder.unlink, missing_ok=True)
        who = {"key": key, "pid": this_process()[0], "host": host_name(), "since": _now()}
        holder.write_text(json.dumps(who))  # for error messages alone, so it need not reach the disk
        yield


def state_folder(home: Path, run_id: str) -> Path:
    """Folder for a run's resume states; created when missing. Raises ProvenanceError for an unsafe id."""
    folder = home / "state" / "runs" / _safe(run_id, "run_id")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _attempts_folder(home: Path, lane: str, stage: str) -> Path:
    return home / "state" / "attempts" / _safe(lane, "lane") / _safe(stage, "stage")


def _safe(name: str, key: str) -> str:
    if not _SAFE_NAME.fullmatch(name):
        raise ProvenanceError("not usable as a folder's name", key=key, value=name, hint="use letters, digits, _ and -")
    return name


def close_vanished(home: Path, *, lane: str, stage: StageName, found_by: str, error: str = "") -> None:
    """Write the terminal record of attempts whose process is gone, with who found them gone and why they went.

    Starting an attempt does so too.
    """
    _close_vanished(_attempts_folder(home, lane, stage), found_by=found_by, error=redact_text(error))


def _close_vanished(folder: Path, *, found_by: str, error: str = "") -> None:
    for path in folder.glob(f"*{_START}"):
        name = path.name.removesuffix(_START)
        end, alive = folder / (name + _END), folder / (name + _ALIVE)
        if end.exists() or not _read(path).has_vanished:
            continue
        write_json(end, AttemptEnd(attempt=name, exit="killed", ended_at=_now(), error=error, found_by=found_by))
        alive.unlink(missing_ok=True)


def _has_vanished(start: AttemptStart, alive: Path) -> bool:
    """Whether the attempt's process is gone: its lock is free, and no such process runs where we can look.

    Attempts of another machine (another host and another boot) are left alone: a shared folder without shared locks
    would make each of them look gone.
    """
    same_boot = start.boot_id == boot_id()
    if (start.host != host_name() and not same_boot) or is_locked(alive):
        return False
    return not (same_boot and start.host == host_name() and process_runs(start.pid, start.process_started_s))


def _unfinished_before(folder: Path, run_id: str | None) -> str | None:
    """The newest attempt of the run, unless it completed."""
    for path in sorted(folder.glob(f"*{_START}"), reverse=True):
        files = _read(path)
        if files.start.run_id == run_id:
            return None if files.end and files.end.exit == "completed" else files.start.attempt
    return None


def _read(path: Path) -> AttemptFiles:
    end_path = path.with_name(path.name.removesuffix(_START) + _END)
    try:
        start = AttemptStart.model_validate_json(path.read_text())
        end = AttemptEnd.model_validate_json(end_path.read_text()) if end_path.exists() else None
    except (ValidationError, UnicodeDecodeError) as error:
        raise ProvenanceError(
            f"the attempt's record cannot be read: {error}", path=path, hint="move the file away; nothing depends on it"
        ) from error
    return AttemptFiles(start, end, (path, end_path) if end else (path,))


def _busy(key: str, holder: Path) -> BusyError:
    hint = "wait until it ends, or stop it, and run again"
    try:
        who = json.loads(holder.read_text())
        message = f"process {who['pid']} on {who['host']} is at work here since {who['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        message = "another process is at work here"
    return BusyError(message, key=key, hint=hint)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
