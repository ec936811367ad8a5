"""Configured policies made real: the one place where `agents` and `llm` become something that decides.

    policies.build("dir_models", agents, llm, asker).decide(context)

Nothing here asks a model or knows a vendor: `asker` is whoever answers questions, a record or the models themselves.
Agents whose models `llm` does not have decide as if no model were configured, and their decisions say so in the trail.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic import TypeAdapter

from interlock.contracts.agent import Agent, GuardPolicy, ModelPolicy, PersonPolicy, QuorumPolicy, RulesPolicy
from interlock.contracts.agent import Policy as PolicyConfig
from interlock.contracts.answer import Outcome
from interlock.contracts.decision import MOVES_FORWARD, Decision, DecisionContext, Step
from interlock.contracts.llm import LanguageModels, NoModel
from interlock.decisions.asking import Asker
from interlock.decisions.guarded import Guard
from interlock.decisions.language import LLM, LanguagePolicy
from interlock.decisions.person import Person, PersonsChoice
from interlock.decisions.policy import Policy, no_decision
from interlock.decisions.quorum import Quorum
from interlock.decisions.rules.by_kind import Rules
from interlock.errors import ConfigError, Fault
from interlock.provenance.canonical import canonical_json

_AGENTS = TypeAdapter(dict[str, Agent])
_MODELS: TypeAdapter[NoModel | LanguageModels] = TypeAdapter(NoModel | LanguageModels)
Proposal = RulesPolicy | ModelPolicy | QuorumPolicy | PersonPolicy | GuardPolicy


def read(values: Mapping[str, Any]) -> tuple[dict[str, Agent], NoModel | LanguageModels]:
    """Agents and models of a composed configuration. Raises KeyError, and ValidationError for what is none."""
    agents = _AGENTS.validate_json(canonical_json(values["agents"]))
    return agents, _MODELS.validate_json(canonical_json(values["llm"]))


def build(
    agent_id: str,
    agents: Mapping[str, Agent],
    llm: NoModel | LanguageModels,
    asker: Asker,
    *,
    choice: PersonsChoice | None = None,
) -> Policy:
    """The policy of an agent.

    Args:
        agent_id: Who decides.
        agents: All agents; a quorum's members are among them.
        llm: Models that may be asked.
        asker: Who answers questions to them.
        choice: What a person said, for a policy that waits for one.

    Raises ConfigError naming an unknown agent, and every member of a quorum that is unknown or a quorum itself.
    """
    faults = list(_faults(agent_id, agents))
    if faults:
        raise ConfigError(faults, subject=f"policy of {agent_id}", hint="see conf/agent and conf/executives")
    return _Build(agents=agents, llm=llm, asker=asker, choice=choice).of(agent_id, agents[agent_id].policy)


class NoModels:
    """Stands for a language model where none is configured: it never decides, and says why."""

    def __init__(self, agent_id: str, told: str) -> None:
        self._step = Step(agent=agent_id, policy=LLM, outcome=Outcome.NOT_CONFIGURED, told=told)

    def decide(self, context: DecisionContext) -> Decision:
        """Raises NoDecisionError, always."""
        raise no_decision([self._step], subject=f"the decision of {context.agent}", hint="choose one: llm=anthropic")


@dataclass(frozen=True, kw_only=True)
class _Build:
    agents: Mapping[str, Agent]
    llm: NoModel | LanguageModels
    asker: Asker
    choice: PersonsChoice | None

    def of(self, agent_id: str, config: PolicyConfig | Proposal) -> Policy:
        match config:
            case RulesPolicy():
                return Rules()
            case ModelPolicy():
                return self._language(agent_id, config)
            case PersonPolicy():
                return Person(agent_id, self.choice, agents=self.agents)
            case QuorumPolicy():
                return Quorum(config, {name: self.of(name, self.agents[name].policy) for name in config.members})
            case GuardPolicy():
                return self._guard(agent_id, config)

    def _guard(self, agent_id: str, config: GuardPolicy) -> Policy:
        """Who asked for a quorum or a person does not move forward without one: the fallback may not."""
        withheld = MOVES_FORWARD if isinstance(config.proposal, QuorumPolicy | PersonPolicy) else frozenset()
        proposal, fallback = self.of(agent_id, config.proposal), self.of(agent_id, config.fallback)
        return Guard(proposal, fallback, withheld=withheld)

    def _language(self, agent_id: str, config: ModelPolicy) -> Policy:
        if isinstance(self.llm, NoModel):
            return NoModels(agent_id, "llm names no model")
        known = tuple(name for name in config.models or self.llm.order if name in self.llm.models)
        if not known:
            told = f"llm has none of this agent's models {list(config.models)}, only {sorted(self.llm.models)}"
            return NoModels(agent_id, told)
        return LanguagePolicy(agent_id, self.agents[agent_id], self.llm, asker=self.asker, order=known)


def _faults(agent_id: str, agents: Mapping[str, Agent]) -> Iterator[Fault]:
    if agent_id not in agents:
        yield _unknown("agents", agent_id, agents)
        return
    quorum = _quorum_of(agents[agent_id])
    for index, member in enumerate(quorum.members if quorum else ()):
        key = f"agents.{agent_id}.policy.proposal.members[{index}]"
        if member not in agents:
            yield _unknown(key, member, agents)
        elif _quorum_of(agents[member]) is not None:
            yield Fault(key=key, problem="decides by a quorum itself, and a quorum's members each decide alone",
                        value=member)  # fmt: skip


def _quorum_of(agent: Agent) -> QuorumPolicy | None:
    policy = agent.policy
    proposal = policy.proposal if isinstance(policy, GuardPolicy) else policy
    return proposal if isinstance(proposal, QuorumPolicy) else None


def _unknown(key: str, name: str, agents: Mapping[str, Agent]) -> Fault:
    nearest = get_close_matches(name, agents, n=1)
    return Fault(
        key=key, problem="no such agent", value=name, allowed=tuple(agents), nearest=nearest[0] if nearest else ""
    )
