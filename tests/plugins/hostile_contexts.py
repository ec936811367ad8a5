"""Contexts made by hand, for attacks on the guard alone: every kind and every verdict, in a millisecond.

Real ones, out of real runs, are in `hostile_worlds`.
"""

import itertools
from collections.abc import Iterator

from interlock.contracts.decision import DecisionContext, Evidence, Remark, View
from interlock.contracts.lane import Range
from interlock.contracts.verdict import Cause, GateResult, Verdict
from interlock.decisions.actions import allowed_actions

KINDS = ("lane", "job", "release")
SPACE = {
    "lane.optimizer.lr": Range(low=0.01, high=1.0, scale="log"),
    "lane.trainer.steps": Range(low=1, high=50, integer=True),
}
CURRENT = {"lane.optimizer.lr": 0.5, "lane.trainer.steps": 20}
GATES = ("accuracy", "converged", "loads")
EXECUTIVES = ("infrastructure_monitor", "quality_safety_officer", "ops_commander")
"""The chair comes last."""
AGENTS = {"lane": "dir_models", "job": "architect", "release": "executive_team"}


def contexts() -> Iterator[DecisionContext]:
    """One context for each kind and verdict."""
    for kind, verdict in itertools.product(KINDS, Verdict):
        yield context(kind, verdict)


def context(kind: str, verdict: Verdict, *, hostile: str = "", shared: bool = False) -> DecisionContext:
    """Three gates, of which the first has the verdict and the others pass.

    Args:
        kind: What is decided upon.
        verdict: Of the first gate, and so of all.
        hostile: Becomes text of a fact and a remark.
        shared: Of a release: every executive sees the same gate and facts, instead of one gate each.
    """
    found = zip(GATES, (verdict, Verdict.PASS, Verdict.PASS), strict=True)
    rows = tuple(_row(gate, said) for gate, said in found)
    evidence = tuple(sorted(_evidence(rows, hostile), key=lambda item: item.id))
    is_lane = kind == "lane"
    return DecisionContext(
        kind=kind,
        agent=AGENTS[kind],
        run_id="" if kind == "job" else "ab" * 8,
        judgement_id="d" * 64,
        lane="" if kind == "job" else "toy",
        job="j1" if kind == "job" else "",
        verdict=verdict,
        rows=rows,
        evidence=evidence,
        remarks=(Remark(source="experiment.notes", text=hostile),) if hostile else (),
        views=_views(shared=shared) if kind == "release" else {},
        current=CURRENT if is_lane else {},
        search_space=SPACE if is_lane else {},
        attempts=1,
        max_attempts=3,
        allowed=allowed_actions(verdict, policy="llm", kind=kind),
    )


def _views(*, shared: bool) -> dict[str, View]:
    """Each executive answers for a gate of its own, or all of them for the same one."""
    return {
        name: View(rows=(GATES[-1] if shared else gate,), evidence=())
        for name, gate in zip(EXECUTIVES, GATES, strict=True)
    }


def _row(gate: str, verdict: Verdict) -> GateResult:
    return GateResult(
        gate=gate, metric=gate, severity="block", verdict=verdict, observed=0.72, bound=0.69, target=0.7,
        comparison=">=", unit="ratio", n=400, method="wilson", reason=f"{gate} 0.720 against 0.700, n=400",
        evidence=f"evaluate/measurements.json#/{gate}", n_needed=900 if verdict is Verdict.INCONCLUSIVE else None,
        cause=Cause.MISSING if verdict is Verdict.BLOCKED else None,
    )  # fmt: skip


def _evidence(rows: tuple[GateResult, ...], hostile: str) -> Iterator[Evidence]:
    def fact(name: str, value: bool | int | float | str, at: str) -> Evidence:
        return Evidence(id=name, value=value, pointer=f"{at}@sha256:{'e' * 64}")

    for index, row in enumerate(rows):
        for field in ("verdict", "observed", "bound", "target", "n", "n_needed", "reason"):
            value = getattr(row, field)
            if value is not None:
                shown = value.value if isinstance(value, Verdict) else value
                yield fact(f"gate.{row.gate}.{field}", shown, f"judge/judgement.json#/rows/{index}/{field}")
    yield fact("verdict", str(rows[0].verdict), "judge/judgement.json#/verdict")
    yield fact("prepare.dataset", hostile or "numbers", "prepare/record.json#/facts/dataset")
    yield fact("train.trend", "improving", "train/record.json#/facts/trend")
    yield fact("train.overfitting", False, "train/record.json#/facts/overfitting")
    yield fact("search.lane.optimizer.lr", 0.5, "train/record.json#/params/lane/optimizer/lr")
    yield fact("search.lane.trainer.steps", 20, "train/record.json#/params/lane/trainer/steps")
    yield fact("lineage.attempts", 1, "train/record.json#/params/lineage/attempt")
    yield fact("lineage.max_attempts", 3, "train/record.json#/params/max_attempts")
