"""Gates about the shipped file while there is none: they wait for the others, which alone say what a run lacks."""

import pytest
from judged_world import World, at_least, hits, over

from interlock.contracts.gate import PredicateGate
from interlock.contracts.verdict import Cause, Verdict, fold

LOADS = PredicateGate(kind="predicate", check="model_loadable", phase="shipped")
ADVISORY = at_least(0.9, "a", severity="advise")


def judged(successes: int, **more):
    world = World()
    world.add("a", hits(successes, 1000))
    return {row.gate: row for row in world.judge(a=at_least(0.5, "a"), loads=LOADS, **more)}


@pytest.mark.parametrize(("successes", "verdict"), [(400, Verdict.FAIL), (510, Verdict.INCONCLUSIVE)])
def test_the_verdict_is_that_of_the_gates_before(successes: int, verdict: Verdict) -> None:
    rows = judged(successes)
    assert (rows["loads"].verdict, rows["loads"].cause) == (Verdict.BLOCKED, Cause.NOT_EXPORTED)
    assert "nothing is exported before" in rows["loads"].reason
    assert fold(rows.values()) is verdict


def test_a_file_that_is_missing_beside_passes_blocks() -> None:
    rows = judged(600)
    assert rows["loads"].cause is Cause.MISSING
    assert fold(rows.values()) is Verdict.BLOCKED


def test_an_advisory_gate_holds_nothing_back() -> None:
    assert judged(600, advice=ADVISORY)["loads"].cause is Cause.MISSING


def test_another_gate_that_is_blocked_stays_the_verdict() -> None:
    rows = judged(510, lost=at_least(0.5, "nothing"))
    assert (rows["lost"].cause, rows["loads"].cause) == (Cause.MISSING, Cause.NOT_EXPORTED)
    assert fold(rows.values()) is Verdict.BLOCKED


@pytest.mark.parametrize(
    "lost",
    [
        PredicateGate(kind="predicate", check="inference_test_passed", phase="shipped"),
        over(metric="b", baseline="r", baseline_run="0" * 16, phase="shipped"),
    ],
)
def test_after_the_export_what_is_missing_is_missing(lost) -> None:
    """Judged again by stricter gates: a shipped file that lacks a measurement, or a baseline, is no waiting file."""
    world = World()
    world.add("a", hits(510, 1000)).add("b", hits(900, 1000))
    shipped = at_least(0.5, "b", phase="shipped")
    rows = {row.gate: row for row in world.judge(a=at_least(0.5, "a"), b=shipped, lost=lost)}
    assert (rows["a"].verdict, rows["b"].verdict) == (Verdict.INCONCLUSIVE, Verdict.PASS)
    assert rows["lost"].cause is Cause.MISSING
    assert fold(rows.values()) is Verdict.BLOCKED


def test_a_row_that_waits_never_lets_a_run_pass() -> None:
    waiting = judged(510)["loads"]
    passing = judged(600)["a"]
    assert fold([passing, waiting]) is Verdict.BLOCKED
    assert fold([waiting]) is Verdict.BLOCKED
