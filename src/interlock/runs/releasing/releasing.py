"""Decide whether a model goes live: look, let the executive team vote, write everything down.

    situation = look(home, workspace, "query_tower_docs", experiment=..., evidence=Path("shadow.json"), now=now)
    released = release(situation, of_experiment(experiment))
    record(released, made_at=now.isoformat())

Answers of language models are recorded under the candidate's run as they come. Nothing is promoted here: a GO is what
`interlock registry promote` and a person's approval go on from.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from interlock.contracts.agent import Agent, GuardPolicy, QuorumPolicy
from interlock.contracts.answer import Usage
from interlock.contracts.decision import Decision, DecisionContext
from interlock.contracts.experiment import Experiment
from interlock.contracts.release import ExecutiveReport
from interlock.decisions import policies
from interlock.decisions.answers import Answers
from interlock.decisions.asking import Asker
from interlock.errors import ConfigError, Fault
from interlock.provenance.attempts import run_lock
from interlock.provenance.canonical import pretty_json, sha256_json
from interlock.registry.derive import BY_HAND, WHEN
from interlock.registry.layout import run_folder
from interlock.registry.queries import archived_run
from interlock.registry.spending import ANSWERS
from interlock.reports.decisions import decision_texts
from interlock.reports.releases import release_markdown
from interlock.runs.deciding.configured import Configured
from interlock.runs.deciding.deciding import LOCK_WAIT_S, asker_of, ledger_of
from interlock.runs.deciding.recording import POLICY_FILE, Recorded, keep
from interlock.runs.releasing.context import release_context, report_file, report_text
from interlock.runs.releasing.infrastructure import AGENT as MONITOR
from interlock.runs.releasing.infrastructure import infrastructure_report
from interlock.runs.releasing.integration import AGENT as COMMANDER
from interlock.runs.releasing.integration import integration_report
from interlock.runs.releasing.safety import AGENT as OFFICER
from interlock.runs.releasing.safety import safety_report
from interlock.runs.releasing.shadow import SHADOW, read_shadow
from interlock.runs.releasing.situation import Situation
from interlock.runs.releasing.version import Version, in_production, previous

RELEASE_PAGE = "release_decision.md"
REPORTS: Mapping[str, Callable[[Situation], ExecutiveReport]] = {
    MONITOR: infrastructure_report,
    OFFICER: safety_report,
    COMMANDER: integration_report,
}
"""Who reports on a release; a quorum's members are among them."""


@dataclass(frozen=True, kw_only=True)
class Released:
    """A decision on a release that was made just now."""

    situation: Situation
    reports: tuple[ExecutiveReport, ...]
    context: DecisionContext
    decision: Decision
    configured: Configured
    spent: Usage
    """What was spent on language models now."""
    warnings: tuple[str, ...] = ()
    """Ceilings of which most is used."""

    @property
    def page(self) -> str:
        """`release_decision.md`."""
        return release_markdown(self.decision, self.context, self.reports)


def lane_of(candidate: Version) -> str:
    """The candidate's lane, also where its card is not believed."""
    row = archived_run(candidate.home, candidate.run_id)
    return candidate.card.lane if candidate.card else row.lane if row else ""


def look(
    candidate: Version, workspace: Path, *, experiment: Experiment, evidence: Path | None, now: datetime
) -> Situation:
    """Everything that the executives look at; `experiment` is the lane's present configuration.

    Raises UsageError and ProvenanceError for evidence that is not about this candidate.
    """
    home, lane = candidate.home, lane_of(candidate)
    production = previous(home, candidate, lane)
    holder = in_production(home, lane)
    services = {name: item.port for name, item in experiment.control.services.items() if item.lane == lane}
    return Situation(
        home=home,
        workspace=workspace,
        lane=lane,
        kind=experiment.lane.kind,
        candidate=candidate,
        production=production,
        contested_by=holder.contested_by if holder else (),
        settings=experiment.release,
        gates_sha256=sha256_json(dict(experiment.lane.gates)),  # type: ignore[attr-defined]
        services=services,
        shadow=read_shadow(evidence, candidate, production=production, lane=lane) if evidence else None,
        now=now,
    )


def release(situation: Situation, configured: Configured, *, asker: Asker | None = None) -> Released:
    """Let the executive team decide. `asker` answers in place of the configured models.

    Raises NoDecisionError where nobody may decide, NotRecordedError for a replay without its answers.
    """
    team = executive_team(configured.agents)
    ledger = ledger_of(configured)
    home, run_id = situation.home, situation.candidate.run_id
    with run_lock(home, f"decide-{run_id}", wait_s=LOCK_WAIT_S):
        reports = tuple(make(situation) for make in REPORTS.values())
        context = release_context(situation, reports, agent=team)
        asked = asker or asker_of(configured, Answers(run_folder(home, run_id) / ANSWERS), ledger)
        decision = policies.build(team, configured.agents, configured.llm, asked).decide(context)
    return Released(
        situation=situation,
        reports=reports,
        context=context,
        decision=decision,
        configured=configured,
        spent=ledger.spent(),
        warnings=ledger.warnings(),
    )


def record(released: Released, *, made_at: str) -> Recorded:
    """Archive the decision with the reports that it rests on; the same again changes nothing."""
    shadow = released.situation.shadow
    files = {
        **decision_texts(released.decision, released.context),
        RELEASE_PAGE: released.page,
        POLICY_FILE: released.configured.policy_text,
        WHEN: pretty_json({"at": made_at, "source": BY_HAND}),
        **{report_file(report): report_text(report) for report in released.reports},
        **({SHADOW: shadow.text} if shadow else {}),
    }
    return keep(released.situation.home, released.decision, files)


def executive_team(agents: Mapping[str, Agent]) -> str:
    """The agent that decides upon releases: the one whose policy is a quorum of those who report.

    Raises ConfigError where there is none or several, or a member that nobody gathers evidence for.
    """
    teams = {name: quorum for name, agent in agents.items() if (quorum := _quorum(agent)) is not None}
    if len(teams) != 1:
        problem = "exactly one agent must decide upon releases by a quorum"
        fault = Fault(key="agents", problem=problem, value=sorted(teams))
        raise ConfigError([fault], subject="executive team", hint="see agents.executive_team in conf/executives")
    ((team, quorum),) = teams.items()
    unknown = [name for name in quorum.members if name not in REPORTS]
    if unknown:
        faults = [
            Fault(
                key=f"agents.{team}.policy.proposal.members", problem="nobody gathers evidence for this member",
                value=name, allowed=tuple(REPORTS),
            )
            for name in unknown
        ]  # fmt: skip
        raise ConfigError(faults, subject="executive team", hint="see conf/executives")
    return team


def _quorum(agent: Agent) -> QuorumPolicy | None:
    policy = agent.policy
    proposal = policy.proposal if isinstance(policy, GuardPolicy) else policy
    return proposal if isinstance(proposal, QuorumPolicy) else None
