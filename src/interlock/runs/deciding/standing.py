"""Where an archived run stands: its present judgement, its place in its lineage, the decision that counts.

Reads the event logs, the index and the archive. Does not decide, and does not check evidence
(`interlock.runs.deciding.checking`).
"""

from pathlib import Path

from pydantic import ValidationError

from interlock.contracts.decision import Decision, DecisionContext
from interlock.contracts.lineage import LineageBlock
from interlock.errors import RegistryError, UsageError
from interlock.registry.archive import read_card
from interlock.registry.decided import DecisionRow, decisions
from interlock.registry.derive import JUDGEMENTS, read_decision, statements
from interlock.registry.judged import newest_judgement
from interlock.registry.layout import CARD, run_folder
from interlock.registry.queries import RunRow, find_run
from interlock.reports.decisions import CONTEXT
from interlock.runs.healing.lineage import lineage_of


def judged_run(home: Path, text: str) -> tuple[RunRow, str]:
    """A run by the beginning of its id, with the folder's name of the judgement that stands.

    Raises UsageError for no such run, for several, and for one that was not judged.
    """
    row = find_run(home, text)
    if not (run_folder(home, row.run_id) / "models" / CARD).is_file():
        raise UsageError(
            "this run has no card here, so there is nothing to decide upon",
            key="run",
            value=row.run_id,
            hint="finish it with dvc repro, then interlock sync; a run that was removed comes back with interlock pull",
        )
    if not statements(home, row.run_id, JUDGEMENTS):
        raise UsageError(
            "this run was not judged yet", key="run", value=row.run_id, hint=f"interlock judge {row.run_id[:8]}"
        )
    return row, standing_judgement(home, row.run_id)


def standing_judgement(home: Path, run_id: str) -> str:
    """Folder's name of the judgement that counts: an earlier one may have been taken up again.

    Raises RegistryError for a run that was not judged, and for a judgement that is not as the event logs name it.
    """
    newest = newest_judgement(home, run_id)
    if newest is None:
        raise RegistryError("this run was not judged yet", key="run", value=run_id, hint=f"interlock judge {run_id}")
    return newest[0].name


def place_of(home: Path, run_id: str) -> LineageBlock:
    """As a decision upon it recorded it; else by the log of its lineage: a run that nothing led to is the first."""
    for row in reversed(decisions(home, run_id)):
        if (context := read_context(home / row.path)) is not None and context.kind == "lane":
            return LineageBlock(parent_run=context.parent_run or None, attempt=context.attempts)
    judged = [event.run_id for event in lineage_of(home, run_id).events() if event.kind == "judged"]
    before = {name for name in judged[: judged.index(run_id)] if name != run_id} if run_id in judged else set()
    return LineageBlock(parent_run=read_card(home, run_id).parent_run, attempt=len(before) + 1)


def read_context(folder: Path) -> DecisionContext | None:
    """What a decision was shown; None where its folder does not keep it. Raises RegistryError for a damaged one."""
    path = folder / CONTEXT
    if not path.is_file():
        return None
    try:
        return DecisionContext.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise RegistryError(
            f"the context is not valid: {error.errors()[0]['msg']}", path=path, hint="restore it from a backup"
        ) from error


def decision_of(home: Path, row: RunRow, text: str = "") -> tuple[DecisionRow, Decision]:
    """The decision that stands, or the only one whose id begins with `text`. Raises UsageError listing all of them."""
    found = decisions(home, row.run_id)
    if not found:
        raise UsageError(
            "nothing was decided upon this run yet",
            key="run",
            value=row.run_id,
            hint=f"interlock decide {row.run_id[:8]}",
        )
    if text:
        chosen = [item for item in found if item.id.startswith(text)]
    else:
        chosen = [item for item in found if item.decision_id == row.decision_id][-1:] or list(found[-1:])
    if len(chosen) != 1:
        known = "; ".join(f"{item.id[:12]} {item.action} by {item.policy}, {item.at[:16]}" for item in chosen or found)
        problem = "begins the id of more than one decision" if chosen else "no such decision upon this run"
        raise UsageError(problem, key="--decision", value=text, hint=f"known: {known}")
    return chosen[0], read_decision(home / chosen[0].path)
