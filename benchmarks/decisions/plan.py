"""Which situations there are, and which actions are tried in each: written down before anything has run.

A situation is a judged run and where it stands in its lineage. What is tried follows from its verdict: a pass is
accepted and nothing is run; otherwise every move of the lane's list, more items where the verdict is inconclusive or
items are too few, and a repeated evaluation where it is blocked. Escalating is always open and needs no run.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from decisions.draws import draw
from decisions.running import Job, Run
from decisions.settings import MORE_ITEMS

LR, EPOCHS, BATCH = "lane.optimizer.lr", "lane.trainer.epochs", "lane.trainer.batch_size"
DECAY, DROPOUT, FEATURES = "lane.optimizer.weight_decay", "lane.model.dropout", "lane.model.feature_dropout"
DIMENSIONS, TEMPERATURE, WINDOW = "lane.model.dimensions", "lane.trainer.temperature", "lane.trainer.window"
NEGATIVES = "lane.trainer.hard_negatives"

MAX_ATTEMPTS = 4
Moves = tuple[tuple[str, float, float], ...]
MOVES: Mapping[str, Moves] = {
    "query_tower": (("lr", 3.0, 0.0), ("epochs", 2.0, 0.0), ("lr", 10.0, 0.0)),
    "directional_adapter": (("lr", 3.0, 0.0), ("epochs", 2.0, 0.0), ("epochs", 4.0, 0.0), ("lr", 10.0, 0.0)),
    "lvm": (("lr", 3.0, 0.0), ("epochs", 2.0, 0.0), ("epochs", 4.0, 0.0)),
}
"""Tried where a gate fails: last part of the key, factor, summand; one key at a time."""
OPEN_MOVES: Mapping[str, Moves] = {
    "query_tower": (("lr", 0.3, 0.0), ("temperature", 2.0, 0.0), ("batch_size", 0.5, 0.0)),
    "directional_adapter": (("lr", 0.3, 0.0), ("feature_dropout", 1.0, 0.3), ("epochs", 2.0, 0.0)),
    "lvm": (("lr", 3.0, 0.0), ("window", 0.5, 0.0)),
}
"""Tried where the verdict is inconclusive, besides more items."""
FEW_MOVES = 2
"""How many are tried where no move should help: planted leaks, gates out of reach, faults outside the search space."""
DRIVE_SEED = 5813
"""Seed of the draws that `drive_vs_random.py` begins from: the same runs, kept out of sight of whoever tunes rules."""


@dataclass(frozen=True, kw_only=True)
class Planned:
    """One situation before anything has run."""

    name: str
    """Unique."""
    kind: str
    """What is right or wrong with it."""
    job: Job
    """The run that is judged."""
    attempts: int = 1
    """Judged runs of its lineage, this one included."""
    hopeless: bool = False
    """Whether no move is expected to help, so that only a few are tried."""
    unjust: bool = field(default=False)
    """Whether a pass would be wrong: a leak that the gates have to stop."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One action that is tried."""

    name: str
    """E.g. `retrain lr x3`."""
    action: str
    """`retrain`, `gather_more` or `repair`."""
    overrides: Mapping[str, Any]
    """What a retrain changes."""
    job: Job
    """The run that shows what it leads to."""


def planned() -> Iterator[Planned]:
    """All situations, in the order in which they are run."""
    yield from _adapter()
    yield from _drawn("tower", seed=7, count=6)
    yield from _planted()
    yield from _lvm()
    yield from _out_of_reach()
    yield from _drawn("tower", seed=DRIVE_SEED, count=10)


def _drawn(setting: str, *, seed: int, count: int) -> Iterator[Planned]:
    rng = random.Random(seed)
    for number in range(count):
        values = draw(setting, rng)
        yield Planned(
            name=f"{setting}-{seed}-{number}",
            kind="drawn from the search space",
            job=Job(setting=setting, changes=values),
        )


def _adapter() -> Iterator[Planned]:
    wrong: dict[str, tuple[dict[str, Any], ...]] = {
        "wrong config": (
            {LR: 0.0005, EPOCHS: 3},
            {LR: 0.0005, EPOCHS: 2, BATCH: 2048},
            {LR: 0.001, EPOCHS: 1},
            {FEATURES: 0.8, DROPOUT: 0.8, EPOCHS: 3},
            {DIMENSIONS: 4, LR: 0.0005, EPOCHS: 4},
            {BATCH: 2048, EPOCHS: 2, LR: 0.002},
            {LR: 0.0005, BATCH: 1024, EPOCHS: 6},
            {LR: 0.003, EPOCHS: 1, DIMENSIONS: 8},
        ),
        "good run": ({}, {LR: 0.02}, {DIMENSIONS: 64}, {BATCH: 256, EPOCHS: 10}),
    }
    for kind, changes in wrong.items():
        for number, values in enumerate(changes):
            yield Planned(
                name=f"adapter-{kind.split()[0]}-{number}", kind=kind, job=Job(setting="adapter", changes=values)
            )
    for number, values in enumerate(
        (
            {EPOCHS: 30, LR: 0.05},
            {EPOCHS: 30, LR: 0.1},
            {EPOCHS: 40, LR: 0.03, BATCH: 256},
            {EPOCHS: 20, LR: 0.1, DIMENSIONS: 128},
        )
    ):
        yield Planned(
            name=f"adapter-overfits-{number}", kind="overfitting", job=Job(setting="adapter_overfits", changes=values)
        )
    for setting in ("adapter_tight", "adapter_beats_bag"):
        for number, values in enumerate(({LR: 0.003}, {LR: 0.1})):
            name = f"{setting}-{number}"
            yield Planned(name=name, kind="borderline gate", job=Job(setting=setting, changes=values))
    yield Planned(name="adapter-few", kind="too few items", job=Job(setting="adapter_few_items"), hopeless=True)


def _lvm() -> Iterator[Planned]:
    for number, values in enumerate(({}, {LR: 0.002}, {WINDOW: 16})):
        yield Planned(name=f"lvm-good-{number}", kind="good run", job=Job(setting="lvm_over_baselines", changes=values))
    for number, values in enumerate(
        (
            {EPOCHS: 4},
            {LR: 0.0002, EPOCHS: 10},
            {LR: 0.0001, EPOCHS: 20},
            {EPOCHS: 2, WINDOW: 128},
            {LR: 0.01, EPOCHS: 3},
        )
    ):
        yield Planned(
            name=f"lvm-wrong-{number}", kind="wrong config", job=Job(setting="lvm_over_baselines", changes=values)
        )
    for number, values in enumerate(({}, {LR: 0.002})):
        yield Planned(
            name=f"lvm-strict-{number}", kind="borderline gate", job=Job(setting="lvm_strict", changes=values)
        )


_GOOD_TOWER = {LR: 0.02, BATCH: 256}


def _planted() -> Iterator[Planned]:
    for plant in (
        "scores_cut",
        "scores_nan",
        "scores_short",
        "accuracy_gone",
        "accuracy_raised",
        "lasting_items_twice",
        "lasting_nan",
    ):
        kind = "evaluation is broken" if plant.startswith("lasting") else "damaged measurements"
        yield Planned(name=f"adapter-{plant}", kind=kind, job=Job(setting="adapter", plant=plant), hopeless=True)
    for plant in ("scores_cut", "scores_nan", "recall_gone", "recall_raised", "lasting_items_twice"):
        kind = "evaluation is broken" if plant.startswith("lasting") else "damaged measurements"
        job = Job(setting="tower", changes=_GOOD_TOWER, plant=plant)
        yield Planned(name=f"tower-{plant}", kind=kind, job=job, hopeless=True)
    for number, values in enumerate((_GOOD_TOWER, {LR: 0.04, BATCH: 128}, {LR: 0.001, EPOCHS: 6})):
        job = Job(setting="tower", changes=values, plant="leak_questions")
        yield Planned(name=f"tower-leak-{number}", kind="leakage", job=job, hopeless=True, unjust=True)


def _out_of_reach() -> Iterator[Planned]:
    for setting, kind in (
        ("tower_mixed", "wrong config outside the search space"),
        ("tower_out_of_reach", "gate out of reach"),
        ("tower_few_items", "too few items"),
    ):
        for number, values in enumerate((_GOOD_TOWER, {LR: 0.001, EPOCHS: 6})):
            yield Planned(
                name=f"{setting}-{number}", kind=kind, job=Job(setting=setting, changes=values), hopeless=True
            )
    for number, values in enumerate((_GOOD_TOWER, {LR: 0.03, TEMPERATURE: 0.02}, {LR: 0.01, NEGATIVES: 0, BATCH: 128})):
        yield Planned(
            name=f"tower-margin-{number}", kind="borderline gate", job=Job(setting="tower_margin", changes=values)
        )
    yield Planned(
        name="adapter-out-of-reach", kind="gate out of reach", job=Job(setting="adapter_out_of_reach"), hopeless=True
    )
    for attempts, name, values in ((4, "last", {LR: 0.0005, EPOCHS: 3}), (4, "last-slow", {LR: 0.001, EPOCHS: 1})):
        job = Job(setting="adapter", changes=values)
        yield Planned(name=f"adapter-{name}", kind="attempts used up", job=job, attempts=attempts, hopeless=True)
    values = {LR: 0.001, EPOCHS: 6}
    job = Job(setting="tower", changes=values)
    yield Planned(name="tower-last", kind="attempts used up", job=job, attempts=4, hopeless=True)


def candidates(situation: Planned, run: Run) -> Iterator[Candidate]:
    """Every action that is tried in the situation whose run is known now."""
    verdict, job = run.verdict, situation.job
    if verdict in ("fail", "inconclusive"):
        for name, overrides in _retrains(run, few=situation.hopeless):
            changed = Job(setting=job.setting, changes={**job.changes, **overrides}, plant=job.plant)
            yield Candidate(name=f"retrain {name}", action="retrain", overrides=overrides, job=changed)
    if verdict == "inconclusive":
        for number, more in enumerate(MORE_ITEMS[str(run.record("train")["lane"])], 1):
            grown = Job(setting=job.setting, changes={**job.changes, **more}, plant=job.plant)
            yield Candidate(name=f"gather_more {number}", action="gather_more", overrides={}, job=grown)
    if verdict == "blocked":
        repaired = Job(setting=job.setting, changes=job.changes, plant=job.plant, then="repair")
        yield Candidate(name="repair", action="repair", overrides={}, job=repaired)


def _retrains(run: Run, *, few: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    from pydantic import TypeAdapter

    from interlock.contracts.lane import Range
    from interlock.decisions.search_space import Move, propose
    from interlock.provenance.dotted import lookup

    params = yaml.safe_load(run.files["params.yaml"])
    space = TypeAdapter(dict[str, Range]).validate_python(params["lane"]["search_space"])
    current = {key: lookup(params, key) for key in space}
    seen: list[dict[str, Any]] = []
    moves = (MOVES if run.verdict == "fail" else OPEN_MOVES)[str(run.record("train")["lane"])]
    for key, factor, add in moves[: FEW_MOVES if few else len(moves)]:
        overrides = propose([Move(key=key, factor=factor, add=add)], space, current)
        if overrides and overrides not in seen:
            seen.append(overrides)
            yield f"{key} x{factor:g}{f' {add:+g}' if add else ''}", overrides
