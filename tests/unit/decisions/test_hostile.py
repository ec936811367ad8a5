"""Hostile proposals against the form and the guard, without any network: nothing but a pass moves forward."""

import itertools
import json
import random
from collections import Counter

import pytest
from hostile_answers import FAMILIES, hostile
from hostile_contexts import KINDS, context, contexts
from hostile_oracle import FORWARD, breaches
from hostile_proposals import forward, good
from pydantic import ValidationError

from interlock.contracts.decision import Action, Decision, Evidence, Statement
from interlock.contracts.verdict import Verdict
from interlock.decisions.actions import guard
from interlock.decisions.proposal import as_decision, form, proposal_faults
from interlock.errors import DecisionError

SHOWN = [shown.model_copy(update={"views": {}}) for shown in contexts()]
"""Of a release what one executive sees; how their votes fold is looked at with a quorum around them."""
FORMS = {(shown.kind, shown.verdict): form(shown) for shown in SHOWN}
NUMBERS = range(len(FAMILIES) * len(SHOWN) * 6)


def shown_to(number):
    """Every family meets every context."""
    return SHOWN[number // len(FAMILIES) % len(SHOWN)]


def texts(said):
    """Everything that a reader could take for the answer."""
    return [text for text in (said.payload, said.text, *(arguments for _, arguments in said.calls)) if text is not None]


def read(text, shown):
    """The proposal as the wire would hand it on; None for what is none."""
    try:
        return FORMS[shown.kind, shown.verdict].model_validate_json(text).model_dump(mode="json")
    except ValidationError:
        return None


def decided(data, shown, *, checked=True):
    """The decision that the proposal becomes; None where it is refused."""
    if checked and proposal_faults(data, shown):
        return None
    try:
        return guard(as_decision(data, shown, policy="llm", trail=(), answers=()), shown)
    except (DecisionError, ValidationError):
        return None


def test_no_attack_gets_past_form_and_guard():
    found, told = Counter(), []
    for number in NUMBERS:
        shown = shown_to(number)
        for text in itertools.chain.from_iterable(map(texts, hostile(number, shown).replies)):
            data = read(text, shown)
            decision = None if data is None else decided(data, shown)
            found["refused by the form" if data is None else "taken" if decision else "refused by the guard"] += 1
            if decision is not None:
                found[shown.verdict, decision.action in FORWARD] += 1
                told += [(number, breach) for breach in breaches(decision, shown)]
    assert told == []
    assert found["refused by the form"] > 500, found
    assert found["refused by the guard"] > 100, found
    assert all(found[verdict, False] for verdict in Verdict), found
    assert {verdict for verdict in Verdict if found[verdict, True]} == {Verdict.PASS}


@pytest.mark.parametrize("kind", KINDS)
def test_the_guard_alone_refuses_what_the_form_would(kind):
    """A proposal that never met the form, as in a recorded answer that somebody wrote by hand."""
    rng, taken = random.Random(1), Counter()
    for verdict, _ in itertools.product(Verdict, range(25)):
        shown = next(item for item in SHOWN if (item.kind, item.verdict) == (kind, verdict))
        for data in (forward(rng, shown), good(rng, shown), good(rng, shown) | {"action": rng.choice([*Action]).value}):
            decision = decided(data, shown, checked=False)
            if decision is not None:
                assert breaches(decision, shown) == []
                taken[verdict, decision.action in FORWARD] += 1
    assert all(taken[verdict, False] for verdict in Verdict)
    assert {verdict for verdict in Verdict if taken[verdict, True]} == {Verdict.PASS}


@pytest.mark.parametrize("shown", SHOWN, ids=lambda shown: f"{shown.kind}-{shown.verdict}")
def test_good_proposals_are_taken(shown):
    """The suite can fail: what holds is not refused."""
    rng = random.Random(2)
    for _ in range(10):
        data = read(json.dumps(good(rng, shown)), shown)
        assert data is not None
        assert decided(data, shown) is not None, proposal_faults(data, shown)


FACT = SHOWN[0].evidence[0]
FORGED = {
    "became accept": {"action": Action.ACCEPT},
    "is not open after": {"action": Action.WAIVE},
    "passed for a person": {"policy": "person"},
    "judgement_id is": {"judgement_id": "0" * 64},
    "is not searched": {"proposed_overrides": {"seed": 1}},
    "became 7.5": {"proposed_overrides": {"lane.trainer.steps": 7.5}},
    "became 9.0": {"proposed_overrides": {"lane.optimizer.lr": 9.0}},
    "overrides with escalate": {"proposed_overrides": {"lane.optimizer.lr": 0.1}},
    "is not that of the context": {"evidence": (Evidence(id=FACT.id, value=1, pointer="x#/y"),)},
    "numerals '9'": {"reasons": (Statement(text="9", evidence=(FACT.id,)),)},
    "numerals 'Twelve'": {"reasons": (Statement(text="Twelve.", evidence=(FACT.id,)),)},
    "characters": {"reasons": (Statement(text="a\x1b", evidence=(FACT.id,)),)},
    "not kept as evidence": {"reasons": (Statement(text="It passes.", evidence=("x",)),)},
    "is shown and not cited": {"reasons": (Statement(text="{verdict}", evidence=(FACT.id,)),)},
}


@pytest.mark.parametrize("words", FORGED)
def test_the_oracle_sees_every_breach(words):
    shown = context("lane", Verdict.FAIL)
    data = good(random.Random(3), shown) | {"action": "escalate", "proposed_overrides": []}
    held = as_decision(data, shown, policy="llm", trail=(), answers=())
    assert breaches(held, shown) == []
    forged = Decision.model_construct(**(dict(held) | FORGED[words]))
    assert any(words in breach for breach in breaches(forged, shown))
