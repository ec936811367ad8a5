"""What trackers are shown of a finished run: results, gates, single items, charts, lineage, alerts. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import JsonValue

from interlock.contracts.card import RunCard
from interlock.contracts.decision import Decision
from interlock.contracts.stage import Artifact
from interlock.contracts.tracking import Alert, Cell, Lineage, Table, TrackedArtifact, TrackedFile
from interlock.contracts.verdict import Judgement, Verdict
from interlock.registry.decided import SpentRow, taken_model
from interlock.registry.layout import CARD, DATASET_CARD, run_folder
from interlock.runs.tracked.items import per_item_table
from interlock.stages.verdicts import Measured

GATES = "gates"
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass(frozen=True, kw_only=True)
class Told:
    """What the archive and the registry say of a run."""

    home: Path
    card: RunCard
    params: Mapping[str, Any]
    """Configuration that its stages read, nested."""
    labels: Mapping[str, str]
    """What its executions were started for."""
    judgement: Judgement | None
    """Its present judgement."""
    decision: Decision | None
    """What was decided upon it."""
    model_id: str
    """Name in the registry; empty when it was not exported."""
    stage: str
    """Its model's stage there, e.g. `candidate`."""

    reproduced: str = ""
    """Level that its newest reproduction reached; empty when nobody tried."""
    waived: str = ""
    """Who waived the inconclusive verdict and until when; empty where no waiver stood when this was gathered."""
    spent: tuple[SpentRow, ...] = ()
    """What language models cost, by agent and model."""

    @property
    def models(self) -> Path:
        """Folder of its archived files."""
        return run_folder(self.home, self.card.run_id) / "models"


def identity(told: Told) -> dict[str, JsonValue]:
    """What the run is made of, by digest."""
    card = told.card
    return {
        "model_id": told.model_id,
        "dataset": card.dataset,
        "dataset_sha256": card.dataset_sha256,
        "code_sha256": card.code_sha256,
        "lock_sha256": card.lock_sha256,
        "git_commit": card.git_commit,
        "machine_class": card.observations.machine_class,
        "reproducibility": card.reproducibility,
        "parent_run": card.parent_run,
        "inputs": dict(card.inputs),
        "environment": dict(card.env),
    }


def tags(told: Told) -> tuple[str, ...]:
    """Words to filter runs by."""
    found = [f"dataset:{told.card.dataset}"]
    found += [f"verdict:{told.judgement.verdict}"] if told.judgement else []
    found += [f"action:{told.decision.action}"] if told.decision else []
    found += [f"stage:{told.stage}"] if told.stage else []
    found += ["waived"] if told.waived else []
    found += ["recovered"] if told.card.observations.recovery else []
    found += [f"reproduced:{told.reproduced}"] if told.reproduced else []
    return tuple(found)


def summary(told: Told) -> dict[str, Cell]:
    """Results by name, the verdict, and for each gate what it says."""
    card, observed = told.card, told.card.observations
    results: dict[str, JsonValue] = {**observed.results, **card.results}
    values: dict[str, Cell] = {
        name: value for name, value in results.items() if isinstance(value, bool | int | float | str)
    }
    values |= {
        "verdict": told.judgement.verdict.value if told.judgement else None,
        "action": told.decision.action.value if told.decision else None,
        "waived": told.waived or None,
        "export": card.export,
        "reproduced": told.reproduced or None,
        "duration_mins": observed.duration_mins,
        "compute_hours": observed.spend.compute_hours,
        "cost_usd": observed.spend.cost_usd,
        **_decided(told),
    }
    for row in told.judgement.rows if told.judgement else ():
        values[f"gates/{row.gate}"] = row.verdict.value
        if row.bound is not None:
            values[f"gates/{row.gate}/bound"] = row.bound
    return values


def _decided(told: Told) -> dict[str, Cell]:
    """Who decided, and what language models cost the run over all its decisions."""
    decision = told.decision
    return {
        "decision/agent": decision.agent if decision else None,
        "decision/policy": decision.policy if decision else None,
        "decision/model": (taken_model(decision) or None) if decision else None,
        "decision/confidence": decision.confidence if decision else None,
        "llm/calls": sum(row.calls for row in told.spent),
        "llm/tokens": sum(row.tokens_in + row.tokens_out for row in told.spent),
        "llm/usd": round(sum(row.usd for row in told.spent), 6),
    }


def gate_table(judgement: Judgement) -> Table:
    """One row per gate, the worst first."""
    columns = (
        "gate", "verdict", "severity", "metric", "observed", "bound", "comparison", "target", "unit", "n", "n_needed",
        "method", "reason", "advice", "evidence",
    )  # fmt: skip
    order = list(reversed([*Verdict]))
    rows = tuple(
        (
            row.gate, row.verdict.value, row.severity, row.metric, row.observed, row.bound, row.comparison, row.target,
            row.unit, row.n, row.n_needed, row.method, row.reason, row.on_failure, row.evidence,
        )
        for row in sorted(judgement.rows, key=lambda row: (order.index(row.verdict), row.gate))
    )  # fmt: skip
    return Table(name=GATES, columns=columns, rows=rows)


def alerts(told: Told) -> tuple[Alert, ...]:
    """One alert for a judgement that failed or could not be made, with the reason of every gate that kept it back."""
    judgement = told.judgement
    if judgement is None or judgement.verdict not in (Verdict.FAIL, Verdict.BLOCKED):
        return ()
    failed = [row for row in judgement.rows if row.severity != "advise" and row.verdict is judgement.verdict]
    lines = [f"{row.gate}: {row.reason}" + (f" ({row.on_failure})" if row.on_failure else "") for row in failed]
    return (
        Alert(
            name=f"judgement-{judgement.judgement_id[:16]}",
            title=f"{judgement.verdict}: {judgement.lane} run {judgement.run_id}",
            text="\n".join(lines),
            level="ERROR" if any(row.severity == "halt" for row in failed) else "WARN",
        ),
    )


def item_table(told: Told, measured: Measured, *, metric: str, limit: int, texts: Mapping[str, str]) -> Table | None:
    """The most telling items of a metric, against its strongest baseline; None when it has no scores by item."""
    if limit == 0 or metric not in measured.scores:
        return None
    items = list(measured.items[metric])
    same = {name for name, found in measured.items.items() if list(found) == items}
    columns = {name: dict(zip(items, map(float, measured.scores[name]), strict=True)) for name in sorted(same)}
    rivals = [name for name in columns if name.partition(".")[2] == metric]
    baseline = max(rivals, key=lambda name: measured.measurements[name].value or 0.0, default=None)
    compared = [row.comparison for row in (told.judgement.rows if told.judgement else ()) if row.metric == metric]
    return per_item_table(
        columns, metric=metric, baseline=baseline, limit=limit, texts=texts, greater_is_better="<=" not in compared
    )


def lineage(told: Told, *, models: Literal["exported", "all", "none"]) -> Lineage:
    """The dataset that the run read, by its card (DVC keeps the data), and the model that it made."""
    card = told.card
    known = {**card.artifacts, **card.observations.artifacts}
    dataset = TrackedArtifact(
        name=_safe(card.dataset),
        type="dataset",
        aliases=(card.dataset_sha256[:12],),
        files=_files(told, {name: known[name] for name in (DATASET_CARD,) if name in known}),
        metadata={"dataset_sha256": card.dataset_sha256, "kept_by": "dvc"},
    )
    wanted = models == "all" or (models == "exported" and card.export == "completed")
    names = [name for name in card.model_files if name in known] if wanted else []
    verdict = told.judgement.verdict.value if told.judgement else ""
    aliases = (card.run_id, *([f"verdict-{verdict}"] if verdict else []), *([told.stage] if told.stage else []))
    model = TrackedArtifact(
        name=_safe(f"{card.model_type}-{card.dataset}"),
        type="model",
        aliases=aliases,
        files=_files(told, {name: known[name] for name in names}),
        metadata={"run_id": card.run_id, "model_id": told.model_id, "verdict": verdict, "card": f"models/{CARD}"},
    )
    return Lineage(inputs=(dataset,), outputs=(model,) if names else ())


def _files(told: Told, artifacts: Mapping[str, Artifact]) -> dict[str, TrackedFile]:
    folder = told.models.relative_to(told.home).as_posix()
    return {
        name: TrackedFile(path=f"{folder}/{name}", sha256=artifact.sha256, size_bytes=artifact.size_bytes)
        for name, artifact in artifacts.items()
    }


def _safe(name: str) -> str:
    return _UNSAFE.sub("-", name).strip("-.")[:100] or "unnamed"
