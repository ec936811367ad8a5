"""What the archive says, as events: the same for a run archived just now and for one found on disk.

So a lost event log is made again from the archive (`rebuild`), up to the times at which things were written down.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from interlock.contracts.card import RunCard
from interlock.contracts.decision import Decision
from interlock.contracts.verdict import Judgement
from interlock.errors import ProvenanceError, RegistryError
from interlock.provenance.canonical import sha256_json
from interlock.provenance.digest import sha256_file
from interlock.registry import index
from interlock.registry.archive import read_card
from interlock.registry.events import Proposal, append_new, events_path, logs, read_events, read_log
from interlock.registry.kept import kept_proposals
from interlock.registry.layout import CARD, run_folder
from interlock.registry.recorded import refuse_unrecorded
from interlock.registry.spending import spent_proposals

JUDGEMENTS, JUDGEMENT = "judgements", "judgement.json"
DECISIONS, DECISION = "decisions", "decision.json"
WHEN = "when.json"
"""`{"at": ..., "source": ...}` beside a judgement or a decision: when it was made, which orders them, and by whom."""
PIPELINE, BY_HAND = "pipeline", "command"
"""Sources: the stages `judge` and `decide`, or `interlock judge` and `interlock decide`."""


_RESTORE = "it was changed after it was written; restore the file from a backup"


@dataclass(frozen=True, kw_only=True)
class Rebuilt:
    """What a rebuild found."""

    runs: int
    """Archived runs."""
    events_added: int
    """Events that the log had lost."""


def rebuild(home: Path) -> Rebuilt:
    """Complete the event log from the archive and fold the index anew.

    Raises RegistryError for a damaged card, judgement or decision, ProvenanceError for one that is not what the log
    recorded.
    """
    runs = archived_runs(home)
    refuse_unrecorded(home, runs, may_be_new=True)
    proposals = [proposal for run_id in runs for proposal in all_proposals(home, run_id)]
    _refuse_edited(home, runs)
    for run_id in runs:
        for folder in statements(home, run_id, DECISIONS):
            _refuse_unborne(home, run_id, folder)
    added = append_new(home, proposals, once=True)
    index.refold(home)
    return Rebuilt(runs=len(runs), events_added=len(added))


def has_lost_log(home: Path) -> bool:
    """Whether this home's own log is gone: there is none, and the archive holds runs that no other log names."""
    if events_path(home).exists():
        return False
    here = {path.parent.name for path in (home / "runs").glob("*/models")}
    return bool(here) and not here <= {line.event.run_id for path in logs(home) for line in read_log(path)}


def archived_runs(home: Path) -> tuple[str, ...]:
    """Ids of all runs that have a card, oldest first."""
    found = [path.parent.parent.name for path in (home / "runs").glob(f"*/models/{CARD}")]
    return tuple(sorted(found, key=lambda run_id: (read_card(home, run_id).observations.created_at, run_id)))


def all_proposals(home: Path, run_id: str) -> list[Proposal]:
    """Everything that the archived run stands for, in the order in which it happened."""
    proposals = run_proposals(home, run_id)
    proposals += [statement_proposal(run_id, folder, JUDGEMENT) for folder in statements(home, run_id, JUDGEMENTS)]
    proposals += spent_proposals(home, run_id)
    proposals += [statement_proposal(run_id, folder, DECISION) for folder in statements(home, run_id, DECISIONS)]
    return [*proposals, *kept_proposals(home, run_id)]


def run_proposals(home: Path, run_id: str) -> list[Proposal]:
    """That the run was archived and, when it was exported, that its model is a candidate."""
    card = read_card(home, run_id)
    card_sha256 = sha256_file(run_folder(home, run_id) / "models" / CARD)
    return card_proposals(card, card_sha256)


def card_proposals(card: RunCard, card_sha256: str) -> list[Proposal]:
    """The same for a card that stands anywhere."""
    proposals = [Proposal(kind="run_archived", subject=card.run_id, body=_run_body(card, card_sha256))]
    if card.export == "completed":
        proposals.append(Proposal(kind="model_registered", subject=card.name, body=_model_body(card)))
    return proposals


def statements(home: Path, run_id: str, kind: str) -> list[Path]:
    """Folders of the run's complete judgements or decisions, oldest first."""
    main = {JUDGEMENTS: JUDGEMENT, DECISIONS: DECISION}[kind]
    folders = [path.parent for path in (run_folder(home, run_id) / kind).glob(f"*/{main}")]
    return sorted(folders, key=lambda folder: (made_at(folder), folder.name))


def statement_proposal(run_id: str, folder: Path, main: str, *, source: str | None = None) -> Proposal:
    """That the run was judged, or decided upon; by whom it was first made unless `source` says otherwise.

    Raises RegistryError for a file that does not hold together, ProvenanceError for one that left its folder's name.
    """
    path = folder / main
    found = read_statement(path)
    if found.run_id != run_id:
        raise RegistryError("it belongs to another run", path=path, value=found.run_id, hint=_RESTORE)
    sha256 = sha256_file(path)
    identity = found.judgement_id if isinstance(found, Judgement) else found.decision_id
    if folder.name not in (identity, f"{identity}-{sha256[:8]}"):
        raise ProvenanceError("it is not what its folder is named after", path=path, value=identity, hint=_RESTORE)
    body = {"judgement_id": found.judgement_id, "lane": found.lane, "sha256": sha256}
    if isinstance(found, Decision):
        body |= {"decision_id": found.decision_id, "action": found.action.value}
        if (source or source_of(folder)) == BY_HAND:  # that of the pipeline never said so
            body |= {"source": BY_HAND}
        return Proposal(kind="decided", subject=run_id, body=body)
    body |= {"verdict": found.verdict.value, "source": source or source_of(folder)}
    return Proposal(kind="judged", subject=run_id, body=body)


def decided_proposal(home: Path, run_id: str, folder: Path, *, source: str) -> Proposal:
    """The same of a decision that is to be recorded now.

    Raises likewise, and RegistryError where no judgement of the run says the verdict that it says.
    """
    proposal = statement_proposal(run_id, folder, DECISION, source=source)
    _refuse_unborne(home, run_id, folder)
    return proposal


def _refuse_unborne(home: Path, run_id: str, folder: Path) -> None:
    """A release has no judgement: `interlock verify` compares it with the reports beside it."""
    found = read_decision(folder)
    about = (read_statement(path / JUDGEMENT) for path in statements(home, run_id, JUDGEMENTS))
    same = ((item.judgement_id, item.verdict) == (found.judgement_id, found.verdict) for item in about)
    if found.kind == "lane" and not any(same):
        problem = f"no judgement of this run with the verdict {found.verdict} bears it out"
        raise RegistryError(problem, path=folder / DECISION, value=found.judgement_id, hint=_RESTORE)


def made_at(folder: Path) -> str:
    """When a judgement or decision was made (UTC, ISO 8601); '' when its maker did not say."""
    return str(_when(folder).get("at", ""))


def source_of(folder: Path) -> str:
    """Who made a judgement or decision first: `PIPELINE` or `BY_HAND`."""
    return str(_when(folder).get("source", PIPELINE))


def _when(folder: Path) -> dict[str, Any]:
    return _read_json(folder / WHEN) if (folder / WHEN).is_file() else {}


def read_statement(path: Path) -> Judgement | Decision:
    """Read a judgement or a decision; the contracts refuse a verdict that does not follow from the rows.

    Raises RegistryError for a file that cannot be read or is not valid.
    """
    contract: type[Judgement] | type[Decision] = Judgement if path.name == JUDGEMENT else Decision
    try:
        return contract.model_validate_json(path.read_bytes())
    except OSError as error:
        raise RegistryError(f"cannot be read: {error}", path=path, hint=_RESTORE) from error
    except ValidationError as error:
        what = f"the {contract.__name__.lower()} is not valid: {error.errors()[0]['msg']}"
        raise RegistryError(what, path=path, hint=_RESTORE) from error


def read_decision(folder: Path) -> Decision:
    """The decision of a folder. Raises as `read_statement` does."""
    found = read_statement(folder / DECISION)
    assert isinstance(found, Decision)
    return found


def _refuse_edited(home: Path, runs: Iterable[str]) -> None:
    """Compare archived statements with the log. One named by its id alone came first, so the log has its digest."""
    known: dict[tuple[str, str], set[Any]] = {}
    for event, _ in read_events(home):
        identity = event.body.get("decision_id" if event.kind == "decided" else "judgement_id")
        known.setdefault((event.subject, str(identity)), set()).add(event.body.get("sha256"))
    for run_id in runs:
        for kind, main in ((JUDGEMENTS, JUDGEMENT), (DECISIONS, DECISION)):
            for folder in statements(home, run_id, kind):
                digests = known.get((run_id, folder.name))
                if digests and sha256_file(folder / main) not in digests:
                    raise ProvenanceError(
                        "it differs from what the event log recorded", path=folder / main, hint=_RESTORE
                    )


def refuse_unrecorded_verdict(home: Path, run_id: str) -> None:
    """Raise ProvenanceError where the newest archived judgement of a run is none that the event logs recorded."""
    for folder in statements(home, run_id, JUDGEMENTS)[-1:]:
        sha256 = sha256_file(folder / JUDGEMENT)
        judged = (event for event, _ in read_events(home) if event.kind == "judged" and event.subject == run_id)
        if sha256 not in {event.body["sha256"] for event in judged}:
            problem = "no event records the newest judgement, so that nobody knows who made it"
            hint = "interlock sync records it if it was interrupted; otherwise remove it"
            raise ProvenanceError(problem, path=folder / JUDGEMENT, value=sha256, hint=hint)


def _run_body(card: RunCard, card_sha256: str) -> dict[str, Any]:
    return {
        "lane": card.lane,
        "model_type": card.model_type,
        "dataset": card.dataset,
        "dataset_sha256": card.dataset_sha256,
        "seed": card.seed,
        "git_commit": card.git_commit,
        "created_at": card.observations.created_at,
        "export": card.export,
        "card_sha256": card_sha256,
    }


def _model_body(card: RunCard) -> dict[str, Any]:
    """The main model file is what the registry points to; a lane without one points to all its files."""
    folder = f"runs/{card.run_id}/models"
    main = next((name for name in card.model_files if name in card.artifacts), None)
    return {
        "run_id": card.run_id,
        "model_type": card.model_type,
        "dataset": card.dataset,
        "git_commit": card.git_commit,
        "seed": card.seed,
        "hyperparameters": card.hyperparameters,
        "metrics": {**card.observations.results, **card.results},
        "path": f"{folder}/{main}" if main else folder,
        "created_at": card.observations.created_at,
        "sha256": card.artifacts[main].sha256 if main else sha256_json(card.artifacts),
    }


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise RegistryError(f"cannot be read: {error}", path=path, hint="restore the file from a backup") from error
    return values if isinstance(values, dict) else {}


def news(home: Path, proposals: Iterable[Proposal]) -> int:
    """Write down what is news and bring the index up to date; returns how many events were added."""
    added = append_new(home, proposals)
    index.refresh(home)
    return len(added)
