"""Runs the cases and counts: exact verdicts, wrong passes, wrong stops, exact causes.

A wrong pass is a pass where none was due: the one thing a gate is for. A wrong stop is a healthy twin that did not
pass: without it a judge that blocks everything would look perfect. Whatever raises anything but a refusal of
Interlock's own counts as neither right nor exact.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from gatebench.cases import Case, World
from interlock.contracts.verdict import GateResult, Verdict, fold
from interlock.gates.judge import judge

Judge = Callable[..., tuple[GateResult, ...]]


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one case gave."""

    case: Case
    verdict: Verdict | None
    """None when the code failed instead of answering."""
    twin: Verdict | None
    cause: str | None
    """Cause that the row in question states."""
    trouble: str = ""
    """The unexpected error, if there was one."""

    @property
    def is_exact(self) -> bool:
        """The fault got the verdict that is due."""
        return self.verdict is self.case.expected.verdict

    @property
    def is_wrong_pass(self) -> bool:
        """It passed, and must not."""
        return self.verdict is Verdict.PASS and self.case.expected.verdict is not Verdict.PASS

    @property
    def is_wrong_stop(self) -> bool:
        """The healthy twin did not pass."""
        return self.twin is not Verdict.PASS

    @property
    def has_cause(self) -> bool:
        """A cause is asked for, and it is this one."""
        wanted = self.case.expected.cause
        return wanted is not None and self.cause == wanted.value


def run(cases: Iterable[Case], *, judge_with: Judge = judge) -> list[Result]:
    """Score every case with this judge; cases of files always use the real code."""
    return [_run_one(case, judge_with) for case in cases]


def _run_one(case: Case, judge_with: Judge) -> Result:
    trouble = ""
    verdict: Verdict | None
    twin: Verdict | None
    cause: str | None
    try:
        verdict, cause = _faulty(case, judge_with)
    except Exception as error:  # the outermost loop: a crash is a result of the benchmark
        verdict, cause, trouble = None, None, f"{type(error).__name__}: {error}"
    try:
        twin = _healthy(case, judge_with)
    except Exception as error:
        twin, trouble = None, f"{trouble} twin: {type(error).__name__}: {error}".strip()
    return Result(case=case, verdict=verdict, twin=twin, cause=cause, trouble=trouble)


def _faulty(case: Case, judge_with: Judge) -> tuple[Verdict, str | None]:
    if case.world is None:
        assert case.drive
        return case.drive(), None
    world = case.world()
    rows = world.rows(judge_with)
    return fold(rows), _cause(rows, case, world)


def _healthy(case: Case, judge_with: Judge) -> Verdict:
    if case.twin is None:
        assert case.drive_twin
        return case.drive_twin()
    return fold(case.twin().rows(judge_with))


def _cause(rows: tuple[GateResult, ...], case: Case, world: World) -> str | None:
    asked = case.expected.gate or world.gate
    return next((row.cause.value for row in rows if row.gate == asked and row.cause is not None), None)


def summary(results: list[Result]) -> dict[str, Any]:
    """The numbers that the benchmark is about."""
    with_cause = [result for result in results if result.case.expected.cause is not None]
    exact = sum(result.is_exact for result in results) + sum(not result.is_wrong_stop for result in results)
    return {
        "fault_kinds": len({result.case.fault for result in results}),
        "gate_kinds": sorted({result.case.kind for result in results}),
        "cases": len(results),
        "judgements": 2 * len(results),
        "wrong_passes": sum(result.is_wrong_pass for result in results),
        "wrong_stops": sum(result.is_wrong_stop for result in results),
        "exact_verdicts": exact,
        "exact_share": round(exact / (2 * len(results)), 4),
        "causes_asked": len(with_cause),
        "causes_exact": sum(result.has_cause for result in with_cause),
        "crashes": sum(result.verdict is None or result.twin is None for result in results),
        "misses": [_miss(result) for result in results if not result.is_exact or result.is_wrong_stop],
    }


def _miss(result: Result) -> dict[str, Any]:
    return {
        "case": result.case.name,
        "expected": result.case.expected.verdict.value,
        "verdict": result.verdict.value if result.verdict else None,
        "twin": result.twin.value if result.twin else None,
        "trouble": result.trouble[:200],
    }
