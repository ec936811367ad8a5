"""Budgets of language models: what a call would cost at worst, and whether that still fits under every ceiling. Pure.

    ledger = Ledger({"dir_models": agent.budget}, experiment.budget)
    worst = worst_case(texts, answer_tokens_max=2048, timeout_s=60.0, price=prices.get("claude-sonnet-5-5"))
    if told := ledger.refusal("dir_models", worst):
        ...                                 # not called
    ledger.add("dir_models", used)          # after the call

Asked before every request, so nothing passes a ceiling as long as the worst case is one. A model without a price has no
worst case and is never called. Does not know what a window holds: `interlock.decisions.prompt` sizes prompts. Not for
several threads at once: two questions could pass the same gap.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from interlock.contracts.answer import Usage
from interlock.contracts.llm import Price

BYTES_PER_TOKEN = 2
"""Tokenizers of today's models make one token of three to four bytes of English and of about two of JSON; this many is
the pessimistic end."""
PREAMBLE_TOKENS = 1024
"""What vendors add to a request that forces a tool (Anthropic documents up to about 800), and per-message overhead."""
WARNING_SHARE = 0.8
"""Share of a ceiling from which on `warnings` names it."""
SECONDS_MIN = 1.0
"""With less time than this left, or than the model's own time-out where that is shorter, nobody is asked any more."""

Resource = Literal["calls", "tokens", "usd", "seconds"]
RESOURCES: tuple[Resource, ...] = ("calls", "tokens", "usd", "seconds")
_UNITS: Mapping[Resource, str] = {"calls": "calls", "tokens": "tokens", "usd": "USD", "seconds": "s"}
_DRIVE = "the budget of the whole"


class Ceilings(Protocol):
    """Whatever has the four ceilings: an agent's budget, or an experiment's, where None is no ceiling."""

    @property
    def calls(self) -> int | None:
        """Requests."""
        ...

    @property
    def tokens(self) -> int | None:
        """In and out together."""
        ...

    @property
    def usd(self) -> float | None:
        """Money."""
        ...

    @property
    def seconds(self) -> float | None:
        """Waiting."""
        ...


@dataclass(frozen=True, kw_only=True)
class _Account:
    """One owner of ceilings and what is spent under them."""

    owner: str
    spent: Usage
    ceilings: Ceilings

    def rows(self) -> Iterator[tuple[Resource, float, float]]:
        """Resource, spent, ceiling; only where there is a ceiling."""
        for resource in RESOURCES:
            ceiling = getattr(self.ceilings, resource)
            if ceiling is not None:
                yield resource, float(getattr(self.spent, resource)), float(ceiling)


class Ledger:
    """What every agent, and all together, have spent and may spend. In memory; the answers' files are the record."""

    def __init__(
        self, agents: Mapping[str, Ceilings], drive: Ceilings | None = None, spent: Mapping[str, Usage] | None = None
    ) -> None:
        """`agents` by id, `drive` over all of them; `spent` is what went before, by agent."""
        self._agents = dict(agents)
        self._drive = drive
        self._spent: dict[str, Usage] = dict(spent or {})

    def spent(self, agent: str | None = None) -> Usage:
        """By one agent, or by all."""
        if agent is not None:
            return self._spent.get(agent, Usage())
        return sum(self._spent.values(), Usage())

    def add(self, agent: str, usage: Usage) -> None:
        """Book what a call used, whatever the ceilings say: it is spent."""
        self._spent[agent] = self.spent(agent) + usage

    def refusal(self, agent: str, worst: Usage) -> str:
        """Why the agent may not spend this much more: the ceiling, what is spent, what was asked; '' where it may."""
        if agent not in self._agents:
            return f"{agent} has no budget for language models"
        for account in self._accounts(agent):
            for resource, spent, ceiling in account.rows():
                asked = float(getattr(worst, resource))
                if _exceeds(spent + asked, ceiling):
                    return (
                        f"{account.owner} allows {_amount(ceiling, resource)}: {_amount(spent, resource)} spent, "
                        f"and this call may take {_amount(asked, resource)}"
                    )
        return ""

    def seconds_left(self, agent: str) -> float:
        """How long the agent may still wait; infinite without a ceiling, never negative."""
        left = [
            ceiling - spent
            for account in self._accounts(agent)
            for resource, spent, ceiling in account.rows()
            if resource == "seconds"
        ]
        return max(0.0, min(left, default=math.inf))

    def warnings(self) -> tuple[str, ...]:
        """Ceilings of which most is used, agents in alphabetical order, the whole last."""
        owners = [self._account(agent) for agent in sorted(self._agents)]
        rows = ((account, row) for account in (*owners, *self._whole()) for row in account.rows())
        return tuple(
            f"{account.owner}: {_amount(spent, resource)} of {_amount(ceiling, resource)} spent"
            for account, (resource, spent, ceiling) in rows
            if ceiling > 0 and spent >= WARNING_SHARE * ceiling
        )

    def _accounts(self, agent: str) -> Iterator[_Account]:
        if agent in self._agents:
            yield self._account(agent)
        yield from self._whole()

    def _account(self, agent: str) -> _Account:
        return _Account(owner=f"the budget of {agent}", spent=self.spent(agent), ceilings=self._agents[agent])

    def _whole(self) -> Iterator[_Account]:
        if self._drive is not None:
            yield _Account(owner=_DRIVE, spent=self.spent(), ceilings=self._drive)


def tokens_at_most(texts: Iterable[str]) -> int:
    """Tokens of a request with these texts, messages and schema, at the pessimistic end."""
    size_bytes = sum(len(text.encode("utf-8", errors="surrogatepass")) for text in texts)
    return -(-size_bytes // BYTES_PER_TOKEN) + PREAMBLE_TOKENS


def cost_usd(price: Price, tokens_in: int, tokens_out: int) -> float:
    """By the price table, rounded up to what a record keeps, so that sums never lose money."""
    million = 1_000_000
    exact = (
        tokens_in * price.input_usd_per_million_tokens + tokens_out * price.output_usd_per_million_tokens
    ) / million
    return math.ceil(round(exact * million, 3)) / million


def worst_case(texts: Iterable[str], *, answer_tokens_max: int, timeout_s: float, price: Price) -> Usage:
    """The most that one call with these texts may use."""
    tokens_in = tokens_at_most(texts)
    return Usage(
        calls=1,
        tokens_in=tokens_in,
        tokens_out=answer_tokens_max,
        usd=cost_usd(price, tokens_in, answer_tokens_max),
        seconds=math.floor(round(timeout_s * 1000, 3)) / 1000,  # the line holds the deadline exactly
    )


def no_price(model: str) -> str:
    """Why a model without a price is not called."""
    return f"{model} has no price: write one into conf/prices, a model of unknown price is never called"


def _exceeds(amount: float, ceiling: float) -> bool:
    """Sums of rounded numbers differ from the exact ones in the last bits alone."""
    return amount > ceiling + 1e-9 * max(1.0, ceiling)


def _amount(value: float, resource: Resource) -> str:
    return f"{value:,.6f}".rstrip("0").rstrip(".") + f" {_UNITS[resource]}"
