"""A decision against everything that it names: its context, its answers, its evidence, the verdict's actions.

    check(home, row, decision).problems          what does not hold now; empty where all of it does
    decision_links(home, run_id)                 the same for every decision of a run, as links of `interlock verify`

Reads alone and asks nobody. That it comes out the same once more is another question
(`interlock.runs.deciding.replaying`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from interlock.contracts.decision import Decision, DecisionContext, Evidence
from interlock.contracts.verification import Link
from interlock.decisions.actions import PERSON, decision_faults
from interlock.decisions.policy import answers_of, decision_id
from interlock.errors import InterlockError
from interlock.registry.decided import DecisionRow, decisions
from interlock.registry.derive import DECISION, read_decision
from interlock.registry.layout import run_folder
from interlock.registry.spending import ANSWERS, Recorded, recorded_answers
from interlock.registry.verification.findings import Findings, shown
from interlock.runs.deciding.evidence import ArchivedFiles, Checked
from interlock.runs.deciding.standing import read_context

_BY_TRAIL = ("rules", "llm")
"""Policies whose decisions are named after context and trail alone."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """What a decision rests on, looked at now."""

    context: DecisionContext | None
    evidence: tuple[Checked, ...]
    answers: dict[str, Recorded]
    """Recorded answers by digest."""
    problems: tuple[str, ...]
    """Everything that does not hold, in sentences."""


def check(home: Path, row: DecisionRow, decision: Decision) -> Check:
    """Look at everything that a decision names. Never raises for what it finds there."""
    folder = home / row.path
    found = ArchivedFiles(home, decision.run_id, folder)
    evidence = tuple(found.check(item) for item in cited(decision))
    answers = {item.sha256: item for item in recorded_answers(run_folder(home, decision.run_id), skip_damaged=True)}
    try:
        context, unread = read_context(folder), ""
    except InterlockError as error:
        context, unread = None, error.message
    problems = [
        *([unread] if unread else []),
        *_of_context(decision, context),
        *(f"{item.evidence.id}: {item.problem}" for item in evidence if item.problem),
        *(
            f"{step.model}: the recorded answer {str(step.answer_sha256)[:12]}... is not among {ANSWERS}/"
            for step in decision.trail
            if step.answer_sha256 is not None and step.answer_sha256 not in answers
        ),
    ]
    return Check(context=context, evidence=evidence, answers=answers, problems=tuple(problems))


def cited(decision: Decision) -> tuple[Evidence, ...]:
    """The facts that a decision keeps, by id."""
    return tuple(sorted(decision.evidence, key=lambda item: item.id))


def decision_links(home: Path, run_id: str) -> list[Link]:
    """Whether each decision of a run stays inside what it was shown, and its facts stand where it says."""
    findings = Findings(section="decisions", home=home)
    try:
        rows = decisions(home, run_id)
    except InterlockError:
        return []  # told by verify_run
    for row in rows:
        decision = read_decision(home / row.path)
        name, path = f"decisions/{shown(row.id)}", home / row.path / DECISION
        looked = check(home, row, decision)
        if looked.context is None and not looked.problems:
            findings.unchecked(f"{name} -> its evidence", "it keeps no context", path=path)
        for problem in looked.problems:
            findings.broken(f"{name} -> its evidence", problem, path=path)
        if looked.context is not None and not looked.problems:
            findings.holds(f"{name} -> its evidence", f"{len(looked.evidence)} facts", path=path)
    return findings.links


def _of_context(decision: Decision, context: DecisionContext | None) -> Iterator[str]:
    """What is outside of what was shown and allowed; and the id, which follows from context and trail."""
    if context is None:
        return
    for fault in decision_faults(decision, context):
        yield " ".join(str(fault).split())
    if decision.policy in _BY_TRAIL and not decision.votes:
        made = decision_id(context, policy=decision.policy, answers=answers_of(decision.trail))
        if made != decision.decision_id:
            yield f"context and answers give the id {made[:12]}..., it is called {decision.decision_id[:12]}..."
    if decision.policy == PERSON and not decision.person:
        yield "a person decided, and it does not say who"
