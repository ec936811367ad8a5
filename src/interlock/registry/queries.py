"""What people ask: which runs and models there are, and everything about one of them.

Runs that never got a card are listed too, from their attempts, so that failures are seen. Names can be shortened to a
unique beginning.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import JsonValue, ValidationError

from interlock.contracts.attempt import AttemptEnd, AttemptStart
from interlock.contracts.base import Contract
from interlock.contracts.card import RunCard
from interlock.errors import UsageError
from interlock.provenance.attempts import AttemptFiles, list_attempts
from interlock.registry import index
from interlock.registry.archive import read_card
from interlock.registry.decided import DecisionRow, SpentRow, decisions, spent
from interlock.registry.derive import (
    JUDGEMENT,
    JUDGEMENTS,
    has_lost_log,
    made_at,
    rebuild,
    statement_proposal,
    statements,
)
from interlock.registry.holders import holders
from interlock.registry.layout import CARD, run_folder
from interlock.registry.stages import Stage
from interlock.registry.waivers import shown_waiver, waivers

_SHOWN_CANDIDATES = 8


class RunRow(Contract):
    """One run in a list."""

    run_id: str
    """The run."""
    lane: str
    """Its lane."""
    state: str
    """`decided`, `judged`, `not judged`; `removed` when this home gave up its copy; of a run that never got a card, how
    its last attempt ended."""
    verdict: str | None = None
    """Newest verdict."""
    action: str | None = None
    """Newest decision under that verdict."""
    decision_id: str | None = None
    """Its id."""
    model_id: str | None = None
    """Name in the registry, when it was exported."""
    dataset: str = ""
    """Name of the dataset."""
    seed: int | None = None
    """Seed."""
    created_at: int | None = None
    """Start of training, seconds since 1970; of a run without a card, of its first attempt."""
    waived: str = ""
    """Who waived the inconclusive verdict, until when and why; empty where no waiver stands now."""


class StatementRow(Contract):
    """A judgement or a decision of a run."""

    id: str
    """Its id."""
    at: str
    """When it was made (UTC, ISO 8601)."""
    path: str
    """Its folder, relative to the home."""


class JudgementRow(StatementRow):
    """A judgement of a run."""

    verdict: str
    """What it says."""
    source: str
    """`pipeline`: the stage judge made it; `command`: interlock judge."""


class AttemptRow(Contract):
    """One execution."""

    start: AttemptStart
    """How it began."""
    end: AttemptEnd | None
    """How it ended."""


class RunView(Contract):
    """Everything about a run."""

    run: RunRow
    """Its row in the list."""
    card: RunCard | None
    """Its card, verified; None while it is unfinished."""
    judgements: tuple[JudgementRow, ...]
    """Oldest first; the newest is the run's verdict unless an earlier one was taken up again."""
    decisions: tuple[DecisionRow, ...]
    """Oldest first; the one that stands is named by `run.decision_id`."""
    attempts: tuple[AttemptRow, ...]
    """Executions that this home or the run's archive records, oldest first, with the one that prepared its data; a
    damaged record is left out, and so is one that another home kept to itself."""
    path: str
    """Its folder, relative to the home."""
    spent: tuple[SpentRow, ...] = ()
    """What language models cost, by agent and model, as the event log has it."""


class ModelRow(Contract):
    """One registered model."""

    id: str
    """Name."""
    model_type: str
    """Kind of the lane."""
    dataset: str
    """Dataset."""
    git_commit: str
    """Commit; empty without git."""
    run_id: str
    """Run it came from."""
    seed: int
    """Seed."""
    hyperparameters: dict[str, JsonValue]
    """As on the card."""
    metrics: dict[str, JsonValue]
    """As on the card, also those that differ between executions."""
    path: str
    """Its main file, relative to the home."""
    created_at: int
    """Start of training, seconds since 1970."""
    sha256: str
    """Digest of that file."""
    verdict: str | None
    """Newest verdict of its run."""
    stage: Stage
    """Where it is."""
    share_percent: float | None = None
    """Share of live requests that it answers; None unless it is a canary."""
    approval: str | None = None
    """The approval under which it holds its stage; None where none was asked for."""
    promoted_by: str = ""
    """Who promoted it to the stage that it holds; empty when it holds none."""
    promoted_at: str = ""
    """When (UTC, ISO 8601)."""
    promoted_on: str = ""
    """Machine where that was done."""
    waived: str = ""
    """Who waived its run's inconclusive verdict, until when and why; empty where no waiver stands now."""
    contested_by: tuple[str, ...] = ()
    """Models that were promoted to the same stage by people who did not know of this one's promotion."""


class StageChange(Contract):
    """One line of a model's history."""

    from_stage: str
    """Stage before; empty at the first."""
    to_stage: str
    """Stage after."""
    at: str
    """When (UTC, ISO 8601)."""
    reason: str
    """Why."""
    changed_by: str = ""
    """Who promoted; empty for a registration."""
    host: str = ""
    """Machine where it was written down."""
    writer: str = ""
    """Home that wrote it down."""
    share_percent: float | None = None
    """Share of live requests after it; None unless it is a canary."""
    approval: str | None = None
    """The approval that allowed it."""


class ModelView(Contract):
    """Everything about a model."""

    model: ModelRow
    """Its row in the list."""
    history: tuple[StageChange, ...]
    """Its stages, oldest first."""


def list_runs(home: Path) -> tuple[RunRow, ...]:
    """All runs, newest first."""
    _restore(home)
    found = {row.run_id: row for row in _indexed_runs(home)}
    begun: dict[str, list[AttemptFiles]] = {}
    for files in list_attempts(home, skip_damaged=True):
        if files.start.run_id and files.start.run_id not in found:
            begun.setdefault(files.start.run_id, []).append(files)
    rows = [*found.values(), *(_unfinished(run_id, files) for run_id, files in begun.items())]
    return tuple(sorted(rows, key=lambda row: (-(row.created_at or 0), row.run_id)))


def find_run(home: Path, text: str) -> RunRow:
    """The run with that id, or the only one whose id begins so. Raises UsageError listing candidates."""
    rows = {row.run_id: row for row in list_runs(home)}
    return rows[_only(text, rows, what="run")]


def archived_run(home: Path, run_id: str) -> RunRow | None:
    """The row of an archived run by its whole id; nothing but the index is read."""
    return next((row for row in _indexed_runs(home) if row.run_id == run_id), None)


def show_run(home: Path, text: str) -> RunView:
    """Everything about a run; its archived files are verified. Raises UsageError, ProvenanceError."""
    row = find_run(home, text)
    has_card = (run_folder(home, row.run_id) / "models" / CARD).is_file()
    card = read_card(home, row.run_id, verify=True) if has_card else None
    return RunView(
        run=row,
        card=card,
        judgements=_judgements(home, row.run_id),
        decisions=decisions(home, row.run_id),
        attempts=_attempts(home, row.run_id, card),
        path=f"runs/{row.run_id}",
        spent=spent(home, row.run_id),
    )


def list_models(home: Path) -> tuple[ModelRow, ...]:
    """All registered models, newest first."""
    _restore(home)
    with index.reading(home) as database:
        found = database.execute("SELECT * FROM models ORDER BY created_at DESC, id").fetchall()
    held, waived = _promotions(home), _waived(home)
    return tuple(
        ModelRow(**index.loaded(row), **held.get(row["id"], {}), waived=waived.get(row["run_id"], "")) for row in found
    )


def show_model(home: Path, text: str) -> ModelView:
    """The model with that name or run id, or the only one whose name begins so, with its history."""
    models = {model.id: model for model in list_models(home)}
    by_run = [model.id for model in models.values() if model.run_id == text]
    name = by_run[0] if len(by_run) == 1 else _only(text, models, what="model")
    with index.reading(home) as database:
        history = database.execute(
            "SELECT from_stage, to_stage, at, reason, changed_by, host, writer, share_percent, approval "
            "FROM stage_history WHERE model_id = ? ORDER BY number",
            (name,),
        ).fetchall()
    return ModelView(model=models[name], history=tuple(StageChange(**dict(row)) for row in history))


def _promotions(home: Path) -> dict[str, dict[str, Any]]:
    """What to say of each model that holds or contests a stage; the highest stage counts."""
    told: dict[str, dict[str, Any]] = {}
    for holder in holders(home):
        shown = {"promoted_by": holder.promoted_by, "promoted_at": holder.at, "promoted_on": holder.host}
        shown |= {"approval": holder.approval} if holder.approval else {}
        told.setdefault(holder.model_id, {**shown, "contested_by": holder.contested_by})
        for model in holder.contested_by:
            others = tuple(name for name in holder.models if name != model)
            told.setdefault(model, {"contested_by": others})
    return told


def _restore(home: Path) -> None:
    """A home whose event log was deleted gets it back from the archive before anyone is told that it is empty."""
    if has_lost_log(home):
        rebuild(home)


def _indexed_runs(home: Path) -> list[RunRow]:
    with index.reading(home) as database:
        found = database.execute(
            "SELECT runs.*, decisions.action, decisions.decision_id "
            "FROM runs LEFT JOIN decisions USING (run_id, judgement_id)"
        ).fetchall()
    waived = _waived(home)
    return [
        RunRow(
            run_id=row["run_id"],
            lane=row["lane"],
            state=_state(home, row["run_id"], decided=bool(row["action"]), judged=bool(row["verdict"])),
            verdict=row["verdict"],
            action=row["action"],
            decision_id=row["decision_id"],
            model_id=row["model_id"],
            dataset=row["dataset"],
            seed=row["seed"],
            created_at=row["created_at"],
            waived=waived.get(row["run_id"], ""),
        )
        for row in found
    ]


def _waived(home: Path) -> dict[str, str]:
    """The waiver that stands now, by run."""
    return {item.run_id: shown_waiver(item) for item in waivers(home, now=datetime.now(UTC)) if item.stands}


def _state(home: Path, run_id: str, *, decided: bool, judged: bool) -> str:
    if not (run_folder(home, run_id) / "models" / CARD).is_file():
        return "removed"
    return "decided" if decided else "judged" if judged else "not judged"


def _unfinished(run_id: str, attempts: list[AttemptFiles]) -> RunRow:
    last = attempts[-1]
    state = last.end.exit if last.end else "killed" if last.has_vanished else "running"
    return RunRow(
        run_id=run_id,
        lane=last.start.lane,
        state=f"{last.start.stage} {state}",
        created_at=int(datetime.fromisoformat(attempts[0].start.started_at).timestamp()),
    )


def _statements(home: Path, run_id: str, kind: str) -> tuple[StatementRow, ...]:
    return tuple(
        StatementRow(id=folder.name, at=made_at(folder), path=folder.relative_to(home).as_posix())
        for folder in statements(home, run_id, kind)
    )


def _judgements(home: Path, run_id: str) -> tuple[JudgementRow, ...]:
    rows = zip(_statements(home, run_id, JUDGEMENTS), statements(home, run_id, JUDGEMENTS), strict=True)
    said = [(row, statement_proposal(run_id, folder, JUDGEMENT).body) for row, folder in rows]
    return tuple(JudgementRow(**vars(row), verdict=body["verdict"], source=body["source"]) for row, body in said)


def _attempts(home: Path, run_id: str, card: RunCard | None) -> tuple[AttemptRow, ...]:
    """Of this home, and of the archive, which has those of a run that was made elsewhere.

    Data is prepared for no run in particular, so that attempt is the one that the card names.
    """
    of_card = set(card.observations.attempts.values()) if card else set()
    here = list_attempts(home, skip_damaged=True)
    found = {
        files.start.attempt: AttemptRow(start=files.start, end=files.end)
        for files in here
        if files.start.run_id == run_id or files.start.attempt in of_card
    }
    for folder in sorted((run_folder(home, run_id) / "attempts").glob("*")):
        if folder.name not in found and (row := _archived_attempt(folder)):
            found[folder.name] = row
    return tuple(found[name] for name in sorted(found))


def _archived_attempt(folder: Path) -> AttemptRow | None:
    start, end = folder / "start.json", folder / "end.json"
    try:
        return AttemptRow(
            start=AttemptStart.model_validate_json(start.read_bytes()),
            end=AttemptEnd.model_validate_json(end.read_bytes()) if end.is_file() else None,
        )
    except (OSError, ValidationError):
        return None


def _only(text: str, names: Iterable[str], *, what: str) -> str:
    known = list(names)
    if text in known:
        return text
    matches = [name for name in known if text and name.startswith(text)]
    if len(matches) == 1:
        return matches[0]
    candidates = sorted(matches) if matches else known
    listed = ", ".join(candidates[:_SHOWN_CANDIDATES]) or "there is none yet"
    if len(candidates) > _SHOWN_CANDIDATES:
        listed += f" and {len(candidates) - _SHOWN_CANDIDATES} more"
    raise UsageError(
        f"begins the name of more than one {what}" if matches else f"no such {what}",
        key=what,
        value=text,
        hint=f"known: {listed}" if not matches else f"give more of it: {listed}",
    )
