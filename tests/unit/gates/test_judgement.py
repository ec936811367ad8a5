"""Judgements: identity, folding, and the question export asks."""

import pytest

from interlock.contracts.gate import PredicateGate
from interlock.contracts.measurement import Measurement
from interlock.contracts.verdict import Verdict
from interlock.errors import ProvenanceError
from interlock.gates.judge import judge
from interlock.gates.judgement import before_export, kpi_passed, make_judgement


def gates(**phases):
    return {name: PredicateGate(kind="predicate", check=name, phase=phase) for name, phase in phases.items()}


def measured(**values):
    return {
        name: Measurement(name=name, value=value, unit="bool", n=1, estimator="value", evidence=f"metrics.json#/{name}")
        for name, value in values.items()
    }


def rows_of(specs, found):
    return judge(specs, found, scores={}, items={}, seed=0)


def judged(specs, found, *, run_id="run-1"):
    return make_judgement(run_id=run_id, lane="demo", gates=specs, measurements=found, rows=rows_of(specs, found))


def test_rows_of_other_gates_are_refused():
    specs, found = gates(a="kpi", b="kpi"), measured(a=1.0, b=1.0)
    for other in (gates(a="kpi"), gates(a="kpi", c="kpi"), {}):
        with pytest.raises(ProvenanceError, match="the rows answer"):
            make_judgement(run_id="r", lane="demo", gates=specs, measurements=found, rows=rows_of(other, found))


def test_a_row_whose_severity_was_softened_is_refused():
    specs, found = gates(a="kpi", b="kpi"), measured(a=1.0, b=0.0)
    soft = [row.model_copy(update={"severity": "advise"}) for row in rows_of(specs, found)]
    with pytest.raises(ProvenanceError, match="advise"):
        make_judgement(run_id="r", lane="demo", gates=specs, measurements=found, rows=soft)


def test_advisory_gates_are_part_of_a_judgement():
    specs = gates(a="kpi") | {"b": PredicateGate(kind="predicate", check="b", severity="advise")}
    assert judged(specs, measured(a=1.0, b=0.0)).verdict is Verdict.PASS


def test_identity_follows_from_run_gates_and_measurements_alone():
    specs, found = gates(a="kpi", b="shipped"), measured(a=1.0, b=1.0)
    base = judged(specs, found)
    assert base.judgement_id == judged(dict(reversed(specs.items())), dict(reversed(found.items()))).judgement_id
    changes = [
        judged(specs, found, run_id="run-2"),
        judged(gates(a="training", b="shipped"), found),
        judged(specs, measured(a=0.0, b=1.0)),
    ]
    assert len({base.judgement_id, *(other.judgement_id for other in changes)}) == 4


def test_verdict_is_folded():
    assert judged(gates(a="kpi", b="kpi"), measured(a=1.0, b=0.0)).verdict is Verdict.FAIL
    assert judged(gates(a="kpi", b="kpi"), measured(a=1.0)).verdict is Verdict.BLOCKED
    assert judged({}, {}).verdict is Verdict.BLOCKED


@pytest.mark.parametrize(
    ("values", "passed"),
    [({"a": 1.0, "b": 1.0}, True), ({"a": 0.0, "b": 1.0}, False), ({"a": 1.0, "b": 0.0}, False), ({"a": 1.0}, False)],
)
def test_export_waits_for_training_and_kpi_gates_only(values, passed):
    specs = gates(a="training", b="kpi", c="shipped")
    first = before_export(specs)
    assert sorted(first) == ["a", "b"]
    assert kpi_passed(rows_of(first, measured(**values))) is passed


def test_export_without_any_gate_to_pass_is_refused():
    assert not kpi_passed(rows_of(before_export(gates(c="shipped")), measured(c=1.0)))
