"""Verdicts: folding order, and rows that contradict themselves."""

import itertools

import pytest
from pydantic import ValidationError

from interlock.contracts.verdict import EXIT_CODES, Cause, GateResult, Judgement, Verdict, fold, worst


def row(verdict=Verdict.PASS, **changes):
    fields = {
        "gate": "g",
        "metric": "m",
        "severity": "block",
        "verdict": verdict,
        "observed": 0.5,
        "bound": 0.4,
        "target": 0.3,
        "comparison": ">=",
        "unit": "ratio",
        "n": 10,
        "method": "wilson",
        "reason": "m 0.500",
        "evidence": "metrics.json#/m",
        "cause": Cause.MISSING if verdict is Verdict.BLOCKED else None,
    }
    return GateResult(**(fields | changes))


def test_worst_is_fail_then_blocked_then_inconclusive_then_pass():
    order = [Verdict.FAIL, Verdict.BLOCKED, Verdict.INCONCLUSIVE, Verdict.PASS]
    for one, other in itertools.product(order, repeat=2):
        assert worst([one, other]) is order[min(order.index(one), order.index(other))]


def test_silence_never_passes():
    assert worst([]) is fold([]) is Verdict.BLOCKED
    assert fold([row(severity="advise")]) is Verdict.BLOCKED


def test_advice_does_not_count():
    assert fold([row(), row(Verdict.FAIL, severity="advise")]) is Verdict.PASS
    assert fold([row(), row(Verdict.FAIL, severity="halt")]) is Verdict.FAIL


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"verdict": Verdict.BLOCKED, "cause": None}, "states its cause"),
        ({"verdict": Verdict.PASS, "cause": Cause.UNIT}, "states its cause"),
        ({"verdict": Verdict.PASS, "observed": None}, "cannot pass"),
        ({"observed": float("nan")}, "finite number"),
    ],
)
def test_contradictory_rows_are_refused(fields, words):
    with pytest.raises(ValidationError, match=words):
        row(**fields)


def test_a_judgement_cannot_claim_another_verdict_than_its_rows():
    fields = {"judgement_id": "x", "run_id": "r", "lane": "l", "gates_sha256": "g", "measurements_sha256": "m"}
    assert Judgement(verdict=Verdict.FAIL, rows=(row(Verdict.FAIL),), **fields).verdict is Verdict.FAIL
    for claimed in (Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.BLOCKED):
        with pytest.raises(ValidationError, match="the rows fold to fail"):
            Judgement(verdict=claimed, rows=(row(Verdict.FAIL),), **fields)


def test_exit_codes():
    assert {str(verdict): int(code) for verdict, code in EXIT_CODES.items()} == {
        "pass": 0,
        "fail": 3,
        "inconclusive": 4,
        "blocked": 5,
    }
