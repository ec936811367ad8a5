"""Gates about the shipped file while there is none: they wait for the others, which alone say what a run lacks."""

import pytest
from judged_world import World, at_least, hits

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


def test_a_row_that_waits_never_lets_a_run_pass() -> None:
    waiting = judged(510)["loads"]
    passing = judged(600)["a"]
    assert fold([passing, waiting]) is Verdict.BLOCKED
    assert fold([waiting]) is Verdict.BLOCKED
