"""`interlock gc`: what a home keeps that nothing needs, and how it is taken away.

    work/<lane>-<digest>/       a configuration of `interlock run`, once all it gave is archived, or long untouched;
                                not while one that has not finished is made from it
    work/prepared/<digest>/     prepared data that no configuration uses any more
    state/runs/<run_id>/        resume states of runs that were archived with all stages (`state`: of others, too)
    quarantine/ incoming/ trash/ and unfinished writes, which a killed process left behind
    runs/<run_id>/              with `runs` alone: a run that gave no model and that nothing refers to

`find_garbage` only looks; `collect` removes what it finds, each thing by one rename, so that nothing is ever seen
half-removed. What a process is at work on is left alone. The logs, the rest of the archive, sweeps, reports and
tracking are never touched, and neither is DVC's cache: `dvc gc` is for that.
"""

import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from interlock.contracts.input import run_named
from interlock.contracts.stage import STAGES
from interlock.errors import BusyError, InterlockError
from interlock.provenance.attempts import run_lock
from interlock.provenance.locks import is_locked
from interlock.registry.archive import read_card
from interlock.registry.events import OF_MODELS, OF_PEOPLE, Line, Proposal, append_new, union
from interlock.registry.layout import CARD, run_folder

SECONDS_PER_DAY = 86400.0
_PART_AGE_S = 3600.0
"""An unfinished write that is older than this has no writer any more."""
_NAMING = OF_MODELS | {"waived"}
"""Kinds of events that a run is kept for."""
_RECORD = "record.json"
_ENDED = ("reject", "retrain")
"""Decisions after which a run without a model has nothing left to give."""
_RECORDS_KEPT = (
    "models/records/*.json",
    "revisions/*/*/record.json",
    "judgements/*/record.json",
    "decisions/*/record.json",
)

Kind = Literal["work", "prepared", "state", "run", "quarantine", "leftover"]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is removed, and what a caller above the registry knows to be needed."""

    now_s: float
    """The present, in seconds since 1970."""
    keep_days: float = 14.0
    """Unfinished configurations, and with `state` or `runs` those things, are kept unless untouched for this long."""
    state: bool = False
    """Also resume states of runs that never finished: they cannot be resumed afterwards."""
    runs: bool = False
    """Also archived runs that gave no model and that nothing refers to."""
    prepared: frozenset[str] = frozenset()
    """Prepared data of the workspace's present configurations, by folder name."""
    current: frozenset[str] = frozenset()
    """Runs that stand in the workspace's lane folders."""


@dataclass(frozen=True, kw_only=True)
class Garbage:
    """One thing that nothing needs."""

    kind: Kind
    path: str
    """Relative to the home."""
    size_bytes: int
    why: str
    in_use: bool = False
    """A process is at work on it, so it stays for now."""
    locks: tuple[str, ...] = field(default=(), repr=False)
    """What a process that uses it holds."""


def find_garbage(home: Path, wanted: Wanted) -> tuple[Garbage, ...]:
    """Everything that nothing needs. Reads alone. Raises ProvenanceError or RegistryError for a damaged log."""
    found: list[Garbage] = []
    finders: list[Callable[[Path, Wanted], Iterator[Garbage]]] = [_work, _state, _leftovers]
    for finder in finders:
        found += finder(home, wanted)
    gone = {item.path for item in found if item.kind == "work" and not item.in_use}
    found += _prepared(home, wanted, gone=gone)
    if wanted.runs:
        found += _runs(home, wanted)
    return tuple(found)


def collect(home: Path, wanted: Wanted) -> tuple[Garbage, ...]:
    """Remove what `find_garbage` finds; returns it, with `in_use` where a process kept it from being removed."""
    done = []
    for item in find_garbage(home, wanted):
        try:
            with ExitStack() as stack:
                for key in item.locks:
                    stack.enter_context(run_lock(home, key))
                _remove(home, item)
        except BusyError:
            item = Garbage(**{**vars(item), "in_use": True})
        done.append(item)
    shutil.rmtree(home / "trash", ignore_errors=True)
    return tuple(done)


def _remove(home: Path, item: Garbage) -> None:
    """Move it away under another name, then delete; a run is taken out of the books first."""
    path = home / item.path
    if item.kind == "prepared" and item.path in _linked(home, gone=set()):
        raise BusyError("a configuration began to use it", path=path)
    if item.kind == "run":
        body = {"why": item.why, "size_bytes": item.size_bytes}
        append_new(home, [Proposal(kind="removed", subject=path.name, body=body)])
    if item.path == "trash" or not (path.exists() or path.is_symlink()):
        return
    away = home / "trash" / secrets.token_hex(8)
    away.parent.mkdir(exist_ok=True)
    os.replace(path, away)
    if away.is_dir() and not away.is_symlink():
        shutil.rmtree(away, ignore_errors=True)
    else:
        away.unlink(missing_ok=True)


def _work(home: Path, wanted: Wanted) -> Iterator[Garbage]:
    folders = [path for path in sorted((home / "work").glob("*")) if path.name != "prepared" and path.is_dir()]
    reasons = {folder: why for folder in folders if (why := _why_not_needed(home, folder, wanted))}
    needed = _inputs_of(folder for folder in folders if folder not in reasons)
    for folder, why in reasons.items():
        if folder.resolve() not in needed:
            yield _item(home, folder, kind="work", why=why, locks=(f"run-{folder.name}",))


def _why_not_needed(home: Path, folder: Path, wanted: Wanted) -> str:
    """Why a configuration has nothing left to do or to give; empty when it has."""
    if _is_archived(home, folder):
        return "finished, and everything that it gave is archived"
    if (age_days := _age_days(folder, wanted)) > wanted.keep_days:
        return f"not finished, and not touched for {age_days:.0f} days"
    return ""


def _inputs_of(folders: Iterable[Path]) -> set[Path]:
    """Folders of the lanes that these configurations are made from, and those that these were made from."""
    found: set[Path] = set()
    waiting = list(folders)
    while waiting:
        linked = {link.resolve() for link in waiting.pop().glob("inputs/*")} - found
        found |= linked
        waiting += linked
    return found


def _prepared(home: Path, wanted: Wanted, *, gone: set[str]) -> Iterator[Garbage]:
    linked = _linked(home, gone=gone)
    for folder in sorted((home / "work" / "prepared").glob("*")):
        name = folder.relative_to(home).as_posix()
        if folder.name not in wanted.prepared and name not in linked:
            why = "no configuration uses this prepared data"
            yield _item(home, folder, kind="prepared", why=why, locks=(f"prepared-{folder.name}",))


def _linked(home: Path, *, gone: set[str]) -> set[str]:
    """Prepared data that configurations use, but for those that go."""
    links = [path for path in (home / "work").glob("*/prepare") if path.is_symlink()]
    used = [path for path in links if path.parent.relative_to(home).as_posix() not in gone]
    return {(Path("work/prepared") / os.path.basename(os.readlink(path))).as_posix() for path in used}


def _is_archived(home: Path, folder: Path) -> bool:
    """Whether every stage has finished, and the archive holds each one's record as it stands here."""
    try:
        records = {stage: (folder / stage / _RECORD).read_bytes() for stage in STAGES}
        run = run_folder(home, str(json.loads(records["train"])["run_id"]))
    except (OSError, ValueError, KeyError, InterlockError):
        return False
    if not (run / "models" / CARD).is_file():
        return False
    kept = {path.read_bytes() for pattern in _RECORDS_KEPT for path in run.glob(pattern)}
    return all(record in kept for record in records.values())


def _state(home: Path, wanted: Wanted) -> Iterator[Garbage]:
    for folder in sorted((home / "state" / "runs").glob("*")):
        age_days = _age_days(folder, wanted)
        if (home / "runs" / folder.name / "models" / CARD).is_file():
            why = "its run finished and is archived"
        elif wanted.state and age_days > wanted.keep_days:
            why = (
                f"its run did not finish, and was not touched for {age_days:.0f} days; it cannot be resumed afterwards"
            )
        else:
            continue
        yield _item(home, folder, kind="state", why=why, locks=(folder.name,))


def _leftovers(home: Path, wanted: Wanted) -> Iterator[Garbage]:
    for folder in sorted((home / "quarantine").glob("*")):
        yield _item(home, folder, kind="quarantine", why=f"refused by pull: {_reason(folder)}", locks=("pull",))
    if (home / "incoming").exists():
        why = "left behind by a pull that was killed"
        yield _item(home, home / "incoming", kind="leftover", why=why, locks=("pull",))
    if (home / "trash").exists():
        yield _item(home, home / "trash", kind="leftover", why="left behind by a removal that was killed")
    for path in sorted(home.rglob(".*.part")):
        is_elsewhere = path.relative_to(home).parts[0] in ("incoming", "quarantine", "trash", "lanes")
        if path.is_file() and not is_elsewhere and wanted.now_s - path.stat().st_mtime > _PART_AGE_S:
            yield _item(home, path, kind="leftover", why="an unfinished write")


def _runs(home: Path, wanted: Wanted) -> Iterator[Garbage]:
    """Archived runs that nothing refers to. A card that cannot be read is no reason to remove it."""
    lines = union(home)
    needed = wanted.current | _referred(home, lines)
    for path in sorted((home / "runs").glob(f"*/models/{CARD}")):
        folder = path.parent.parent
        try:
            card = read_card(home, folder.name)
        except InterlockError:
            continue
        age_days = (wanted.now_s - card.observations.created_at) / SECONDS_PER_DAY
        decided = _last_action(lines, folder.name)
        others = any((folder / name).exists() for name in ("approvals", "signatures"))
        if card.export == "completed" or folder.name in needed or others or decided not in _ENDED:
            continue
        if age_days > wanted.keep_days:
            why = f"no model, decision {decided}, {age_days:.0f} days old, and nothing refers to it"
            yield _item(home, folder, kind="run", why=why, locks=(f"archive-{folder.name}", folder.name))


def _referred(home: Path, lines: tuple[Line, ...]) -> set[str]:
    """Runs that a stage, a person's words, a sweep, a drive, another run's card, or a judgement's baseline names."""
    named = {line.event.run_id for line in lines if line.event.kind in _NAMING}
    named |= {str(line.event.body.get("run")) for line in lines if line.event.kind in OF_PEOPLE}
    for path in (*(home / "sweeps").glob("*/jobs/*.json"), *(home / "drives").glob("*/drive.json")):
        named |= _strings(path)
    for path in (home / "runs").glob("*/judgements/*/baselines.json"):
        named |= {text.removeprefix("run:").partition("/")[0] for text in _strings(path) if text.startswith("run:")}
    for path in (home / "runs").glob(f"*/models/{CARD}"):
        try:
            card = read_card(home, path.parent.parent.name)
        except InterlockError:
            named |= _strings(path) - {path.parent.parent.name}
            continue
        named |= {card.parent_run or "", *(run_named(reference) for reference in card.inputs.values())}
    return named


def _strings(path: Path) -> set[str]:
    """Every string in a JSON file; of one that cannot be read, every word."""
    text = path.read_text(errors="replace")
    try:
        waiting, found = [json.loads(text)], set()
    except ValueError:
        return set(text.replace('"', " ").split())
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            found.add(value)
        elif isinstance(value, dict | list):
            waiting += value.values() if isinstance(value, dict) else value
    return found


def _last_action(lines: tuple[Line, ...], run_id: str) -> str | None:
    events = [line.event for line in lines if line.event.subject == run_id and line.event.kind == "decided"]
    return str(events[-1].body["action"]) if events else None


def _reason(folder: Path) -> str:
    try:
        return str(json.loads((folder / "reason.json").read_text())["reason"]).splitlines()[0]
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return "no reason was kept"


def _item(home: Path, path: Path, *, kind: Kind, why: str, locks: tuple[str, ...] = ()) -> Garbage:
    in_use = any(is_locked(home / "state" / "locks" / f"{key}.lock") for key in locks)
    name = path.relative_to(home).as_posix()
    return Garbage(kind=kind, path=name, size_bytes=_size(path), why=why, in_use=in_use, locks=locks)


def _size(path: Path) -> int:
    """Bytes of all files; links count as nothing and are not followed."""
    if path.is_symlink():
        return 0
    if path.is_file():
        return path.stat().st_size
    return sum(Path(root, name).lstat().st_size for root, _, names in os.walk(path) for name in names)


def _age_days(folder: Path, wanted: Wanted) -> float:
    """Days since anything in the folder was written."""
    times = [folder.lstat().st_mtime]
    times += [Path(root, name).lstat().st_mtime for root, _, names in os.walk(folder) for name in names]
    return (wanted.now_s - max(times)) / SECONDS_PER_DAY
