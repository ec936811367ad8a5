"""What may never be written down as a decision."""

import itertools

import pytest
from pydantic import ValidationError

from interlock.contracts.decision import Action, Decision, Evidence, Statement
from interlock.contracts.verdict import Verdict

SHA = "d" * 64


def decision(**changes):
    fields = {
        "decision_id": SHA,
        "judgement_id": SHA,
        "run_id": "r",
        "lane": "l",
        "verdict": Verdict.FAIL,
        "action": Action.ESCALATE,
        "reasons": (Statement(text="see {e}", evidence=("e",)),),
        "confidence": "high",
        "policy": "rules",
        "evidence": (Evidence(id="e", value=1, pointer="p"),),
    }
    return Decision(**(fields | changes))


def test_nothing_but_a_pass_can_be_accepted():
    for verdict, policy in itertools.product(Verdict, ["rules", "llm", "person"]):
        if verdict is Verdict.PASS:
            assert decision(verdict=verdict, action=Action.ACCEPT, policy=policy)
        else:
            with pytest.raises(ValidationError, match="cannot accept"):
                decision(verdict=verdict, action=Action.ACCEPT, policy=policy)


@pytest.mark.parametrize(
    "changes",
    [
        {"reasons": ()},
        {"proposed_overrides": {"lane.optimizer.lr": 0.1}},
        {"confidence": "certain"},
        {"action": "promote"},
        {"action": Action.RETRAIN, "proposed_overrides": {"k": float("nan")}},
        {"action": Action.RETRAIN, "proposed_overrides": {"k": True}},
        {"action": Action.RETRAIN, "proposed_overrides": {"k": "0.1"}},
    ],
    ids=str,
)
def test_refused(changes):
    with pytest.raises(ValidationError):
        decision(**changes)


@pytest.mark.parametrize(
    "fields", [{"text": "x", "evidence": ()}, {"text": "", "evidence": ("e",)}, {"text": "x", "evidence": ("a b",)}]
)
def test_a_statement_cites_something(fields):
    with pytest.raises(ValidationError):
        Statement(**fields)


def test_survives_json():
    whole = decision(action=Action.RETRAIN, proposed_overrides={"lr": 0.1, "epochs": 4})
    again = Decision.model_validate_json(whole.model_dump_json())
    assert again == whole
    assert [type(value) for value in again.proposed_overrides.values()] == [float, int]
