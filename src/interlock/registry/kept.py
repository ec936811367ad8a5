"""What the event log remembers of a run's growing folders, so that a byte changed there is seen as one in the model is.

The card lists the files of `models/`. Attempts, judgements, answers, decisions and revisions grow beside it; each of
their files is named with its digest by an event `files_kept` when it is archived. Files of an entry that is not whole
yet (its main file is written last) wait for the next sync.
"""

from collections.abc import Iterable
from pathlib import Path

from interlock.provenance.digest import files_under, sha256_file
from interlock.registry.events import Event, Proposal, read_events
from interlock.registry.layout import CARD, RECORDS, run_folder

COMPLETE_BY = {
    "attempts": "",
    "judgements": "judgement.json",
    "answers": "",
    "decisions": "decision.json",
    "revisions": "record.json",
}
"""Growing folders, and the file that makes an entry of them whole; files of attempts and answers come one by one."""
SUPERSEDED = f"models/{RECORDS}/export.skipped.json"
"""The only file of `models/` that a completed card no longer lists."""


def kept_proposals(home: Path, run_id: str) -> list[Proposal]:
    """That the run's growing folders hold these files; nothing when all of them are remembered already."""
    folder = run_folder(home, run_id)
    if not (folder / "models" / CARD).is_file():
        return []
    known = kept_digests(event for event, _ in read_events(home) if event.subject == run_id)
    new = {name: sha256_file(folder / name) for name in kept_names(folder) if name not in known}
    return [Proposal(kind="files_kept", subject=run_id, body={"files": new})] if new else []


def kept_names(folder: Path) -> list[str]:
    """Files of whole entries, relative to the run's folder, sorted."""
    superseded = (folder / SUPERSEDED).is_file() and (folder / f"models/{RECORDS}/export.json").is_file()
    names = [SUPERSEDED] if superseded else []
    for kind, main in COMPLETE_BY.items():
        for name in files_under(folder / kind) if (folder / kind).is_dir() else []:
            entry = name.split("/")[: 2 if kind == "revisions" else 1]
            if not main or folder.joinpath(kind, *entry, main).is_file():
                names.append(f"{kind}/{name}")
    return sorted(names)


def kept_digests(events: Iterable[Event]) -> dict[str, tuple[str, ...]]:
    """Digests by name of every file that these events of one run name, in the order in which they were said.

    Two homes that made the same run name other bytes for the same file, such as when a judgement was made.
    """
    known: dict[str, tuple[str, ...]] = {}
    for event in events:
        files = event.body.get("files")
        if event.kind == "files_kept" and isinstance(files, dict):
            for name, sha256 in files.items():
                known[name] = (*known.get(name, ()), str(sha256))
    return known
