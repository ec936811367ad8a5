"""Ceilings hold over any sequence of calls, unknown owners spend nothing, and refusals say why."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.contracts.agent import AgentBudget
from interlock.contracts.answer import Usage
from interlock.contracts.experiment import Budget
from interlock.contracts.llm import Price
from interlock.decisions.budget import (
    PREAMBLE_TOKENS,
    RESOURCES,
    Ledger,
    cost_usd,
    no_price,
    tokens_at_most,
    worst_case,
)

PRICE = Price(
    model="m",
    input_usd_per_million_tokens=3.0,
    output_usd_per_million_tokens=15.0,
    as_of="2026-11-21",
    source="the tests",
)
AGENTS = ("architect", "dir_models")
NUMBERS = st.integers(0, 30)
USAGES = st.builds(
    Usage,
    calls=st.integers(0, 3),
    tokens_in=NUMBERS,
    tokens_out=NUMBERS,
    usd=NUMBERS.map(lambda cents: cents / 100),
    seconds=NUMBERS.map(lambda tenths: tenths / 10),
)
BUDGETS = st.builds(
    AgentBudget,
    calls=st.integers(0, 9),
    tokens=st.integers(0, 100),
    usd=NUMBERS.map(lambda cents: cents / 20),
    seconds=NUMBERS.map(float),
)
OF_ALL = st.builds(
    Budget,
    compute_hours_max=st.just(1.0),
    calls=st.none() | st.integers(0, 9),
    tokens=st.none() | st.integers(0, 100),
    usd=st.none() | NUMBERS.map(lambda cents: cents / 20),
    seconds=st.none() | NUMBERS.map(float),
)


def _part(usage: Usage, share: float) -> Usage:
    """What a call really used, where the usage is the worst case of it."""
    return Usage(
        calls=math.floor(usage.calls * share),
        tokens_in=math.floor(usage.tokens_in * share),
        tokens_out=math.floor(usage.tokens_out * share),
        usd=round(usage.usd * share, 6),
        seconds=round(usage.seconds * share, 3),
    )


@given(
    st.fixed_dictionaries({agent: BUDGETS for agent in AGENTS}),
    OF_ALL,
    st.lists(st.tuples(st.sampled_from(AGENTS), USAGES, st.floats(0, 1)), max_size=30),
)
def test_nothing_ever_passes_a_ceiling(budgets, drive, calls):
    ledger = Ledger(budgets, drive)
    for agent, worst, share in calls:
        if not ledger.refusal(agent, worst):
            ledger.add(agent, _part(worst, share))
    for resource in RESOURCES:
        for agent in AGENTS:
            assert getattr(ledger.spent(agent), resource) <= getattr(budgets[agent], resource) + 1e-6
        if (ceiling := getattr(drive, resource)) is not None:
            assert getattr(ledger.spent(), resource) <= ceiling + 1e-6


@given(BUDGETS, USAGES)
def test_what_is_refused_would_pass_a_ceiling(budget, worst):
    refusal = Ledger({"dir_models": budget}).refusal("dir_models", worst)
    passes = any(getattr(worst, resource) > getattr(budget, resource) for resource in RESOURCES)
    assert bool(refusal) == passes


@given(OF_ALL, USAGES, USAGES)
def test_agents_share_the_budget_of_the_whole(drive, first, second):
    endless = AgentBudget(calls=10**6, tokens=10**9, usd=1e6, seconds=1e6)
    apart, together = Ledger({"a": endless, "b": endless}, drive), Ledger({"a": endless}, drive)
    apart.add("a", first)
    together.add("a", first)
    assert apart.refusal("b", second) == together.refusal("a", second)


def test_an_agent_without_a_budget_spends_nothing():
    assert Ledger({}).refusal("mgr_models_01", Usage()) == "mgr_models_01 has no budget for language models"


def test_the_exact_ceiling_may_be_used_up():
    ledger = Ledger({"dir_models": AgentBudget(calls=10, usd=0.3)})
    for _ in range(3):
        assert ledger.refusal("dir_models", Usage(calls=1, usd=0.1)) == ""
        ledger.add("dir_models", Usage(calls=1, usd=0.1))
    assert ledger.refusal("dir_models", Usage(calls=1, usd=0.000001))


def test_a_refusal_names_the_ceiling_what_is_spent_and_what_was_asked():
    drive = Budget(compute_hours_max=1.0, usd=2.0)
    ledger = Ledger({"dir_models": AgentBudget(usd=5.0)}, drive, {"architect": Usage(usd=1.95)})
    assert ledger.refusal("dir_models", Usage(calls=1, usd=0.0611)) == (
        "the budget of the whole allows 2 USD: 1.95 USD spent, and this call may take 0.0611 USD"
    )


def test_seconds_left_are_the_fewest():
    budget = AgentBudget(seconds=100.0)
    drive = Budget(compute_hours_max=1.0, seconds=60.0)
    ledger = Ledger({"a": budget, "b": budget}, drive)
    ledger.add("a", Usage(seconds=50.0))
    assert (ledger.seconds_left("a"), ledger.seconds_left("b")) == (10.0, 10.0)
    ledger.add("a", Usage(seconds=70.0))  # a call took longer than its worst case
    assert ledger.seconds_left("a") == 0.0
    assert Ledger({}).seconds_left("a") == math.inf


def test_warnings_begin_at_four_fifths():
    ledger = Ledger({"dir_models": AgentBudget(calls=10)}, Budget(compute_hours_max=1.0, usd=1.0))
    ledger.add("dir_models", Usage(calls=7, usd=0.79))
    assert ledger.warnings() == ()
    ledger.add("dir_models", Usage(calls=1, usd=0.01))
    assert ledger.warnings() == (
        "the budget of dir_models: 8 calls of 10 calls spent",
        "the budget of dir_models: 0.8 USD of 1 USD spent",
        "the budget of the whole: 0.8 USD of 1 USD spent",
    )


@given(st.integers(0, 10**7), st.integers(0, 10**7))
def test_costs_are_never_rounded_down(tokens_in, tokens_out):
    exact = (tokens_in * 3 + tokens_out * 15) / 10**6
    assert exact - 1e-9 <= cost_usd(PRICE, tokens_in, tokens_out) <= exact + 1e-6


@given(st.lists(st.text(max_size=50), max_size=5))
def test_the_worst_case_counts_every_byte(texts):
    worst = worst_case(texts, answer_tokens_max=64, timeout_s=0.5, price=PRICE)
    size_bytes = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
    assert worst.tokens_in >= size_bytes / 2 + PREAMBLE_TOKENS
    assert (worst.calls, worst.tokens_out, worst.seconds) == (1, 64, 0.5)
    assert worst.usd >= (worst.tokens_in * 3 + 64 * 15) / 10**6 - 1e-9


def test_real_text_has_fewer_tokens_than_are_counted():
    numerals = " ".join(f"{number / 997:.6f}" for number in range(500))
    # Byte-pair tokenizers split numerals into groups of one to three digits at worst: about 6 tokens for each of these.
    assert tokens_at_most([numerals]) >= 500 * 4.5


def test_a_missing_price_is_told():
    assert "gpt-9" in no_price("gpt-9")
    assert "conf/prices" in no_price("gpt-9")


@pytest.mark.parametrize("resource", RESOURCES)
def test_a_null_ceiling_is_none(resource):
    drive = Budget(compute_hours_max=1.0)
    endless = AgentBudget(calls=10**9, tokens=10**12, usd=1e9, seconds=1e9)
    huge = Usage(calls=10**6, tokens_in=10**9, usd=1e6, seconds=1e6)
    assert getattr(drive, resource) is None
    assert Ledger({"a": endless}, drive).refusal("a", huge) == ""
