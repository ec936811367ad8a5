"""What `interlock decide` takes: one of three ways to decide, and overrides of nothing but who decides."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.commands.decide import (
    Asked,
    _choice,
    _named_decision,
    _value,
    decide,
    refuse_other_than_deciding,
)
from interlock.contracts.decision import Action
from interlock.errors import UsageError


@pytest.mark.parametrize(
    ("asked", "key"),
    [
        (Asked(replay=True, person="Ada"), "--replay"),
        (Asked(replay=True, action="reject"), "--replay"),
        (Asked(decision="3f2a"), "--decision"),
        (Asked(action="reject"), "--action"),
        (Asked(values=("lane.optimizer.lr=1",)), "--set"),
        (Asked(reason="because"), "--reason"),
        (Asked(person="Ada"), "--action --reason"),
        (Asked(person="Ada", action="reject"), "--reason"),
        (Asked(person="Ada", reason="because"), "--action"),
    ],
)
def test_options_that_do_not_fit_together_are_refused_before_anything_is_read(tmp_path, asked, key):
    with pytest.raises(UsageError) as refused:
        decide(tmp_path, "3f2a", asked, as_json=False)
    assert refused.value.key == key
    assert refused.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "override",
    ["lane.optimizer.lr=0.1", "lane=other", "seed=2", "hardware=cuda", "accept", "", "=", "llmx=1", "budgets.usd=1",
     "lane.search_spaces.a=1", "recovery.heal=false", "tracking=wandb"],
)  # fmt: skip
def test_what_an_archived_run_is_made_of_cannot_be_overridden(override):
    with pytest.raises(UsageError, match="only who decides"):
        refuse_other_than_deciding(["llm=anthropic", override])


@pytest.mark.parametrize(
    "override",
    ["llm=anthropic", "llm.mode=live", "budget.usd=0.5", "agents.dir_models.policy.proposal.models=[gemini]",
     "+prices.mine={as_of: '2026-01-01'}", "~lane.search_space", "++max_attempts=4", "agent=models_lane",
     "lane.search_space.lane.optimizer.lr.high=2", "lineage.attempt=2", "executives@agents=ops"],
)  # fmt: skip
def test_who_decides_can_be_overridden(override):
    refuse_other_than_deciding([override])


@pytest.mark.parametrize("overrides", [("a", "b"), ("llm=none",), ("3f", "llm=none")])
def test_a_replay_takes_one_id_and_nothing_else(overrides):
    with pytest.raises(UsageError, match="nothing but the id"):
        _named_decision(Asked(replay=True, overrides=overrides))
    assert _named_decision(Asked(replay=True, overrides=("3f2a",))) == "3f2a"
    assert _named_decision(Asked(replay=True, decision="3f2a")) == "3f2a"
    assert _named_decision(Asked(replay=True)) == ""


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**9), 10**9))
def test_a_number_comes_out_as_it_was_typed(number):
    assert _value(f" lane.model.width ={number!r}") == ("lane.model.width", number)
    assert type(_value(f"a={number!r}")[1]) is type(number)


@pytest.mark.parametrize(
    "text", ["lr", "lr=", "=1", "lr=fast", "lr=nan", "lr=inf", "lr=-inf", "lr=1,2", "lr=1e999", ""]
)
def test_what_is_no_number_is_refused(text):
    with pytest.raises(UsageError, match="KEY=NUMBER"):
        _value(text)


def test_a_persons_choice():
    asked = Asked(person="Ada", action="retrain", reason="because", values=("a.b=1e-3", "a.c=4"))
    choice = _choice(asked)
    assert (choice.by, choice.action, choice.overrides) == ("Ada", Action.RETRAIN, {"a.b": 0.001, "a.c": 4})
    assert math.isclose(choice.overrides["a.b"], 1e-3)
    with pytest.raises(UsageError, match="no such action") as refused:
        _choice(Asked(person="Ada", action="acept", reason="because"))
    assert "accept" in refused.value.hint
    assert _choice(Asked()) is None
