"""Ask whoever decides upon an archived run. Answers of language models are recorded as they come; nothing else is.

    decided = ask(home, run_id, configured)                       # by the agent's policy
    decided = ask(home, run_id, configured, choice=PersonsChoice(...))    # a person, inside the same set
    recording.record(home, decided)                               # when it is to count

`interlock drive` calls `ask` and lets the decide stage replay what was recorded. A question that is interrupted leaves
either its whole answer or nothing. Does not write decisions (`interlock.runs.deciding.recording`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from interlock.contracts.answer import Usage
from interlock.contracts.decision import Decision, DecisionContext, Step
from interlock.contracts.lineage import LineageBlock
from interlock.contracts.llm import LanguageModels
from interlock.decisions import policies
from interlock.decisions.actions import PERSON
from interlock.decisions.answers import Answers, Auto, Live, Replaying
from interlock.decisions.archived import archived_sources
from interlock.decisions.asking import Asker
from interlock.decisions.budget import Ledger
from interlock.decisions.context import build_context
from interlock.decisions.person import Person, PersonsChoice
from interlock.decisions.policy import Policy
from interlock.decisions.rules.choice import POLICY
from interlock.provenance.attempts import run_lock
from interlock.registry.layout import run_folder
from interlock.registry.spending import ANSWERS, answer_files
from interlock.runs.deciding.configured import Configured
from interlock.runs.deciding.standing import place_of, standing_judgement

LOCK_WAIT_S = 600.0
"""How long to wait for another process that decides upon the same run: then its answers are replayed."""


@dataclass(frozen=True, kw_only=True)
class Decided:
    """A decision that was made just now."""

    decision: Decision
    context: DecisionContext
    judgement: str
    """Folder's name of the judgement decided upon."""
    configured: Configured
    choice: PersonsChoice | None = None
    """What a person said, where one decided."""
    asked: frozenset[str] = frozenset()
    """Keys of questions that were asked now; other answers of the trail were replayed."""
    spent: Usage = field(default_factory=Usage)
    """What was spent now."""
    warnings: tuple[str, ...] = ()
    """Ceilings of which most is used."""

    def was_asked(self, step: Step) -> bool:
        """Whether this step's question went out now."""
        return step.key in self.asked


def ask(
    home: Path,
    run_id: str,
    configured: Configured,
    *,
    judgement: str | None = None,
    lineage: LineageBlock | None = None,
    ledger: Ledger | None = None,
    choice: PersonsChoice | None = None,
) -> Decided:
    """Let the run's decider decide.

    Args:
        home: Archive and registry.
        run_id: An archived, judged run.
        configured: Agents, models, prices, ceilings.
        judgement: Folder's name of the judgement to decide upon; the one that stands by default.
        lineage: Where the run stands in its lineage; by default as the archive has it.
        ledger: What was spent before under the same ceilings, e.g. of a drive; a new one by default.
        choice: What a person decided, instead of the agent's policy.

    Raises NotRecordedError where replay alone is configured and an answer is missing, NoDecisionError where nobody may
    decide, RegistryError and ProvenanceError for a run that is not judged or was changed, BusyError where another
    process decides upon it for ten minutes.
    """
    ledger = ledger or ledger_of(configured)
    with run_lock(home, f"decide-{run_id}", wait_s=LOCK_WAIT_S):
        judged = judgement or standing_judgement(home, run_id)
        context = context_of(home, run_id, configured, judgement=judged, lineage=lineage, person=choice is not None)
        before, spent = {path: None for path in _answers(home, run_id)}, ledger.spent()
        decision = _policy(home, run_id, configured, ledger=ledger, choice=choice).decide(context)
        asked = frozenset(path.parent.name for path in _answers(home, run_id) if path not in before)
    return Decided(
        decision=decision,
        context=context,
        judgement=judged,
        configured=configured,
        choice=choice,
        asked=asked,
        spent=_difference(ledger.spent(), spent),
        warnings=ledger.warnings(),
    )


def context_of(
    home: Path,
    run_id: str,
    configured: Configured,
    *,
    judgement: str,
    lineage: LineageBlock | None = None,
    person: bool = False,
) -> DecisionContext:
    """What is shown of an archived run: the bytes that its decide stage sees. Raises as `archived_sources` does."""
    return build_context(
        archived_sources(home, run_id, judgement=judgement),
        agent=configured.agent,
        budget=configured.agents[configured.agent].budget,
        search_space=configured.search_space,
        lineage=lineage or place_of(home, run_id),
        max_attempts=configured.max_attempts,
        policy=PERSON if person else POLICY,
    )


def ledger_of(configured: Configured, *, spent: Mapping[str, Usage] | None = None) -> Ledger:
    """A ledger with the configured ceilings; `spent` is what went before, by agent."""
    return Ledger({name: agent.budget for name, agent in configured.agents.items()}, configured.budget, spent)


def _policy(home: Path, run_id: str, configured: Configured, *, ledger: Ledger, choice: PersonsChoice | None) -> Policy:
    if choice is not None:
        return Person(configured.agent, choice, agents=configured.agents)
    asker = asker_of(configured, Answers(run_folder(home, run_id) / ANSWERS), ledger)
    return policies.build(configured.agent, configured.agents, configured.llm, asker)


def asker_of(configured: Configured, answers: Answers, ledger: Ledger) -> Asker:
    """Whoever answers, by `llm.mode`; nobody where no model is configured."""
    if not isinstance(configured.llm, LanguageModels) or configured.llm.mode == "replay":
        return Replaying(answers)
    from interlock.decisions.llm.wire import Wire  # the vendors' packages, where one may really be asked

    live = Wire(configured.prices, ledger)
    return Live(answers, live) if configured.llm.mode == "live" else Auto(answers, live)


def _answers(home: Path, run_id: str) -> list[Path]:
    return answer_files(run_folder(home, run_id))


def _difference(now: Usage, before: Usage) -> Usage:
    """What was added; sums of rounded numbers, rounded again."""
    return Usage(
        calls=now.calls - before.calls,
        tokens_in=now.tokens_in - before.tokens_in,
        tokens_out=now.tokens_out - before.tokens_out,
        usd=round(max(0.0, now.usd - before.usd), 6),
        seconds=round(max(0.0, now.seconds - before.seconds), 3),
    )
