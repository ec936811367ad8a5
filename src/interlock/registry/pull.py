"""`interlock pull`: take over what other homes have put into the shared folder, after every byte of it was verified.

A log must be a whole chain, begin with the copy that is known here, and hold what others have read in it. A run is put
together in `<home>/incoming/`, as this home would look after taking it, and verified there as `interlock verify` does
it (`interlock.registry.admission`). Then the log is taken over, and of it only lines about runs that were verified are
believed. What is refused is named, kept out of sight in `<home>/quarantine/`, and tried again by the next pull; the
rest is taken all the same.
"""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from interlock.errors import InterlockError, RegistryError
from interlock.provenance.attempts import run_lock
from interlock.provenance.files import write_atomic
from interlock.registry import index
from interlock.registry.admission import Admission, admit
from interlock.registry.events import Line, contradictions, events_path, others_folder, read_log
from interlock.registry.remote import Remote
from interlock.registry.taken import Taken, read_taken, write_taken

LOCK_WAIT_S = 600.0
_BATCH_RUNS = 16
"""Runs that are verified at a time: what a killed pull repeats."""
_READS_MAX = 3


@dataclass(frozen=True, kw_only=True)
class PulledLog:
    """What became of one writer's log."""

    writer: str
    """Its name."""
    host: str = ""
    """Machine of its newest event."""
    lines: int = 0
    """New lines."""
    runs: tuple[str, ...] = ()
    """Runs that were verified and taken over, or about which there is news."""
    twins: tuple[str, ...] = ()
    """Runs that were executed here too, with an equal model; the execution here is kept."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Why, by run."""
    problem: InterlockError | None = None
    """Why the log itself was refused; what was known of it stays."""


@dataclass(frozen=True, kw_only=True)
class _Incoming:
    """A log as it is in the shared folder."""

    data: bytes
    lines: tuple[Line, ...]


def pull(home: Path, remote: Remote) -> tuple[PulledLog, ...]:
    """Take over everything new; one entry for each log of others, refusals included.

    Raises RegistryError when nobody has pushed to the folder, or when this home's own log is damaged.
    """
    with run_lock(home, "pull", wait_s=LOCK_WAIT_S):
        waiting = home / "incoming"
        shutil.rmtree(waiting, ignore_errors=True)
        own = read_log(events_path(home))
        incoming, problems = _consistent(home, remote, own)
        found = {writer: PulledLog(writer=writer, problem=problem) for writer, problem in problems.items()}
        for writer, log in incoming.items():
            found[writer] = _take_log(home, writer, log)
        # Statements about a run of a third home come after that home's own words about it.
        for of_others in (False, True):
            for writer, log in incoming.items():
                found[writer] = _take_runs(home, remote, found[writer], log.lines, of_others=of_others)
        shutil.rmtree(waiting, ignore_errors=True)
        if found:
            index.refresh(home)
    return tuple(found[writer] for writer in sorted(found))


def _consistent(
    home: Path, remote: Remote, own: tuple[Line, ...]
) -> tuple[dict[str, _Incoming], dict[str, InterlockError]]:
    """The logs of others that hold by themselves and with each other, and what is wrong with the rest.

    Somebody may push while this is read, so that a log seems to lack what a later one has read: then it is read again.
    """
    for _ in range(_READS_MAX):
        incoming, problems = _read_logs(home, remote, own)
        logs = {writer: log.lines for writer, log in incoming.items()}
        if not any(True for _ in contradictions(logs)):
            break
    by_own = {own[0].writer: own} if own else {}
    while found := next(contradictions({**logs, **by_own}), None):
        blamed, witness, head = found
        refused = witness.writer if blamed in by_own else blamed
        problems[refused] = RegistryError(
            f"line {head.seq} of {blamed}, as {witness.writer} read it at {witness.event.at}, is not in that log",
            path=remote.log(blamed),
            hint="a log was cut or rewritten; its home still has it: interlock push from there, or a backup",
        )
        if logs.pop(refused, None) is None:
            raise problems[refused]
    return {writer: incoming[writer] for writer in logs}, problems


def _read_logs(
    home: Path, remote: Remote, own: tuple[Line, ...]
) -> tuple[dict[str, _Incoming], dict[str, InterlockError]]:
    incoming: dict[str, _Incoming] = {}
    problems: dict[str, InterlockError] = {}
    for writer, path in remote.logs().items():
        try:
            if own and writer == own[0].writer:
                _check_own(home, path)
            else:
                incoming[writer] = _read_one(home, writer, path)
        except InterlockError as error:
            problems[writer] = error
    return incoming, problems


def _check_own(home: Path, path: Path) -> None:
    if not events_path(home).read_bytes().startswith(_whole(path)):
        raise RegistryError(
            "the shared copy of this home's log says something else than the log here, or more",
            path=path,
            hint=f"interlock push explains; {events_path(home)} may have been restored from an old copy",
        )


def _read_one(home: Path, writer: str, path: Path) -> _Incoming:
    """Read a log from a copy, so that what was verified is what is taken."""
    data, kept = _whole(path), others_folder(home) / path.name
    known = kept.read_bytes() if kept.exists() else b""
    if not data.startswith(known):
        lines_known = known.count(b"\n")
        raise RegistryError(
            f"it was cut or rewritten: it does not begin with the {lines_known} lines that are known here",
            path=path,
            hint="its home still has it: interlock push from there, or a backup; what is known here stays",
        )
    copy = home / "incoming" / path.name
    write_atomic(copy, data)
    try:
        lines = read_log(copy)
    except InterlockError as error:
        raise type(error)(error.message, path=path, key=error.key, value=error.value, hint=error.hint) from error
    if lines and lines[0].writer != writer:
        raise RegistryError("it is the log of another home than its name says", path=path, value=lines[0].writer)
    return _Incoming(data=data, lines=lines)


def _take_log(home: Path, writer: str, log: _Incoming) -> PulledLog:
    """Take the log over. None of its new lines is believed before `_take_runs` has verified what they speak of."""
    path = others_folder(home) / f"{writer}.jsonl"
    known = path.read_bytes() if path.exists() else b""
    if log.data != known:
        write_atomic(path, log.data)
    host = log.lines[-1].event.host if log.lines else ""
    return PulledLog(writer=writer, host=host, lines=len(log.lines) - known.count(b"\n"))


def _take_runs(home: Path, remote: Remote, so_far: PulledLog, lines: tuple[Line, ...], *, of_others: bool) -> PulledLog:
    """Verify and admit the runs that this log archived, or (`of_others`) those that it only speaks of."""
    path = others_folder(home) / f"{so_far.writer}.jsonl"
    archived = {line.event.subject for line in lines if line.event.kind == "run_archived"}
    newest = {line.event.run_id: line.seq for line in lines if line.event.run_id}
    taken = read_taken(path)
    given_up = _given_up(home)
    news = [run for run, seq in newest.items() if seq > taken.seen(run) and run not in given_up]
    wanted = [run for run in news if (run not in archived) == of_others]
    done: list[Admission] = []
    for start in range(0, len(wanted), _BATCH_RUNS):
        batch = admit(home, remote, lines, wanted[start : start + _BATCH_RUNS])
        done += batch
        taken = _after(taken, batch, newest)
        write_taken(path, taken)
    return PulledLog(
        writer=so_far.writer,
        host=so_far.host,
        lines=so_far.lines,
        runs=(*so_far.runs, *(item.run_id for item in done if item.outcome == "taken")),
        twins=(*so_far.twins, *(item.run_id for item in done if item.outcome == "twin")),
        refused={**so_far.refused, **{item.run_id: item.reason for item in done if item.outcome == "refused"}},
    )


def _after(taken: Taken, batch: Iterable[Admission], newest: Mapping[str, int]) -> Taken:
    runs, twins, refused = dict(taken.runs), dict(taken.twins), dict(taken.refused)
    for item in batch:
        refused.pop(item.run_id, None)
        if item.outcome == "taken":
            runs[item.run_id] = newest[item.run_id]
        elif item.outcome == "twin":
            twins[item.run_id] = newest[item.run_id]
        else:
            refused[item.run_id] = item.reason
    return Taken(runs=runs, twins=twins, refused=refused)


def _given_up(home: Path) -> set[str]:
    """Runs whose copy this home gave up: pulling them back would undo that."""
    last = {line.event.run_id: line.event.kind for line in read_log(events_path(home))}
    gone = {run for run, kind in last.items() if kind == "removed"}
    return {run for run in gone if not (home / "runs" / run).exists()}


def _whole(path: Path) -> bytes:
    """A log without a torn last line."""
    data = path.read_bytes() if path.exists() else b""
    return data[: data.rfind(b"\n") + 1]
