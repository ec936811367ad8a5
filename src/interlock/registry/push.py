"""`interlock push`: put what is new in this home's log, and every file that it names, into the shared folder.

Only lines that the folder's copy of the log lacks are looked at, because the log is written last: what its copy names
is there. `repair` looks at everything and replaces files that were damaged there.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from interlock.errors import ProvenanceError, RegistryError
from interlock.provenance.attempts import run_lock
from interlock.provenance.digest import sha256_file
from interlock.registry.archive import read_card
from interlock.registry.events import Line, events_path, read_log, union
from interlock.registry.kept import kept_digests
from interlock.registry.layout import CARD, run_folder, safe_name
from interlock.registry.remote import Remote

LOCK_WAIT_S = 600.0


@dataclass(frozen=True, kw_only=True)
class Pushed:
    """What a push wrote."""

    writer: str
    """Name of this home; empty when it has nothing to share."""
    lines: int = 0
    """New lines of its log."""
    runs: tuple[str, ...] = ()
    """Runs that the new lines speak of."""
    gone: tuple[str, ...] = ()
    """Those of them that are not here any more, so that their files could not be shared."""
    files: int = 0
    """Files that were not in the folder."""
    size_bytes: int = 0
    """Their bytes."""


def push(home: Path, remote: Remote, *, repair: bool = False) -> Pushed:
    """Share this home's log and the runs that it speaks of.

    Raises RegistryError when the folder's copy of the log is not how this log began, ProvenanceError for a file here
    that is not what was recorded; the folder's log stays as it is then.
    """
    with run_lock(home, "push", wait_s=LOCK_WAIT_S):
        log = read_log(events_path(home))
        if not log:
            return Pushed(writer="")
        data = _whole_lines(events_path(home), len(log))
        writer, known = log[0].writer, _shared(remote.log(log[0].writer))
        if not data.startswith(known):
            raise _forked(remote.log(writer), home)
        new = log if repair else log[known.count(b"\n") :]
        runs = tuple(dict.fromkeys(line.event.run_id for line in new if line.event.run_id))
        lines = union(home) if new else ()
        written = [
            _upload(remote, wanted, repair=repair) for run in runs for wanted in _files(home, run, lines).items()
        ]
        if data != known:
            remote.put_log(writer, data)
    return Pushed(
        writer=writer, lines=len(log) - known.count(b"\n"), runs=runs,
        gone=tuple(run for run in runs if not _is_here(home, run)),
        files=sum(size > 0 for size in written), size_bytes=sum(written),
    )  # fmt: skip


def _files(home: Path, run_id: str, lines: Iterable[Line]) -> dict[Path, str]:
    """Every file of a run that is here, with the digest that its card or an event has of it; nothing of a gone run.

    Raises ProvenanceError when no event knows the card. Files beside the model that another home made are left to it.
    """
    if not _is_here(home, run_id):
        return {}
    folder, about = run_folder(home, run_id), [line.event for line in lines if line.event.run_id == run_id]
    card, sha256 = read_card(home, run_id), sha256_file(folder / "models" / CARD)
    if sha256 not in {event.body["card_sha256"] for event in about if event.kind == "run_archived"}:
        raise ProvenanceError(
            "no event knows this card", path=folder / "models" / CARD, value=sha256,
            hint="it was changed after it was written; restore the file from a backup",
        )  # fmt: skip
    artifacts = {**card.artifacts, **card.observations.artifacts}
    named = {folder / "models" / name: artifact.sha256 for name, artifact in artifacts.items()}
    for name, digests in kept_digests(about).items():
        path = folder / safe_name(name, folder)
        found = sha256_file(path) if path.is_file() else ""
        if found in digests or len(digests) == 1:
            named[path] = found if found in digests else digests[0]
    return {**named, folder / "models" / CARD: sha256}


def _upload(remote: Remote, wanted: tuple[Path, str], *, repair: bool) -> int:
    path, sha256 = wanted
    try:
        return remote.put(path, sha256, anew=repair and remote.is_damaged(sha256))
    except FileNotFoundError as error:
        if error.filename != str(path):
            raise
        raise RegistryError(
            "file is missing, so its run cannot be shared", path=path, hint="restore it from a backup; interlock verify"
        ) from error


def _is_here(home: Path, run_id: str) -> bool:
    return (run_folder(home, run_id) / "models" / CARD).is_file()


def _whole_lines(path: Path, count: int) -> bytes:
    """The bytes of the first `count` lines; others may be adding more."""
    return b"".join(path.read_bytes().splitlines(keepends=True)[:count])


def _shared(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _forked(path: Path, home: Path) -> RegistryError:
    return RegistryError(
        "the shared copy of this home's log says something else than the log here, or more",
        path=path,
        hint=f"if {events_path(home)} was restored from an old copy, put this newer one in its place; if this home is "
        "a copy of another one, move that file away and run interlock registry rebuild, which begins a log of its own",
    )
