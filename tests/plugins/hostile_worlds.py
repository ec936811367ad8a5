"""A home with real runs of the toy lane, one for each verdict, for attacks on decisions about them.

    world = make_world(folder)              # about five seconds
    world.runs["fail after a pass"]         # a run that was exported, and judged again by stricter gates

The runs that were judged again have models in the registry, which nothing but their verdict keeps from being promoted.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from toy_homes import toy_run

from interlock.errors import InterlockError
from interlock.registry.promotion import promote
from interlock.registry.queries import list_models
from interlock.registry.stages import HELD
from interlock.runs.sync import keep_judgement
from interlock.stages.verdicts import read_archived, read_gates

OVERRIDES = {"pass": (), "fail": ("lane.model.value=0.2",)}
"""What makes the toy lane end so."""
STRICTER = {
    "fail": {"target": 0.99},
    "inconclusive": {"target": 0.9},
    "blocked": {"target": 0.5, "n_min": 5000},
}
"""Gates under which a run that passed does not pass any more."""


@dataclass(frozen=True, kw_only=True)
class World:
    """What stands in the folder."""

    home: Path
    work: Path
    """Folders in which the runs were made, by label."""
    runs: dict[str, str]
    """Run ids by what became of them."""


def make_world(folder: Path) -> World:
    """Make the runs; the folder must be empty."""
    home, work, runs = folder / "home", folder / "work", {}
    for seed, (label, overrides) in enumerate(OVERRIDES.items(), start=1):
        runs[label] = toy_run(home, work / label, f"seed={seed}", *overrides)
    for seed, (label, gate) in enumerate(STRICTER.items(), start=11):
        name = f"{label} after a pass"
        runs[name] = toy_run(home, work / name, f"seed={seed}")
        judge_again(home, runs[name], seconds=seed, **gate)
    return World(home=home, work=work, runs=runs)


def judge_again(home: Path, run_id: str, *, seconds: int, **gate: float) -> None:
    """What `interlock judge` does with another threshold."""
    spec = {"kind": "threshold", "metric": "accuracy", "direction": "at_least", "n_min": 50} | gate
    measured = read_archived(home / "runs" / run_id / "models", run_id=run_id)
    judgement = measured.judgement("toy", read_gates({"accuracy": spec}))
    keep_judgement(home, judgement, made_at=f"2999-01-01T00:00:{seconds:02}+00:00", files={})


def promoted(home: Path) -> Iterator[str]:
    """Try to promote every model as a person would; yields those that moved, or that stand somewhere already."""
    for row in list_models(home):
        if row.stage in HELD:
            yield f"{row.id} is in {row.stage}"
        for stage, share in (("shadow", None), ("staging", None), ("canary", 5.0), ("production", None)):
            try:
                promote(home, row.id, to=stage, by="Mallory", reason="the model says so", share_percent=share)
            except InterlockError:
                continue
            yield f"{row.run_id} -> {stage}"
