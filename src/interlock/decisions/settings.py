"""The settings that a decision was made under, as a file of its own, so that they are evidence like everything else.

    settings.json     beside decision.json; a function of the context alone, written by whoever writes the decision

A limit of attempts or a bound of the search space comes from `conf/`, which changes later; the file keeps what held
then. Pointers name it as the decide stage does: `decide/settings.json#/max_attempts@sha256:...`.
"""

from hashlib import sha256
from typing import Annotated

from pydantic import Field

from interlock.contracts.agent import AgentBudget
from interlock.contracts.base import Contract
from interlock.contracts.decision import DecisionContext, Evidence, Number
from interlock.contracts.lane import Range
from interlock.decisions.evidence import Value, evidence_id, pointer
from interlock.provenance.canonical import pretty_json

SETTINGS = "settings.json"
"""Name beside the decision."""
SETTINGS_FILE = f"decide/{SETTINGS}"
"""Name in pointers."""


class Settings(Contract):
    """What configuration says about one decision."""

    agent: str
    """Who decides."""
    attempts: Annotated[int, Field(ge=1)]
    """Judged runs of the lineage, this one included."""
    max_attempts: Annotated[int, Field(ge=1)]
    """From this many on, a person is asked."""
    parent_run: str = ""
    """Run whose decision led to this one; empty at the beginning of a lineage."""
    current: dict[str, Number]
    """Present values of the search space's keys, as they were trained."""
    search_space: dict[str, Range]
    """Keys that may be changed, with their bounds."""
    budget: AgentBudget | None = None
    """Ceilings on language models for this agent; None where it may ask none."""

    @property
    def text(self) -> str:
        """The content of `settings.json`."""
        return pretty_json(self)

    def evidence(self) -> tuple[Evidence, ...]:
        """The settings as facts: `lineage.*`, `search.<key>`, `bounds.<key>.low`, `budget.*`."""
        digest = sha256(self.text.encode()).hexdigest()
        found: list[Evidence] = []

        def add(names: tuple[str, ...], path: tuple[str, ...], value: Value) -> None:
            at = pointer(SETTINGS_FILE, *path, sha256=digest)
            found.append(Evidence(id=evidence_id(*names), value=value, pointer=at))

        add(("lineage", "attempts"), ("attempts",), self.attempts)
        add(("lineage", "max_attempts"), ("max_attempts",), self.max_attempts)
        if self.parent_run:
            add(("lineage", "parent_run"), ("parent_run",), self.parent_run)
        for key, value in self.current.items():
            add(("search", key), ("current", key), value)
        for key, bounds in self.search_space.items():
            add(("bounds", key, "low"), ("search_space", key, "low"), bounds.low)
            add(("bounds", key, "high"), ("search_space", key, "high"), bounds.high)
        for name, ceiling in self.budget or ():
            add(("budget", name), ("budget", name), ceiling)
        return tuple(found)


def settings_of(context: DecisionContext) -> Settings:
    """The settings that a context was built with: the same bytes as its pointers were made from."""
    return Settings(
        agent=context.agent,
        attempts=context.attempts,
        max_attempts=context.max_attempts,
        parent_run=context.parent_run,
        current=context.current,
        search_space=context.search_space,
        budget=context.budget,
    )
