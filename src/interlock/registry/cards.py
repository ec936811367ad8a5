"""Make a run's card from its stage records. Pure but for reading the metrics files; nothing is measured again."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from interlock.contracts.answer import Usage
from interlock.contracts.card import CardObservations, CardStage, RunCard, Spend
from interlock.contracts.input import PASSED, pinned
from interlock.contracts.stage import Artifact, Observations
from interlock.errors import StageError
from interlock.provenance.canonical import sha256_json
from interlock.provenance.dotted import lookup
from interlock.registry.layout import FinishedRun, Placed, StageFiles, placed_model_files

METRICS = "metrics.json"
NOTHING = Usage()
_NAMED = {
    "learning_rate": ("optimizer.lr", "optimizer.learning_rate"),
    "batch_size": ("trainer.batch_size", "data.batch_size"),
    "epochs": ("trainer.epochs",),
    "optimizer": ("optimizer.kind",),
    "scheduler": ("optimizer.schedule", "optimizer.scheduler", "trainer.scheduler"),
}
"""Hyperparameters that readers of cards look for, and where lanes keep them under `lane.*`."""


def make_card(
    folder: Path,
    run: FinishedRun,
    *,
    placed: Mapping[str, Placed],
    records: Mapping[str, Artifact],
    spent: Usage = NOTHING,
) -> RunCard:
    """The card of a run whose stages up to export are finished and archived in `folder`, with their `records`.

    `spent` is what language models have cost the run so far.

    Raises StageError when prepare does not name its dataset or train does not carry its configuration.
    """
    prepare, train, export = (run.stages[stage] for stage in ("prepare", "train", "export"))
    config = _config(train)
    artifacts = {name: item.artifact for name, item in placed.items() if not item.volatile}
    return RunCard(
        run_id=run.run_id,
        model_type=str(config["lane"].get("kind")),
        lane=run.lane,
        dataset=_fact(prepare, "dataset"),
        dataset_sha256=_fact(prepare, "dataset_sha256"),
        seed=config["seed"],
        git_commit=train.observations.git_commit or "",
        hyperparameters=_hyperparameters(config),
        env=train.observations.environment,
        results=_results(folder, placed, volatile=False),
        hardware=config["hardware"],
        config_sha256=train.record.params_sha256,
        code_sha256=train.record.code_sha256,
        lock_sha256=train.record.lock_sha256,
        inputs={name: pinned(use.run_id, use.sha256) for name, use in train.record.lane_inputs.items()},
        parent_run=_parent(train) or run.parent_run,
        reproducibility="bit_exact" if config["hardware"].get("deterministic") else "seeded",
        export=export.record.status,
        stages={
            stage: CardStage(
                status=found.record.status,
                reason=found.record.reason,
                code_sha256=found.record.code_sha256,
                params_sha256=found.record.params_sha256,
            )
            for stage, found in run.stages.items()
            if stage not in ("judge", "decide")
        },
        model_files=placed_model_files(run, placed),
        artifacts={**artifacts, **records},
        observations=_observations(folder, run, placed, spent),
    )


def _config(train: StageFiles) -> dict[str, Any]:
    config: dict[str, Any] = dict(train.record.params)
    if sha256_json(config) != train.record.params_sha256 or not {"lane", "seed", "hardware"} <= set(config):
        raise StageError(
            "the record does not carry the configuration that training read",
            path=train.folder / "record.json",
            hint="run the stage again: dvc repro",
        )
    return config


def _hyperparameters(config: Mapping[str, Any]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for name, keys in _NAMED.items():
        found = [value for key in keys if (value := lookup(config["lane"], key)) is not None]
        if found:
            named[name] = found[0]
    return {**named, "config": dict(config)}


def _fact(stage: StageFiles, key: str) -> str:
    value = stage.record.facts.get(key)
    if not isinstance(value, str) or not value:
        raise StageError(
            f"the record names no {key}", path=stage.folder / "record.json", hint="a lane's prepare must return it"
        )
    return value


def _parent(train: StageFiles) -> str | None:
    """The run that healing made this one of; it stands nearer than one whose decision led here."""
    parent = train.observations.facts.get("parent_run")
    return parent if isinstance(parent, str) else None


def _recovery(train: Observations) -> tuple[str, ...]:
    told = train.facts.get("recovery")
    return tuple(str(item) for item in told) if isinstance(told, list) else ()


def _results(folder: Path, placed: Mapping[str, Placed], *, volatile: bool) -> dict[str, Any]:
    """Values of evaluate's and export's metrics files; an earlier stage's value of the same name stays."""
    results: dict[str, Any] = {}
    for target, item in placed.items():
        if item.name == METRICS and item.volatile == volatile:
            results = {**json.loads((folder / target).read_text()), **results}
    return results


def _observations(folder: Path, run: FinishedRun, placed: Mapping[str, Placed], spent: Usage) -> CardObservations:
    seen = {stage: found.observations for stage, found in run.stages.items() if stage not in ("judge", "decide")}
    duration_s = sum(item.duration_s for item in seen.values())
    started = datetime.fromisoformat(seen["train"].started_at)
    return CardObservations(
        created_at=int(started.replace(tzinfo=started.tzinfo or UTC).timestamp()),
        git_dirty=seen["train"].git_dirty,
        duration_mins=round(duration_s / 60, 3),
        hosts=tuple(sorted({item.host for item in seen.values()})),
        attempts={stage: item.attempt for stage, item in seen.items()},
        machine_class=seen["train"].environment.get("machine_class", ""),
        results=_results(folder, placed, volatile=True),
        artifacts={name: item.artifact for name, item in placed.items() if item.volatile},
        unpassed_inputs={
            name: use.verdict
            for name, use in run.stages["prepare"].record.lane_inputs.items()
            if use.verdict is not None and use.verdict != PASSED
        },
        recovery=_recovery(seen["train"]),
        spend=Spend(
            compute_hours=round(duration_s / 3600, 6),
            cost_usd=spent.usd if spent.calls else None,
            tokens=spent.tokens,
        ),
    )
