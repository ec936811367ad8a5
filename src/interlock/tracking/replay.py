"""Tell a tracker what a run's local files say and it does not have yet. Which that is follows from digests alone.

    wanted = pending(folder, sent)
    replay(folder, tracker, wanted)

Sending everything and then nothing is the same as sending it bit by bit, so a try that died is simply repeated.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from interlock.contracts.base import Contract
from interlock.contracts.tracking import Alert, Chart, Lineage, MirrorState, Sent, Table, TrackedRun
from interlock.errors import ProvenanceError
from interlock.provenance.digest import sha256_file
from interlock.provenance.files import write_json
from interlock.tracking.jsonl import ALERTS, CHARTS, CURVES, LINEAGE, RUN, SUMMARY, TABLES, CurveReader
from interlock.tracking.tracker import Tracker

STATE = "mirror.json"
Record = TypeVar("Record", bound=Contract)


def pending(folder: Path, sent: Sent) -> dict[str, str]:
    """Digest of every file of the run that the destination has not got in this form, in the order to send them."""
    names = [RUN, SUMMARY]
    for kind in (TABLES, CHARTS):
        names += sorted(f"{kind}/{path.name}" for path in (folder / kind).glob("*.json"))
    names += [LINEAGE, *sorted(f"{ALERTS}/{path.name}" for path in (folder / ALERTS).glob("*.json"))]
    found = {name: sha256_file(folder / name) for name in names if (folder / name).is_file()}
    news = {name: digest for name, digest in found.items() if sent.files.get(name) != digest}
    if CURVES not in news and _last_step(folder) > sent.last_step:
        news[CURVES] = ""  # known by its last step, not by a digest: it grows
    return news


def replay(
    folder: Path,
    tracker: Tracker,
    wanted: Sequence[str],
    *,
    after: int = -1,
    progressed: Callable[[], None] = lambda: None,
) -> None:
    """Tell an open tracker the points after step `after` and the wanted files; calls `progressed` after each piece.

    Raises ProvenanceError for a file that does not hold together.
    """
    for step, values in CurveReader(folder, after=after).points(ended=True):
        tracker.curve(step, values)
    progressed()
    for name in wanted:
        if (tell := _TELL.get(name.partition("/")[0])) is not None:
            tell(tracker, folder / name)
            progressed()


def read_run(folder: Path) -> TrackedRun:
    """What the run is."""
    return read(folder / RUN, TrackedRun)


def read_state(folder: Path) -> MirrorState:
    """What was sent where; nothing, when the file is missing or damaged: everything is sent again then."""
    try:
        return MirrorState.model_validate_json((folder / STATE).read_bytes())
    except (FileNotFoundError, ValidationError):
        return MirrorState()


def write_sent(folder: Path, destination: str, sent: Sent) -> None:
    """Note what a destination has; only the process with the mirror's lock does."""
    known = read_state(folder).destinations
    write_json(folder / STATE, MirrorState(destinations={**known, destination: sent}))


def read(path: Path, contract: type[Record]) -> Record:
    """One file. Raises ProvenanceError when it is missing or does not hold together."""
    try:
        return contract.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        what = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error.strerror
        raise ProvenanceError(
            f"cannot be read: {what}", path=path, hint="delete it; interlock track sync makes it again"
        ) from error


def _last_step(folder: Path) -> int:
    return max((step for step, _ in CurveReader(folder).points(ended=True)), default=-1)


def _summary(tracker: Tracker, path: Path) -> None:
    try:
        values = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ProvenanceError(f"cannot be read: {error}", path=path, hint="delete it and sync again") from error
    tracker.summary(values)


_TELL: dict[str, Callable[[Tracker, Path], None]] = {
    SUMMARY: _summary,
    TABLES: lambda tracker, path: tracker.table(read(path, Table)),
    CHARTS: lambda tracker, path: tracker.chart(read(path, Chart)),
    LINEAGE: lambda tracker, path: tracker.lineage(read(path, Lineage)),
    ALERTS: lambda tracker, path: tracker.alert(read(path, Alert)),
}
