"""Whether an archived run's card is one that the event logs recorded.

The card lists the digests of every file of the model, so whoever edits the card can make anything look right; the
logs, which are chained, name the card's own digest. A run that was exported after it was archived has several recorded
cards, and so has one that was archived again after its folder was given up: any of them is the run's. Does not look at
the card's files (`interlock.registry.archive.read_card`), nor at anything beside the model (`interlock verify`).
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from interlock.contracts.card import RunCard
from interlock.errors import ProvenanceError
from interlock.registry.events import Event, read_events
from interlock.registry.layout import CARD, RESTORE, run_folder


def refuse_unrecorded(home: Path, run_ids: Iterable[str], *, may_be_new: bool = False) -> None:
    """Compare the bytes of these runs' cards with every digest of them in the logs, which are read once.

    With `may_be_new` a run of which no log has a card passes, and so does an exported one whose recorded cards were
    not exported yet: `sync` writes the card before its event, and may have been interrupted between them.

    Raises ProvenanceError for the first card that is none of the recorded ones, and for a broken log.
    """
    known: dict[str, list[Event]] = {}
    for event, _ in read_events(home):
        if event.kind == "run_archived":
            known.setdefault(event.subject, []).append(event)
    for run_id in run_ids:
        path = run_folder(home, run_id) / "models" / CARD
        text, recorded = path.read_bytes(), known.get(run_id, [])
        is_recorded = hashlib.sha256(text).hexdigest() in {event.body["card_sha256"] for event in recorded}
        if not is_recorded and not (may_be_new and _may_be_interrupted(text, recorded)):
            raise _unrecorded(path, run_id, is_known=bool(recorded))


def _may_be_interrupted(text: bytes, recorded: list[Event]) -> bool:
    exported = [event for event in recorded if event.body["export"] == "completed"]
    return not recorded or (not exported and RunCard.model_validate_json(text).export == "completed")


def _unrecorded(path: Path, run_id: str, *, is_known: bool) -> ProvenanceError:
    if not is_known:
        problem, hint = "no event records this run card", "interlock sync records it if it was interrupted"
    else:
        problem = "the run card is not the one that the event log recorded"
        hint = RESTORE
    return ProvenanceError(problem, path=path, hint=f"interlock verify {run_id} says what differs; {hint}")
