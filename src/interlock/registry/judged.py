"""The judgement of a run that counts: the one that the event logs name last, in the very bytes that they name.

    folder, judgement = newest_judgement(home, run_id)

Whoever moves forward on a verdict (a promotion, a release, a decision) reads it here: a file that was edited, or put
into the archive beside the log, is nobody's judgement. Does not compare the judgement with its measurements.
"""

import hashlib
from pathlib import Path

from interlock.contracts.verdict import Judgement
from interlock.errors import RegistryError
from interlock.registry.derive import JUDGEMENT, JUDGEMENTS, statement_proposal, statements
from interlock.registry.events import union


def newest_judgement(home: Path, run_id: str, *, lane: str = "") -> tuple[Path, Judgement] | None:
    """Its folder and what it says; None for a run that the logs never call judged.

    `lane`: by the gates of this lane alone, where lanes that differ in their gates share a run. Raises RegistryError
    where the archive has no such bytes, ProvenanceError for a broken log and for a file that left its folder's name.
    """
    events = (line.event for line in reversed(union(home)) if line.event.kind == "judged")
    of_run = (event.body for event in events if event.subject == run_id)
    said = next((body for body in of_run if lane in ("", body.get("lane"))), None)
    if said is None:
        return None
    for folder in statements(home, run_id, JUDGEMENTS):
        data = (folder / JUDGEMENT).read_bytes()
        if hashlib.sha256(data).hexdigest() == said["sha256"]:
            statement_proposal(run_id, folder, JUDGEMENT)
            return folder, Judgement.model_validate_json(data)
    raise RegistryError(
        "its newest judgement is not in the archive as the log names it",
        key=run_id,
        value=said["judgement_id"],
        hint="interlock verify says what is missing; interlock judge makes a new one",
    )
