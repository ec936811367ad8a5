"""Answers of language models: what a question was, how it was answered or why it was not, and what that cost.

An `Answer` is the unit of record and replay. Its `key` is the digest of everything that the model was given, so that
the same question finds the same answer on any machine. Prompts hold evidence and no secrets; answers hold the model's
own words, which nothing believes before a guard has looked at them.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from interlock.contracts.base import Contract
from interlock.contracts.measurement import Sha256

Count = Annotated[int, Field(ge=0)]


class Outcome(StrEnum):
    """How one call, or one question of several calls, ended. Only `answered` carries a proposal."""

    ANSWERED = "answered"
    MALFORMED = "malformed"
    """Not JSON, or not the JSON that was asked for at all."""
    SCHEMA = "schema"
    """JSON of another form."""
    GUARD = "guard"
    """A well-formed proposal that steps outside the actions, the search space or the evidence."""
    REFUSED = "refused"
    """The model declined to answer."""
    EMPTY = "empty"
    TRUNCATED = "truncated"
    """It ended at the limit of its output."""
    TOO_LARGE = "too_large"
    """More bytes than any answer may have."""
    TIMEOUT = "timeout"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    REJECTED = "rejected"
    """The provider does not accept the call: key, model name or parameters."""
    UNREACHABLE = "unreachable"
    NO_KEY = "no_key"
    """The environment variable with the API key is not set."""
    OVER_BUDGET = "over_budget"
    """Not called: a ceiling of calls, tokens, dollars or seconds would be passed, or the price is unknown."""
    OVER_WINDOW = "over_window"
    """Not called: even the shortest context does not fit into the model's window."""
    NOT_RECORDED = "not_recorded"
    """Replay alone was asked for, and nobody has recorded this answer."""
    NOT_CONFIGURED = "not_configured"
    """Not called: `llm` names no model that this agent may ask."""
    WAITING = "waiting"
    """No model: a person is asked, and has not said anything yet."""
    NOT_HEARD = "not_heard"
    """No model: a member of a quorum did not vote, so there is no quorum."""


class Usage(Contract):
    """What calls to language models used; sums of such are such."""

    calls: Count = 0
    """HTTP requests that were sent."""
    tokens_in: Count = 0
    tokens_out: Count = 0
    usd: Annotated[float, Field(ge=0.0)] = 0.0
    """By the price table in `conf/prices`."""
    seconds: Annotated[float, Field(ge=0.0)] = 0.0
    """Wall time spent waiting."""

    @property
    def tokens(self) -> int:
        """In and out together."""
        return self.tokens_in + self.tokens_out

    def __add__(self, other: "Usage") -> "Usage":
        """Sums, money and time rounded to what a record keeps."""
        return Usage(
            calls=self.calls + other.calls,
            tokens_in=self.tokens_in + other.tokens_in,
            tokens_out=self.tokens_out + other.tokens_out,
            usd=round(self.usd + other.usd, 6),
            seconds=round(self.seconds + other.seconds, 3),
        )


class Message(Contract):
    """One message of a prompt."""

    role: Literal["system", "user", "assistant"]
    content: str


class Call(Contract):
    """One HTTP request and what came of it."""

    outcome: Outcome
    told: str = ""
    """Why it was not accepted, in one sentence without secrets."""
    usage: Usage = Usage()


class Answer(Contract):
    """What came of one question to one model: `answers/<key>/<number>.json` under the run."""

    key: Sha256
    """Digest of model, messages, schema and sampling."""
    agent: str
    """Who asked, e.g. `dir_models`."""
    model: str
    """`<provider>/<model id>`, e.g. `anthropic/claude-sonnet-5-5`."""
    outcome: Outcome
    """That of the last call."""
    told: str = ""
    """Why there is no proposal, in one sentence."""
    proposal: dict[str, JsonValue] | None = None
    """What the model proposed, as parsed JSON; only with `answered`, and checked again whenever it is replayed."""
    calls: tuple[Call, ...] = ()
    """Every request, retries and corrections included."""
    asked_at: str
    """UTC, ISO 8601."""

    @property
    def usage(self) -> Usage:
        """Sum over all calls."""
        return sum((call.usage for call in self.calls), Usage())
