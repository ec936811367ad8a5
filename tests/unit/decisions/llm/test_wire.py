"""The loop of one question: budget before every request, what is fed back, how long is waited, what is recorded."""

import json

import pytest
from llm_questions import AGENT, GOOD, MESSAGES, NOW, Naps, ledger, question, wire
from llm_stand_ins import (
    KEY,
    KEY_ENV,
    MODEL,
    PROVIDERS,
    failing,
    good,
    limited,
    malformed,
    raw,
    refusal,
    schema,
    slow,
)
from pydantic import BaseModel

from interlock.contracts.answer import Outcome
from interlock.contracts.llm import Model
from interlock.decisions.answers import answer_bytes

OVER_BUDGET = [
    ({"calls": 0}, "the budget of dir_models allows 0 calls: 0 calls spent, and this call may take 1 calls"),
    ({"tokens": 1000}, "the budget of dir_models allows 1,000 tokens: 0 tokens spent, and this call may take "),
    ({"usd": 0.01}, "the budget of dir_models allows 0.01 USD: 0 USD spent, and this call may take "),
    ({"seconds": 0.5}, "the budget of dir_models allows 0.5 s: 0 s spent, and this call may take 5 s"),
]


@pytest.mark.parametrize(("ceilings", "told"), OVER_BUDGET)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_no_ceiling_is_passed_by_a_single_request(vendors, provider, ceilings, told):
    answer = wire(ledger(**ceilings)).ask(question(vendors.model(provider))).answer
    assert (answer.outcome, answer.calls, vendors.requests) == (Outcome.OVER_BUDGET, (), [])
    assert answer.told.startswith(told)


def test_a_model_without_a_price_is_never_called(vendors):
    answer = wire(prices={}).ask(question(vendors.model("anthropic"))).answer
    assert (answer.outcome, vendors.requests) == (Outcome.OVER_BUDGET, [])
    assert MODEL in answer.told
    assert "conf/prices" in answer.told


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("reply", [malformed(), failing(500)])
def test_the_budget_is_asked_before_corrections_and_retries_too(vendors, provider, reply):
    vendors.script([reply])
    book = ledger(calls=2)
    answer = wire(book).ask(question(vendors.model(provider))).answer
    assert (answer.outcome, len(answer.calls), len(vendors.requests)) == (Outcome.OVER_BUDGET, 2, 2)
    assert book.spent(AGENT) == answer.usage


@pytest.mark.parametrize(("key", "told"), [("", "holds no key"), ("with space", "holds no key"), ("a\nb", "no key")])
def test_without_a_key_nothing_is_sent(vendors, key, told):
    answer = wire(environment={KEY_ENV: key}).ask(question(vendors.model("google"))).answer
    assert (answer.outcome, vendors.requests) == (Outcome.NO_KEY, [])
    assert KEY_ENV in answer.told
    assert told in answer.told


def test_a_server_that_wants_no_key_gets_none(vendors):
    vendors.script([good(GOOD)])
    answer = wire(environment={}).ask(question(vendors.model("openai_compatible", key_env=None))).answer
    assert answer.outcome is Outcome.ANSWERED
    assert vendors.requests[0].headers["authorization"] == "Bearer none"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_key_stands_in_one_header_and_nowhere_else(vendors, provider):
    vendors.script([good(GOOD)])
    wire().ask(question(vendors.model(provider)))
    (seen,) = vendors.requests
    holding = [name for name, value in seen.headers.items() if KEY in value]
    assert holding in (["authorization"], ["x-goog-api-key"], ["x-api-key"])
    assert KEY not in seen.text + seen.path + seen.query


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_key_that_comes_back_is_blacked_out_everywhere(vendors, provider):
    reasons = [{"text": f"the key is {KEY}", "evidence": [KEY]}]
    vendors.script([good(GOOD | {"reasons": reasons})])
    answer = wire().ask(question(vendors.model(provider))).answer
    assert answer.outcome is Outcome.ANSWERED
    assert answer.proposal["reasons"] == [{"text": "the key is ***", "evidence": ["***"]}]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_faults_go_back_to_the_model_with_its_own_words(vendors, provider):
    faults = ("reasons.0.text: 0.99 stands in no evidence", "say what to do")
    vendors.script([schema(), good(GOOD | {"confidence": "high"}), good(GOOD)])
    check = lambda data: faults if data["confidence"] == "high" else ()  # noqa: E731
    answer = wire().ask(question(vendors.model(provider), check=check)).answer
    assert [call.outcome for call in answer.calls] == ["schema", "guard", "answered"]
    assert "Field required" in answer.calls[0].told
    assert answer.calls[1].told == "; ".join(faults)
    second, third = vendors.requests[1].text, vendors.requests[2].text
    assert "action: Field required" in second
    assert '\\\\\\"score\\\\\\": 11' in json.dumps(second), "its own words"
    assert all(fault in third for fault in faults)
    assert "action: Field required" in third, "earlier corrections stay"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_corrections_and_retries_are_bounded_apart(vendors, provider):
    replies = [malformed(), failing(500), malformed(), failing(429), malformed(), good(GOOD)]
    vendors.script(replies)
    answer = wire().ask(question(vendors.model(provider))).answer
    assert [call.outcome for call in answer.calls] == [
        "malformed", "server_error", "malformed", "rate_limited", "malformed",
    ]  # fmt: skip


@pytest.mark.parametrize("corrections_max", [0, 1, 2])
def test_as_many_corrections_as_are_given(vendors, corrections_max):
    vendors.script([malformed()])
    answer = wire().ask(question(vendors.model("anthropic"), corrections_max=corrections_max)).answer
    assert len(answer.calls) == corrections_max + 1


def test_waits_double_and_a_provider_that_names_one_is_heard(vendors):
    naps = Naps()
    vendors.script([failing(500), failing(502), limited("7.5"), good(GOOD)])
    answer = wire(naps=naps).ask(question(vendors.model("google"), retries_max=3)).answer
    assert naps == [0.5, 1.0, 7.5]
    assert [call.usage.seconds >= nap for call, nap in zip(answer.calls, naps, strict=False)] == [True] * 3
    assert answer.usage.seconds >= sum(naps)


def test_a_provider_that_wants_an_hour_is_left(vendors):
    naps = Naps()
    vendors.script([limited("3600"), good(GOOD)])
    answer = wire(naps=naps).ask(question(vendors.model("openai_compatible"))).answer
    assert (answer.outcome, naps) == (Outcome.RATE_LIMITED, [])
    assert "3,600 s" in answer.told


def test_nobody_waits_longer_than_the_agent_may(vendors):
    naps = Naps()
    vendors.script([limited("20"), good(GOOD)])
    answer = wire(ledger(seconds=10.0), naps=naps).ask(question(vendors.model("openai_compatible"))).answer
    assert (answer.outcome, naps) == (Outcome.RATE_LIMITED, [])
    assert "no time is left" in answer.told


def test_an_agent_with_little_time_asks_with_less_patience(vendors):
    vendors.script([slow(4.0, GOOD)])
    book = ledger(seconds=1.2)
    answer = wire(book).ask(question(vendors.model("anthropic", timeout_s=60.0))).answer
    assert [call.outcome for call in answer.calls] == [Outcome.TIMEOUT]
    assert 1.1 < book.spent(AGENT).seconds < 1.5


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_server_that_is_not_there(provider):
    model = Model(
        provider=provider, model=MODEL, base_url="http://127.0.0.1:9/v1", context_tokens=2000, answer_tokens_max=64
    )
    answer = wire().ask(question(model, retries_max=1)).answer
    assert [call.outcome for call in answer.calls] == [Outcome.UNREACHABLE] * 2
    assert answer.usage.tokens == 0


@pytest.mark.parametrize("provider", PROVIDERS)
def test_no_other_address_is_reachable_here_and_that_is_an_answer_too(provider):
    model = Model(provider=provider, model=MODEL, context_tokens=2000, answer_tokens_max=64)
    answer = wire().ask(question(model, retries_max=0)).answer
    assert answer.outcome is Outcome.UNREACHABLE
    assert "tests must not use the network" in answer.told


def test_what_is_told_is_one_clean_short_line(vendors):
    address = "https://user:pass@host/"  # pragma: allowlist secret
    vendors.script([failing(404, f"\x1b[31mno\r\nsuch\u202e model\x00 {KEY} {address} {'x' * 5000}")])
    told = wire().ask(question(vendors.model("google"))).answer.told
    assert told.startswith("HTTP 404: [31mno such model *** https://***@host/ xxx")
    assert told.isprintable()
    assert len(told) == 300


def test_only_what_was_worked_for_is_booked(vendors):
    vendors.script([failing(500)])
    assert wire().ask(question(vendors.model("google"), retries_max=0)).answer.usage.tokens == 0
    vendors.script([raw(b"<html>")])  # a success by its status: a model may have worked
    assert wire().ask(question(vendors.model("google"), retries_max=0)).answer.usage.tokens > 1024


def test_the_record_says_who_was_asked_what_and_when(vendors):
    vendors.script([refusal("I would rather not.")])
    asked = question(vendors.model("openai_compatible"))
    given = wire().ask(asked)
    answer = given.answer
    assert (answer.key, answer.agent, answer.model) == (asked.key, AGENT, f"openai_compatible/{MODEL}")
    assert answer.asked_at == NOW.isoformat(timespec="microseconds")
    assert answer.told == "the model declined: I would rather not."
    assert json.loads(answer_bytes(answer))["outcome"] == "refused"
    assert asked.messages == MESSAGES, "corrections leave the question as it was"


class _Endless(BaseModel):
    parts: tuple["_Endless", ...]  # Gemini's schemas know no recursion


def test_a_form_that_cannot_be_sent_is_an_answer_too(vendors):
    answer = wire().ask(question(vendors.model("google"), form=_Endless)).answer
    assert (answer.outcome, answer.usage.calls, vendors.requests) == (Outcome.REJECTED, 0, [])
    assert answer.told.startswith("nothing could be sent: ")
