"""Text whose numbers come from evidence and from nowhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.contracts.decision import Evidence, Statement
from interlock.contracts.verdict import GateResult, Judgement, Verdict
from interlock.decisions.evidence import gather, render, statement_faults
from interlock.errors import DecisionError

FACTS = (
    Evidence(id="gate.r_at_5.observed", value=0.64234567, pointer="p"),
    Evidence(id="gate.r_at_5.n", value=1204, pointer="p"),
    Evidence(id="train.overfitting", value=True, pointer="p"),
    Evidence(id="gate.r_at_5.reason", value="r_at_5 0.642 {gate.r_at_5.n}", pointer="p"),
)


def test_numbers_are_filled_in():
    text = "recall {gate.r_at_5.observed} on {gate.r_at_5.n}, overfitting: {train.overfitting}"
    assert render(text, FACTS) == "recall 0.6423 on 1204, overfitting: yes"


def test_evidence_is_filled_in_once_and_never_read_as_a_template():
    assert render("{gate.r_at_5.reason}", FACTS) == "r_at_5 0.642 {gate.r_at_5.n}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("R@5 is high", "numerals of its own"),
        ("recall 0.9", "'09'"),
        ("about ½ of them", "'½'"),
        ("٣ runs", "'٣'"),
        ("{gate.r_at_10.observed}", "without cited evidence"),
        ("{}", "brace"),
        ("{gate.r_at_5.n", "brace"),
        ("n}", "brace"),
        ("{ gate.r_at_5.n }", "brace"),
        ("{{gate.r_at_5.n}}", "brace"),
    ],
)
def test_what_resolves_to_nothing_is_refused(text, words):
    with pytest.raises(DecisionError, match=words):
        render(text, FACTS)


@given(st.text(max_size=40))
def test_any_text_is_rendered_without_foreign_numerals_or_refused(text):
    try:
        rendered = render(text, FACTS)
    except DecisionError:
        return
    assert not any(character.isnumeric() for character in text)
    assert rendered == text  # nothing drawn here names one of the facts


def test_a_placeholder_needs_its_citation():
    said = Statement(text="n is {gate.r_at_5.n}", evidence=("train.overfitting",))
    assert [fault.value for fault in statement_faults(said, FACTS, key="reasons.0")] == ["{gate.r_at_5.n}"]


def judgement():
    row = GateResult(
        gate="recall",
        metric="r_at_5",
        severity="block",
        verdict=Verdict.FAIL,
        observed=0.3,
        bound=0.32,
        target=0.5,
        comparison=">=",
        unit="ratio",
        n=1000,
        method="wilson",
        reason="r_at_5 0.300",
        evidence="metrics.json#/r_at_5",
    )
    return Judgement(
        judgement_id="d" * 64,
        run_id="r",
        lane="l",
        verdict=Verdict.FAIL,
        rows=(row,),
        gates_sha256="g",
        measurements_sha256="m",
    )


def test_gathers_what_has_a_value():
    found = gather(judgement(), facts={"train.trend": "rising"}, current={"lane.lr": 0.1}, attempts=1, max_attempts=2)
    assert {item.id: item.value for item in found} == {
        "verdict": "fail",
        "gate.recall.verdict": "fail",
        "gate.recall.metric": "r_at_5",
        "gate.recall.observed": 0.3,
        "gate.recall.bound": 0.32,
        "gate.recall.target": 0.5,
        "gate.recall.n": 1000,
        "gate.recall.reason": "r_at_5 0.300",
        "train.trend": "rising",
        "search.lane.lr": 0.1,
        "lineage.attempts": 1,
        "lineage.max_attempts": 2,
    }
    assert [item.id for item in found] == sorted(item.id for item in found)
    assert next(item for item in found if item.id == "train.trend").pointer == "train/record.json#/facts/trend"


@pytest.mark.parametrize("name", ["gate.other.observed", "verdict", "trend", "search.lane.lr"])
def test_a_fact_cannot_pass_for_a_judged_row(name):
    with pytest.raises(DecisionError, match="is no fact of a stage"):
        gather(judgement(), facts={name: 1.0}, current={}, attempts=1, max_attempts=2)
