"""Everything the archive keeps of one run, verified and gathered for a page or a comparison.

    facts = run_facts(home, "3f2a", workspace=workspace)

Nothing is measured again. A run whose files differ from their digests is returned with the `problem` and without any
number. Query texts come from the prepared data, which the archive does not hold: where it is not at hand in the bytes
that the run was made from, examples show ids alone.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from interlock.contracts.card import RunCard
from interlock.contracts.decision import Decision
from interlock.contracts.input import run_named
from interlock.contracts.stage import StageRecord
from interlock.contracts.sweep import Ranking, SweepJob, SweepManifest
from interlock.contracts.verdict import Judgement
from interlock.errors import ProvenanceError, RegistryError
from interlock.gates.sample import BlockedError
from interlock.provenance.chain import read_chain
from interlock.provenance.digest import sha256_file
from interlock.registry import queries
from interlock.registry.decided import DecisionRow
from interlock.registry.layout import DATASET_CARD
from interlock.registry.queries import ModelRow, RunRow, RunView, StageChange, StatementRow
from interlock.registry.search import sweeps_of_runs
from interlock.registry.verify import verify_run
from interlock.reports.run_facts import Flip, Flipped, Row, RunFacts, SweepFacts
from interlock.runs.drive.folder import path_of_run
from interlock.runs.review.comparing import Flips, flipped_from
from interlock.runs.review.intervals import side_by_side
from interlock.stages.verdicts import Measured, read_archived

QUERIES = "queries.parquet"
SHOWN = 6
"""Flipped queries shown of each kind."""
_HIT_RATES = ("r_at_5", "r_at_10", "r_at_1", "accuracy")
"""Rates by which a query counts as answered, in the order in which they are looked for."""


def run_facts(home: Path, run: str, *, workspace: Path) -> RunFacts:
    """Everything about a run, by its id or the beginning of it. Raises UsageError for none or several."""
    row = queries.find_run(home, run)
    try:
        return _facts(home, queries.show_run(home, row.run_id), workspace)
    except (ProvenanceError, RegistryError) as error:
        return _untrusted(home, row, error)


def compared_facts(home: Path, run: str) -> RunFacts:
    """What a comparison needs: configuration, judgement, decision, data. Neither intervals nor the chain of digests."""
    row = queries.find_run(home, run)
    try:
        view = queries.show_run(home, row.run_id)
        judgement, at, decision = judged(home, view)
        dataset = _json(home / view.path / "models" / DATASET_CARD)
        return RunFacts(view=view, judgement=judgement, judged_at=at, decision=decision, dataset=dataset)
    except (ProvenanceError, RegistryError) as error:
        return _untrusted(home, row, error)


def measured_run(home: Path, run_id: str) -> Measured:
    """What an archived run measured. Raises StageError, ProvenanceError."""
    return read_archived(home / "runs" / run_id / "models", run_id=run_id)


def judged(home: Path, view: RunView) -> tuple[Judgement | None, str, Decision | None]:
    """The run's present judgement, when it was made, and the decision upon it."""
    found = [(_judgement(home, row), row.at) for row in view.judgements]
    current = [item for item in found if item[0].verdict == view.run.verdict] or found
    if not current:
        return None, "", None
    judgement, at = current[-1]
    upon = [row for row in view.decisions if row.judgement_id == judgement.judgement_id]
    standing = [row for row in upon if row.decision_id == view.run.decision_id] or upon
    return judgement, at, _decision(home, standing[-1]) if standing else None


def sweep_facts(home: Path, sweep_id: str) -> SweepFacts | None:
    """What the sweep's files say; None without a manifest, or with files that this version does not understand."""
    folder = home / "sweeps" / sweep_id
    if not sweep_id or not (folder / "manifest.json").is_file():
        return None
    try:
        ranking = folder / "ranking.json"
        return SweepFacts(
            manifest=SweepManifest.model_validate_json((folder / "manifest.json").read_bytes()),
            ranking=Ranking.model_validate_json(ranking.read_bytes()) if ranking.is_file() else None,
            jobs=tuple(SweepJob.model_validate_json(path.read_bytes()) for path in sorted(folder.glob("jobs/*.json"))),
        )
    except ValidationError:
        return None


def query_texts(card: RunCard, home: Path, *, workspace: Path) -> dict[str, str]:
    """Text of each query by id, from prepared data with the digest that the run's record names; empty without it."""
    record = home / "runs" / card.run_id / "models" / "records" / "prepare.json"
    artifact = StageRecord.model_validate_json(record.read_bytes()).artifacts.get(QUERIES)
    if artifact is None:
        return {}
    for path in _prepared(card, home, workspace):
        if path.is_file() and path.stat().st_size == artifact.size_bytes and sha256_file(path) == artifact.sha256:
            import pyarrow.parquet

            table = pyarrow.parquet.ParquetFile(path).read(columns=["query_id", "text"])
            return dict(zip(table.column("query_id").to_pylist(), table.column("text").to_pylist(), strict=True))
    return {}


def hit_rate(measured: Measured) -> str:
    """The rate by which an item counts as answered; '' when nothing of the kind was measured."""
    rates = [name for name, item in sorted(measured.measurements.items()) if item.estimator == "rate"]
    own = [name for name in rates if "." not in name]
    return next((name for name in (*_HIT_RATES, *own) if name in own), "")


def flip_shown(
    flips: Flips,
    *,
    against: str,
    texts: Mapping[str, str],
    ranks: Sequence[Mapping[str, int | None]],
    shown: int = SHOWN,
) -> Flip:
    """Flips as a page shows them; `ranks` are those of the run and of what it is compared with, by query id."""
    own, other = ranks

    def rows(ids: Sequence[str]) -> tuple[Flipped, ...]:
        chosen = ids[:: max(1, len(ids) // shown)][:shown]
        return tuple(
            Flipped(query_id=name, text=texts.get(name, ""), rank=own.get(name), other_rank=other.get(name))
            for name in chosen
        )

    return Flip(
        metric=flips.metric, baseline=against, gained=rows(flips.gained), lost=rows(flips.lost),
        num_gained=len(flips.gained), num_lost=len(flips.lost), n=flips.n,
    )  # fmt: skip


def ranks_of(measured: Measured, prefix: str = "") -> dict[str, int | None]:
    """Rank of each query's first answer among the first ten, from its reciprocal; None when it is not among them."""
    name = f"{prefix}mrr_at_10"
    if name not in measured.scores:
        return {}
    pairs = zip(measured.items[name], measured.scores[name], strict=True)
    return {str(item): round(1 / score) if score > 0 else None for item, score in pairs}


def _facts(home: Path, view: RunView, workspace: Path) -> RunFacts:
    judgement, at, decision = judged(home, view)
    model, history = _model(home, view)
    plain: dict[str, Any] = {
        "view": view,
        "judgement": judgement,
        "judged_at": at,
        "decision": decision,
        "model": model,
        "history": history,
        "sweep": sweep_facts(home, sweeps_of_runs(home).get(view.run.run_id, "")),
        "drive": path_of_run(home, view.run.run_id),
        "parents": _parents(home, view.card),
    }
    if view.card is None:
        return RunFacts(**plain)
    models = home / view.path / "models"
    measured = measured_run(home, view.run.run_id)
    return RunFacts(
        **plain,
        measurements=measured.measurements,
        intervals=side_by_side(measured),
        training=_json(models / "train.json") or _train_facts(models),
        losses=_csv(models / "loss.csv"),
        log=_log(models / "train_log.jsonl"),
        recall=_csv(models / "recall.csv"),
        reliability=_csv(models / "reliability.csv"),
        examples=_json(models / "examples.json"),
        dataset=_json(models / DATASET_CARD),
        flips=_flips(measured, query_texts(view.card, home, workspace=workspace)),
        verification=verify_run(home, view.run.run_id, workspace=workspace),
    )


def _untrusted(home: Path, row: RunRow, error: Exception) -> RunFacts:
    bare = RunView(run=row, card=None, judgements=(), decisions=(), attempts=(), path=f"runs/{row.run_id}")
    return RunFacts(view=bare, problem=_without_home(str(error), home))


def _flips(measured: Measured, texts: Mapping[str, str]) -> tuple[Flip, ...]:
    metric = hit_rate(measured)
    baselines = sorted(name for name in measured.measurements if name.partition(".")[2] == metric) if metric else []
    found = []
    for baseline in baselines:
        system = baseline.partition(".")[0]
        try:
            flips = flipped_from(measured, metric, baseline)
        except BlockedError:  # chance has no items
            continue
        ranks = (ranks_of(measured), ranks_of(measured, f"{system}."))
        found.append(flip_shown(flips, against=system, texts=texts, ranks=ranks))
    return tuple(found)


def _model(home: Path, view: RunView) -> tuple[ModelRow | None, tuple[StageChange, ...]]:
    if not view.run.model_id:
        return None, ()
    found = queries.show_model(home, view.run.model_id)
    return found.model, found.history


def _parents(home: Path, card: RunCard | None) -> tuple[tuple[str, str, str], ...]:
    """Runs and models that this run was made from, with the role they had and their verdict."""
    if card is None:
        return ()
    verdicts = {row.run_id: row.verdict or "not judged" for row in queries.list_runs(home)}
    named = [("parent run", card.parent_run)] if card.parent_run else []
    named += [(f"input {name}", run_named(value)) for name, value in sorted(card.inputs.items())]
    unpassed = {f"input {name}": verdict for name, verdict in card.observations.unpassed_inputs.items()}
    return tuple((role, run, unpassed.get(role) or verdicts.get(run, "")) for role, run in named)


def _prepared(card: RunCard, home: Path, workspace: Path) -> list[Path]:
    own = workspace / "artifacts" / "lanes" / card.lane / "prepare" / QUERIES
    shared = sorted((home / "work" / "prepared").glob(f"*/{QUERIES}"))
    return [own, home / "lanes" / card.lane / "prepare" / QUERIES, *shared]


def _judgement(home: Path, row: StatementRow) -> Judgement:
    return Judgement.model_validate_json((home / row.path / "judgement.json").read_bytes())


def _decision(home: Path, row: DecisionRow) -> Decision:
    return Decision.model_validate_json((home / row.path / "decision.json").read_bytes())


def _train_facts(models: Path) -> dict[str, Any]:
    return dict(StageRecord.model_validate_json((models / "records" / "train.json").read_bytes()).facts)


def _json(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text()) if path.is_file() else {}
    return found if isinstance(found, dict) else {}


def _csv(path: Path) -> tuple[Row, ...]:
    """A table of numbers; a cell that is none is None."""
    if not path.is_file():
        return ()
    with path.open(newline="") as file:
        return tuple({key: _number(value) for key, value in row.items() if key} for row in csv.DictReader(file))


def _log(path: Path) -> tuple[Row, ...]:
    if not path.is_file():
        return ()
    wanted = ("step", "loss", "lr")
    return tuple({key: _number(line.payload.get(key)) for key in wanted} for line in read_chain(path))


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _without_home(text: str, home: Path) -> str:
    return text.replace(f"{home}/", "")
