"""Agents: named roles with a policy, budgets, and what they may propose.

Policies nest: `guard(proposal=llm, fallback=rules)`, `guard(proposal=quorum(...), fallback=rules)`. What they do is in
`interlock.decisions`; here only what can be written down.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from interlock.contracts.base import Contract


class RulesPolicy(Contract):
    """Decide by the rules in `interlock.decisions.rules`; needs no model and no network."""

    kind: Literal["rules"]


class ModelPolicy(Contract):
    """Ask language models, one after the other, until one gives a proposal that holds."""

    kind: Literal["llm"]
    models: tuple[str, ...] = ()
    """Short names from `llm.models`, in order; empty: `llm.order`. Names that `llm` does not have are passed over."""


class PersonPolicy(Contract):
    """Wait for a person: `interlock decide RUN --as NAME --action ACTION --reason WHY`."""

    kind: Literal["person"]


class QuorumPolicy(Contract):
    """Several agents vote on a release, each by its own policy and on its own evidence.

    How votes fold stands in `interlock.decisions.votes`.
    """

    kind: Literal["quorum"]
    members: Annotated[tuple[str, ...], Field(min_length=3)]
    """Agents that vote; all of them must."""
    chair: str
    """The member whose GO needs another one beside it."""
    go_min: Annotated[int, Field(ge=2)] = 2
    """GO votes that are needed, at least one of them not the chair's."""

    @model_validator(mode="after")
    def _is_a_quorum(self) -> "QuorumPolicy":
        if len(set(self.members)) != len(self.members):
            raise ValueError(f"a member votes once, and {list(self.members)} names one twice")
        if self.chair not in self.members:
            raise ValueError(f"the chair {self.chair} is no member of {list(self.members)}")
        if not len(self.members) / 2 < self.go_min <= len(self.members):
            raise ValueError(f"go_min {self.go_min} is no majority of {len(self.members)} members")
        return self


class GuardPolicy(Contract):
    """Take a proposal if it stays inside what the verdict, the search space and the evidence allow, else fall back."""

    kind: Literal["guard"]
    proposal: Annotated["ModelPolicy | QuorumPolicy | PersonPolicy | RulesPolicy", Field(discriminator="kind")]
    """Who proposes."""
    fallback: RulesPolicy = RulesPolicy(kind="rules")
    """Who decides where nobody proposed anything that holds. It never moves forward for a quorum or a person."""


Policy = Annotated[RulesPolicy | GuardPolicy, Field(discriminator="kind")]
"""What an agent may be given: a language model or a quorum never decides without a guard around it."""


class AgentBudget(Contract):
    """Ceilings on language models for one agent in one decision, or in one whole drive."""

    calls: Annotated[int, Field(ge=0)] = 12
    """Requests."""
    tokens: Annotated[int, Field(ge=0)] = 200_000
    """In and out together."""
    usd: Annotated[float, Field(ge=0.0)] = 1.0
    """Money."""
    seconds: Annotated[float, Field(ge=0.0)] = 300.0
    """Waiting for answers."""


class Agent(Contract):
    """One role. Ids are snake_case here; cards spell them as their source does (`Dir-Models`)."""

    tier: Literal["architect", "director", "manager", "executive"]
    """Place in the chain of command."""
    parent: str | None = None
    """Agent it reports to; None at the top."""
    responsibilities: tuple[str, ...]
    """What it owns, in words."""
    stages: tuple[Literal["prepare", "train", "evaluate", "export", "judge", "decide"], ...] = ()
    """Stages whose records are this agent's work."""
    policy: Policy
    """How it decides."""
    budget: AgentBudget = AgentBudget()
    """What it may spend on language models."""
    tokens_target_ratio: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5
    """Share of the asked model's context window at which a warning is given."""
    tokens_hard_ratio: Annotated[float, Field(gt=0.0, le=1.0)] = 0.75
    """Share that a prompt with its answer may take at most; evidence is left out until it fits."""
