"""What a decision needs of a configuration: who decides, whom they may ask, at what price, under which ceilings.

    configured = of_experiment(validate(compose_lane(...)))

`policy_text` is kept beside every decision made outside of DVC, so that it can be made again without composing.
Does not say anything about the run: `interlock.runs.deciding.archived` reads that from the archive.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from interlock.contracts.agent import Agent
from interlock.contracts.experiment import Budget, Experiment
from interlock.contracts.lane import Range
from interlock.contracts.llm import LanguageModels, NoModel, Price, by_model
from interlock.decisions import policies
from interlock.decisions.context import deciding_agent
from interlock.errors import ProvenanceError
from interlock.provenance.canonical import pretty_json

Models = NoModel | LanguageModels


@dataclass(frozen=True, kw_only=True)
class Configured:
    """Agents, models and ceilings of one decision."""

    agents: Mapping[str, Agent]
    llm: Models
    prices: Mapping[str, Price]
    budget: Budget
    """Ceilings over all agents."""
    max_attempts: int
    """Judged runs of a lineage before a person is asked."""
    search_space: Mapping[str, Range]

    @property
    def agent(self) -> str:
        """Who decides upon a lane's run. Raises DecisionError unless exactly one agent owns the stage."""
        return deciding_agent(self.agents)

    @property
    def policy_text(self) -> str:
        """Agents and models as JSON: all that a policy is made of."""
        return pretty_json({"agents": dict(self.agents), "llm": self.llm})


def of_experiment(experiment: Experiment) -> Configured:
    """The part of a composed experiment that decides."""
    return Configured(
        agents=experiment.agents,
        llm=experiment.llm,
        prices=by_model(experiment.prices),
        budget=experiment.budget,
        max_attempts=experiment.max_attempts or experiment.recovery.gate_failures_max,
        search_space=experiment.lane.search_space,  # type: ignore[attr-defined]
    )


def read_policy(values: Mapping[str, Any], *, source: object) -> tuple[dict[str, Agent], Models]:
    """Agents and models from a stage's record or from `policy_text`. Raises ProvenanceError naming `source`."""
    try:
        return policies.read(values)
    except (KeyError, ValidationError) as error:
        problem = error.errors()[0]["msg"] if isinstance(error, ValidationError) else f"{error} is missing"
        raise ProvenanceError(
            f"the policy that decided cannot be read: {problem}",
            path=str(source),
            hint="another version of Interlock wrote it, or it was changed; decide again: interlock decide RUN",
        ) from error
