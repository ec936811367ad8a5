"""Agents: named roles with a policy, budgets, and what they may propose."""

from typing import Annotated, Literal

from pydantic import Field

from interlock.contracts.base import Contract


class RulesPolicy(Contract):
    """Decide by the rules in `interlock.decisions.rules`; needs no model and no network."""

    kind: Literal["rules"]
    max_attempts: Annotated[int, Field(ge=1, le=100)] = 2
    """Gate failures of one lineage before a person is asked."""


class Agent(Contract):
    """One role. Ids are snake_case here; cards spell them as their source does (`Dir-Models`)."""

    tier: Literal["architect", "director", "manager"]
    """Place in the chain of command."""
    parent: str | None = None
    """Agent it reports to; None at the top."""
    responsibilities: tuple[str, ...]
    """What it owns, in words."""
    stages: tuple[Literal["prepare", "train", "evaluate", "export", "judge", "decide"], ...] = ()
    """Stages whose records are this agent's work."""
    policy: RulesPolicy
    """How it decides."""
    tokens_target_ratio: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5
    """Share of the assigned model's context window at which a warning is given."""
    tokens_hard_ratio: Annotated[float, Field(gt=0.0, le=1.0)] = 0.75
    """Share at which it stops."""
