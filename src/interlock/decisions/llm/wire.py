"""The live asker: one question to one model over HTTP, with budget, corrections and retries, as one record.

    given = Wire(prices, ledger).ask(question)

Before every request the ledger is asked with the worst case. What follows from a failure stands in `failures`. The
agent's seconds bound the whole question, pauses included. Never raises for what a model, a provider or the network
does; a missing package is a ConfigError. Does not record (`answers.Live` does) and does not ask another model (the
policy does).
"""

import json
import math
import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pydantic import BaseModel, JsonValue, ValidationError

from interlock.contracts.answer import Answer, Call, Outcome, Usage
from interlock.contracts.llm import Price
from interlock.decisions.answers import given_by
from interlock.decisions.asking import Given, Question
from interlock.decisions.budget import SECONDS_MIN, Ledger, cost_usd, no_price, worst_case
from interlock.decisions.llm import failures
from interlock.decisions.llm.exchange import Clock, Exchange, Line
from interlock.decisions.llm.providers import Ask, api_key, connect, quiet
from interlock.decisions.llm.readings import Reading, provider_message, read
from interlock.decisions.proposal import schema_fault
from interlock.errors import ConfigError
from interlock.provenance.canonical import canonical_json


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a wire takes from outside; tests give their own."""

    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    """Where keys are."""
    clock: Clock = time.monotonic
    """Seconds."""
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    jitter: Callable[[], float] = random.random
    """0..1, by which pauses are shortened."""


@dataclass(frozen=True, kw_only=True)
class _Result:
    """What one request came to."""

    outcome: Outcome
    told: str = ""
    faults: tuple[str, ...] = ()
    words: str = ""
    tokens: tuple[int, int] | None = None
    proposal: dict[str, JsonValue] | None = None


class Wire:
    """Asks real models."""

    def __init__(self, prices: Mapping[str, Price], ledger: Ledger, surroundings: Surroundings | None = None) -> None:
        """`prices` by model id; `ledger` is asked before and told after every request."""
        self._prices, self._ledger = prices, ledger
        self._around = surroundings or Surroundings()

    def ask(self, question: Question) -> Given:
        """Ask, correct and retry within the bounds; the answer holds every request. Raises ConfigError (see above)."""
        return given_by(_Asking(question, self._prices, self._ledger, around=self._around).answer())


class _Asking:
    """One question while it is asked."""

    def __init__(
        self, question: Question, prices: Mapping[str, Price], ledger: Ledger, *, around: Surroundings
    ) -> None:
        self._question, self._ledger, self._around = question, ledger, around
        self._price = prices.get(question.model.model)
        self._key = api_key(question.model, around.environment)
        self._line = Line(key=self._key or "", clock=around.clock)
        self._messages = list(question.messages)
        self._calls: list[Call] = []
        self._corrections = self._retries = 0
        self._schema = json.dumps(question.form.model_json_schema(), indent=2)

    def answer(self) -> Answer:
        """Ask until something is final."""
        if self._key is None:
            return self._final(Outcome.NO_KEY, f"the environment variable {self._question.model.key_env} holds no key")
        if self._price is None:
            return self._final(Outcome.OVER_BUDGET, no_price(self._question.model.model))
        if refusal := self._refusal(self._worst(self._price)):
            return self._final(Outcome.OVER_BUDGET, refusal)  # before the SDKs are loaded, which takes a second
        try:
            ask = connect(self._question.model, self._key, self._line)
        except ConfigError:
            raise
        except Exception as error:  # an address or a key that only an SDK finds impossible
            return self._final(Outcome.REJECTED, f"no client can be made: {error}")
        while True:
            final = self._step(ask, self._price)
            if final is not None:
                return final

    def _step(self, ask: Ask, price: Price) -> Answer | None:
        """One request; None when another one follows."""
        worst = self._worst(price)
        if refusal := self._refusal(worst):
            return self._final(Outcome.OVER_BUDGET, refusal)
        began = self._around.clock()
        result = self._request(ask, worst.seconds)
        took_s = self._around.clock() - began
        pause_s, why_not = self._follow(result, took_s)
        self._book(result, worst, price=price, seconds=took_s + (pause_s or 0.0))
        if pause_s is None:
            return self._final(result.outcome, f"{result.told}{why_not}", result.proposal)
        if pause_s:
            self._around.sleep(pause_s)
        return None

    def _worst(self, price: Price) -> Usage:
        model = self._question.model
        # In the mode json_schema a request holds the schema twice: in words, and for the provider to hold it to.
        texts = (*(message.content for message in self._messages), self._schema, self._schema)
        left_s = self._ledger.seconds_left(self._question.agent)
        # An asker with little time left asks with less patience; with almost none it does not ask.
        timeout_s = min(model.timeout_s, left_s) if left_s >= min(SECONDS_MIN, model.timeout_s) else model.timeout_s
        return worst_case(texts, answer_tokens_max=model.answer_tokens_max, timeout_s=timeout_s, price=price)

    def _refusal(self, worst: Usage) -> str:
        return self._ledger.refusal(self._question.agent, worst)

    def _request(self, ask: Ask, timeout_s: float) -> _Result:
        """Send the messages once and read what comes back."""
        question, found, failure = self._question, None, None
        self._line.open(timeout_s)
        try:
            with quiet():
                found = ask(self._messages, question.form)
        except Exception as error:  # whatever SDKs raise over what a server sent; the line knows what happened
            failure = error
        exchange = self._line.exchange
        if not exchange.requests:
            return _Result(outcome=Outcome.REJECTED, told=self._told(f"nothing could be sent: {failure}"))
        return self._trouble(exchange) or self._read(exchange, found, failure)

    def _trouble(self, exchange: Exchange) -> _Result | None:
        """What failed before there was a response of success."""
        if exchange.trouble is not None:
            return _Result(outcome=exchange.trouble, told=self._told(exchange.told))
        outcome = failures.status_outcome(exchange.status or 0)
        if outcome is None:
            return None
        words = provider_message(exchange.body)
        told = f"HTTP {exchange.status}" + (f": {words}" if words else "")
        return _Result(outcome=outcome, told=self._told(told))

    def _read(self, exchange: Exchange, found: BaseModel | None, failure: Exception | None) -> _Result:
        """What the model said, and whether it holds."""
        reading = read(self._question.model.provider, exchange.body)
        if reading.outcome is not None:
            return self._faulty(reading.outcome, [reading.told], reading)
        if found is None:
            return self._faulty(*_parse_faults(failure), reading)
        proposal = found.model_dump(mode="json", by_alias=True)
        if unstorable := _unstorable(proposal, self._key or ""):
            return self._faulty(Outcome.SCHEMA, [unstorable], reading)
        if faults := self._question.check(proposal):
            return self._faulty(Outcome.GUARD, faults, reading)
        return _Result(outcome=Outcome.ANSWERED, words=reading.words, tokens=reading.tokens, proposal=proposal)

    def _faulty(self, outcome: Outcome, faults: Sequence[str], reading: Reading) -> _Result:
        told = self._told("; ".join(faults[: failures.FAULTS_MAX]))
        return _Result(outcome=outcome, told=told, faults=tuple(faults), words=reading.words, tokens=reading.tokens)

    def _follow(self, result: _Result, took_s: float) -> tuple[float | None, str]:
        """Seconds to wait before the next request; None and why, where there is none."""
        question = self._question
        if result.outcome in failures.CORRECTED and self._corrections < question.corrections_max:
            self._corrections += 1
            self._messages.extend(failures.correction(result.words, result.faults))
            return 0.0, ""
        if result.outcome not in failures.RETRIED or self._retries >= question.retries_max:
            return None, ""
        asked_s = failures.retry_after_s(self._line.exchange.retry_after, self._around.now())
        pause_s = failures.pause_s(self._retries, asked_s=asked_s, jitter=self._around.jitter())
        self._retries += 1
        if pause_s is None:
            return None, f"; the provider wants {asked_s:,.0f} s of peace, more than is waited for"
        if took_s + pause_s >= self._ledger.seconds_left(question.agent):
            return None, f"; no time is left to wait {pause_s:.1f} s and ask again"
        return pause_s, ""

    def _book(self, result: _Result, worst: Usage, *, price: Price, seconds: float) -> None:
        """Keep the call and tell the ledger: the provider's numbers, else the worst case."""
        exchange = self._line.exchange
        is_billed = bool(exchange.requests) and failures.is_billed(result.outcome, exchange.status)
        tokens_in, tokens_out = result.tokens or ((worst.tokens_in, worst.tokens_out) if is_billed else (0, 0))
        usage = Usage(
            calls=exchange.requests,
            tokens_in=tokens_in,
            tokens_out=tokens_out,
            usd=cost_usd(price, tokens_in, tokens_out),
            seconds=math.ceil(round(seconds * 1000, 3)) / 1000,
        )
        self._calls.append(Call(outcome=result.outcome, told=result.told, usage=usage))
        self._ledger.add(self._question.agent, usage)

    def _told(self, text: str) -> str:
        return failures.one_line(text, key=self._key or "")

    def _final(self, outcome: Outcome, told: str, proposal: dict[str, JsonValue] | None = None) -> Answer:
        return Answer(
            key=self._question.key,
            agent=self._question.agent,
            model=self._question.model_id,
            outcome=outcome,
            told=self._told(told),
            proposal=proposal,
            calls=tuple(self._calls),
            asked_at=self._around.now().isoformat(timespec="microseconds"),
        )


def _parse_faults(failure: BaseException | None) -> tuple[Outcome, list[str]]:
    """Why instructor made no form of a response: faults of the form, or that it is none at all."""
    while failure is not None and not isinstance(failure, ValidationError):
        failure = failure.__cause__
    faults = failure.errors(include_url=False, include_context=False) if failure else []
    invalid = [fault["msg"] for fault in faults if fault["type"] == "json_invalid"]
    if not faults or invalid or any(not fault["loc"] for fault in faults):
        return Outcome.MALFORMED, [": ".join(("it is not the JSON of the form that was asked for", *invalid))]
    return Outcome.SCHEMA, [schema_fault(fault) for fault in faults]


def _unstorable(proposal: Mapping[str, JsonValue], key: str) -> str:
    """Why the proposal cannot be kept as canonical JSON; '' where it can."""
    try:
        text = canonical_json(proposal)
        text.encode()
    except UnicodeEncodeError:
        return "a text holds half a character (a lone surrogate)"
    except ValueError:
        return "a number is infinite or not a number"
    # Bodies are blacked out as they come; JSON can also spell the key in escapes, which are letters only now.
    return "a text holds the API key" if failures.without_key(text, key) != text else ""
