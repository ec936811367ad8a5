"""What a model may answer: a form that every vendor takes, and faults that say everything the guard would refuse."""

import json

import pytest
from decision_worlds import CURRENT, SPACE, context, release, row
from hypothesis import given, settings
from hypothesis import strategies as st
from instructor.v2.providers.gemini.utils import map_to_gemini_function_schema
from pydantic import ValidationError

from interlock.contracts.answer import Outcome
from interlock.contracts.decision import MOVES_FORWARD, Action, Step
from interlock.contracts.verdict import Verdict
from interlock.decisions.actions import guard
from interlock.decisions.proposal import as_decision, form, proposal_faults
from interlock.errors import DecisionError

FAILED = context(row("r_at_5"))
CITED = "gate.r_at_5.observed"


def sentence(text="recall is {gate.r_at_5.observed}", evidence=(CITED,)):
    return {"text": text, "evidence": list(evidence)}


def said(**changes):
    whole = {
        "action": "retrain",
        "reasons": [sentence()],
        "risks": [],
        "confidence": "medium",
        "proposed_overrides": [{"key": "lane.trainer.epochs", "value": 20.0}],
    }
    return whole | changes


def decided(data, found=FAILED):
    return as_decision(data, found, policy="llm", trail=(), answers=("a" * 64,))


def test_a_proposal_that_holds_becomes_a_decision():
    assert proposal_faults(said(), FAILED) == ()
    made = guard(decided(said()), FAILED)
    assert (made.action, made.policy, made.confidence, made.run_id) == ("retrain", "llm", "medium", FAILED.run_id)
    assert made.proposed_overrides == {"lane.trainer.epochs": 20}
    assert type(made.proposed_overrides["lane.trainer.epochs"]) is int
    assert [item.id for item in made.evidence] == [CITED]


def test_its_identity_follows_from_context_policy_and_answers():
    first = decided(said()).decision_id
    assert first == decided(said(confidence="low")).decision_id
    assert first != as_decision(said(), FAILED, policy="llm", trail=(), answers=("b" * 64,)).decision_id
    step = Step(agent="a", policy="llm", outcome=Outcome.ANSWERED)
    assert as_decision(said(), FAILED, policy="llm", trail=(step,), answers=("a" * 64,)).decision_id == first


def test_a_placeholder_counts_as_cited():
    data = said(reasons=[sentence("n is {gate.r_at_5.n}", evidence=[])])
    assert proposal_faults(data, FAILED) == ()
    assert decided(data).reasons[0].evidence == ("gate.r_at_5.n",)


def test_risks_and_overrides_may_be_missing():
    assert (
        proposal_faults({key: said(action="escalate")[key] for key in ("action", "reasons", "confidence")}, FAILED)
        == ()
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"action": "accept"}, "action: Input should be 'escalate', 'reject' or 'retrain'"),
        ({"action": "waive"}, "action: Input should be"),
        ({"action": None}, "action: Input should be"),
        ({"verdict": "pass"}, "verdict: Extra inputs are not permitted"),
        ({"confidence": 0.9}, "confidence: Input should be"),
        ({"reasons": []}, "reasons: give at least one"),
        ({"reasons": [sentence("")]}, "text: String should have at least 1 character"),
        ({"reasons": [sentence("x" * 2001)]}, "text: String should have at most 2000 characters"),
        ({"reasons": [sentence("so it is", evidence=[])]}, "evidence: .*at least 1 item"),
        ({"reasons": [sentence() for _ in range(13)]}, "reasons: too many; keep the weightiest 12"),
        ({"risks": [sentence(evidence=[CITED] * 41)]}, "risks.0.evidence: too many"),
        ({"reasons": [sentence("recall is 0.9")]}, "reasons.0.text: has numerals of its own; .*you wrote '0.9'"),
        ({"reasons": [sentence("about two runs")]}, "number words of its own"),
        ({"reasons": [sentence("a\u202eb")]}, "characters that belong into no sentence"),
        ({"reasons": [sentence("a\ud800b")]}, "U\\+D800|valid string|surrogates"),
        ({"reasons": [sentence(evidence=["\ud800"])]}, "exist|valid string|surrogates"),
        ({"reasons": [sentence("see {made.up}")]}, "'{made.up}'"),
        ({"reasons": [sentence(evidence=["made.up"])]}, "cites evidence that does not exist; you wrote 'made.up'"),
        ({"proposed_overrides": []}, "a retrain changes something"),
        ({"action": "escalate"}, "overrides belong to retrain, not to escalate"),
        ({"proposed_overrides": [{"key": "seed", "value": 2}]}, "proposed_overrides.0.key: Input should be"),
        ({"proposed_overrides": [{"key": "lane.trainer.epochs", "value": 20.5}]}, "is not a whole number"),
        ({"proposed_overrides": [{"key": "lane.trainer.epochs", "value": 10}]}, "is the present value"),
        ({"proposed_overrides": [{"key": "lane.trainer.epochs", "value": 400}]}, "lies outside 1 .. 40; you wrote 400"),
        ({"proposed_overrides": [{"key": "lane.trainer.epochs", "value": "20"}]}, "valid number"),
        ({"proposed_overrides": [{"key": "lane.trainer.epochs", "value": True}]}, "valid number"),
        ({"proposed_overrides": [{"key": "lane.optimizer.lr", "value": float("nan")}]}, "finite number"),
        (
            {"proposed_overrides": [{"key": "lane.optimizer.lr", "value": value} for value in (1e-4, 1e-3)]},
            "lane.optimizer.lr is given more than once",
        ),
    ],
)  # fmt: skip
def test_every_fault_is_a_sentence(changes, words):
    faults = proposal_faults(said(**changes), FAILED)
    with pytest.raises(AssertionError, match=words):
        raise AssertionError("\n".join(faults))


def test_what_was_left_out_cannot_be_cited():
    data = said(reasons=[sentence(evidence=[CITED, "gate.r_at_5.n"])])
    assert proposal_faults(data, FAILED) == ()
    [fault] = proposal_faults(data, FAILED, left_out=("gate.r_at_5.n",))
    assert fault == "reasons.0.evidence: cites evidence that does not exist; you wrote 'gate.r_at_5.n'"


CONTEXTS = [
    FAILED,
    context(row("r_at_5", Verdict.PASS)),
    context(row("r_at_5", Verdict.INCONCLUSIVE, n_needed=300)),
    context(row("r_at_5", Verdict.BLOCKED)),
    context(row("r_at_5"), kind="job", space={}, current={}),
    FAILED.model_copy(
        update={"allowed": (Action.RETRAIN,), "search_space": {"lane.trainer.epochs": SPACE["lane.trainer.epochs"]}}
    ),  # one action and one key
    release(),
    release((Verdict.PASS, Verdict.FAIL, Verdict.PASS)),
]


@pytest.mark.parametrize("found", CONTEXTS)
def test_the_schema_is_one_that_every_vendor_takes(found):
    schema = form(found).model_json_schema()
    text = json.dumps(schema)
    for keyword in ("$ref", "$defs", "anyOf", "oneOf", "allOf", "const", "default", "null", 'additionalProperties": {'):
        assert f'"{keyword}' not in text
    for node in objects(schema):
        assert (node["additionalProperties"], node["required"]) == (False, list(node["properties"]))
    assert schema["properties"]["action"]["enum"] == sorted(map(str, found.allowed))
    assert map_to_gemini_function_schema(schema)["properties"].keys() == schema["properties"].keys()
    assert form(found).model_json_schema() == schema
    overridable = bool(found.search_space) and Action.RETRAIN in found.allowed
    assert ("proposed_overrides" in schema["properties"]) is overridable


def objects(node):
    if isinstance(node, dict):
        if node.get("type") == "object":
            yield node
        for value in node.values():
            yield from objects(value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
texts = st.sampled_from(["so it is", "n is {gate.r_at_5.n}", "nine", "0.9", "{x}", "-{gate.r_at_5.n}"]) | st.text(
    max_size=20
)
sentences = st.fixed_dictionaries(
    {"text": texts, "evidence": st.lists(st.sampled_from([CITED, "gate.r_at_5.n", "made.up"]), max_size=2)}
)
overrides = st.fixed_dictionaries(
    {"key": st.sampled_from([*SPACE, "seed"]), "value": st.sampled_from([*CURRENT.values(), 20, 0.2]) | st.floats()}
)
answers = st.fixed_dictionaries(
    {
        "action": st.sampled_from([*map(str, Action), "promote"]),
        "reasons": st.lists(sentences, max_size=2),
        "confidence": st.sampled_from(["low", "high", "certain"]),
    },
    optional={"risks": st.lists(sentences, max_size=2), "proposed_overrides": st.lists(overrides, max_size=2)},
)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(CONTEXTS), answers | st.dictionaries(st.sampled_from([*said(), "verdict"]), json_values))
def test_no_faults_exactly_where_the_guard_takes_it(found, data):
    faults = proposal_faults(data, found)
    try:
        form(found).model_validate(data)
        taken = guard(decided(data, found), found) is not None
    except (DecisionError, ValidationError):
        taken = False
    if faults:
        assert all(isinstance(fault, str) and fault for fault in faults)
        assert not taken or any("more than once" in fault for fault in faults)
    else:
        assert taken
        assert decided(data, found).action not in MOVES_FORWARD or found.verdict is Verdict.PASS
