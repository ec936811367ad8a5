"""Questions for tests of language models: one small strict form, a good answer, prices, and wires without waiting.

The form has what real ones have: a closed action, nested lists, tuples, a number. Not the form of any real decision.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from llm_stand_ins import KEY, KEY_ENV, MODEL
from pydantic import BaseModel, ConfigDict

from interlock.contracts.agent import AgentBudget
from interlock.contracts.answer import Message
from interlock.contracts.llm import Model, Price
from interlock.decisions.asking import Question
from interlock.decisions.budget import Ledger
from interlock.decisions.llm.wire import Surroundings, Wire

AGENT = "dir_models"
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
PRICES = {
    MODEL: Price(
        model=MODEL,
        input_usd_per_million_tokens=3.0,
        output_usd_per_million_tokens=15.0,
        as_of="2026-11-21",
        source="the tests",
    )
}
GOOD: dict[str, Any] = {
    "action": "escalate",
    "reasons": [{"text": "{gate.r_at_5} lies under its target", "evidence": ["gate.r_at_5"]}],
    "proposed_overrides": [{"key": "lane.trainer.lr", "value": 0.001}],
    "confidence": "low",
}
MESSAGES = (
    Message(role="system", content="You direct a lane. Braces {{like these}} are names of evidence."),
    Message(role="user", content="The verdict is fail. Evidence: {gate.r_at_5}. What now?"),
)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Reason(_Strict):
    text: str
    evidence: tuple[str, ...]


class Override(_Strict):
    key: Literal["lane.trainer.lr"]
    value: float


class Proposal(_Strict):
    """Propose what to do next."""

    action: Literal["retrain", "escalate"]
    reasons: tuple[Reason, ...]
    proposed_overrides: tuple[Override, ...] = ()
    confidence: Literal["low", "medium", "high"]


def holds(data: Mapping[str, Any]) -> tuple[str, ...]:
    """A check that finds nothing."""
    del data
    return ()


def question(model: Model, **changes: Any) -> Question:
    """A question to the model, other fields as given."""
    fields: dict[str, Any] = {"agent": AGENT, "messages": MESSAGES, "form": Proposal, "check": holds}
    return Question(model=model, **(fields | changes))


def ledger(**ceilings: Any) -> Ledger:
    """One agent with these ceilings, generous ones elsewhere."""
    generous = {"calls": 1000, "tokens": 10**9, "usd": 1e6, "seconds": 1e5}
    return Ledger({AGENT: AgentBudget(**(generous | ceilings))})


class Naps(list[float]):
    """A sleep that only keeps how long it should have been."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def wire(
    book: Ledger | None = None,
    *,
    naps: Callable[[float], None] | None = None,
    environment: Mapping[str, str] | None = None,
    prices: Mapping[str, Price] = PRICES,
    **around: Any,
) -> Wire:
    """A real wire that does not sleep, with the stand-ins' key in its environment."""
    given = {KEY_ENV: KEY} if environment is None else environment
    sleep = Naps() if naps is None else naps
    fields: dict[str, Any] = {"sleep": sleep, "environment": given, "now": lambda: NOW, "jitter": lambda: 0.0}
    return Wire(prices, ledger() if book is None else book, Surroundings(**(fields | around)))
