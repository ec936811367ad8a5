"""What was decided upon a run and what that cost, as rows for lists and pages.

    decisions(home, run_id)     from the archive, each file read by its contract
    spent(home, run_id)         from the event log

Does not check evidence or answers: `interlock verify` and `interlock why` do.
"""

from pathlib import Path

from interlock.contracts.answer import Outcome
from interlock.contracts.base import Contract
from interlock.contracts.decision import Decision, Kind
from interlock.registry import index
from interlock.registry.derive import DECISIONS, made_at, read_decision, source_of, statements


class DecisionRow(Contract):
    """A decision upon a run."""

    id: str
    """Name of its folder: its id, and some digits more where other words have the same id."""
    kind: Kind = "lane"
    """What was decided upon: the run, or whether its model goes live."""
    at: str
    """When it was made (UTC, ISO 8601)."""
    path: str
    """Its folder, relative to the home."""
    decision_id: str
    """Its id."""
    judgement_id: str
    """The judgement decided upon."""
    action: str
    """What to do."""
    agent: str
    """Who decided."""
    policy: str
    """How: `rules`, `llm`, `quorum` or `person`."""
    model: str = ""
    """The language model whose proposal was taken."""
    person: str = ""
    """The person who decided."""
    tried: int = 0
    """Proposals and questions that came to nothing before it."""
    source: str
    """`pipeline`: the stage decide made it; `command`: interlock decide or drive."""


class SpentRow(Contract):
    """What one agent spent on one language model for a run."""

    agent: str
    """Who asked."""
    model: str
    """`<provider>/<model id>`."""
    answers: int
    """Recorded answers that were paid for."""
    calls: int
    """Requests."""
    tokens_in: int
    tokens_out: int
    usd: float
    """By the prices of the time."""
    seconds: float
    """Waiting."""


def decisions(home: Path, run_id: str) -> tuple[DecisionRow, ...]:
    """Every archived decision of a run, oldest first. Raises RegistryError for one that is not valid."""
    return tuple(_row(home, folder) for folder in statements(home, run_id, DECISIONS))


def taken_model(decision: Decision) -> str:
    """The language model whose proposal the decision is; empty where none was taken."""
    if decision.policy != "llm":
        return ""
    return next((step.model for step in reversed(decision.trail) if step.outcome is Outcome.ANSWERED), "")


def spent(home: Path, run_id: str) -> tuple[SpentRow, ...]:
    """What language models cost a run, by agent and model."""
    with index.reading(home) as database:
        found = database.execute(
            "SELECT agent, model, COUNT(*) AS answers, SUM(calls) AS calls, SUM(tokens_in) AS tokens_in, "
            "SUM(tokens_out) AS tokens_out, ROUND(SUM(usd), 6) AS usd, ROUND(SUM(seconds), 3) AS seconds "
            "FROM spent WHERE run_id = ? GROUP BY agent, model ORDER BY agent, model",
            (run_id,),
        ).fetchall()
    return tuple(SpentRow(**dict(row)) for row in found)


def _row(home: Path, folder: Path) -> DecisionRow:
    decision = read_decision(folder)
    return DecisionRow(
        id=folder.name,
        kind=decision.kind,
        at=made_at(folder),
        path=folder.relative_to(home).as_posix(),
        decision_id=decision.decision_id,
        judgement_id=decision.judgement_id,
        action=decision.action.value,
        agent=decision.agent,
        policy=decision.policy,
        model=taken_model(decision),
        person=decision.person,
        tried=sum(step.outcome is not Outcome.ANSWERED for step in decision.trail),
        source=source_of(folder),
    )
