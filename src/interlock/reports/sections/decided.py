"""What was decided and why: reasons with their evidence, what was tried and refused, votes, and what it cost.

Everything comes from the decision's own file and the run's row; nothing is decided here. What models say of themselves
is shown as they said it, escaped, and only where the guard has looked at it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from interlock.contracts.answer import Outcome, Usage
from interlock.contracts.decision import Decision, Evidence, Statement, Step, Vote
from interlock.decisions.evidence import render
from interlock.registry.decided import taken_model
from interlock.reports.decisions import POLICIES, spent
from interlock.reports.figures import figure
from interlock.reports.run_facts import RunFacts
from interlock.reports.sections.section import Section, number_text

DIGITS = 12
_TONES = {Outcome.ANSWERED: "pass", Outcome.GUARD: "fail", Outcome.SCHEMA: "fail", Outcome.MALFORMED: "fail"}
"""How a step is coloured; everything else came to nothing without anybody's fault."""


_ENDED = {
    Outcome.GUARD: "refused by the guard",
    Outcome.SCHEMA: "another form",
    Outcome.MALFORMED: "no JSON",
    Outcome.REFUSED: "declined",
    Outcome.TRUNCATED: "cut off",
}
"""Outcomes whose own names say too little."""


def ended(outcome: Outcome) -> str:
    """How a step ended, in a word or two."""
    return _ENDED.get(outcome, outcome.value.replace("_", " "))


@dataclass(frozen=True, kw_only=True)
class Told:
    """A sentence with its numbers, and the facts that it rests on."""

    text: str
    evidence: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A fact with the file that it stands in."""

    id: str
    value: str
    file: str
    pointer: str
    digest: str


def decided(facts: RunFacts) -> Section | None:
    """The decision that stands, and the ones before it."""
    decision = facts.decision
    if decision is None:
        return None
    others = [row for row in facts.view.decisions if row.decision_id != decision.decision_id]
    return Section(
        id="decision",
        title="Decision",
        template="decision.html.j2",
        values={
            "decision": decision,
            "action": decision.action.value.replace("_", " "),
            "who": who(decision),
            "reasons": told(decision.reasons, decision),
            "risks": told(decision.risks, decision),
            "overrides": _overrides(decision),
            "steps": [_step(step) for step in decision.trail],
            "votes": [_vote(vote, decision) for vote in decision.votes],
            "cost": cost_text(decision.usage) if decision.trail else "",
            "spent": facts.view.spent,
            "evidence": [_fact(item) for item in decision.evidence],
            "others": others,
        },
        lead="Every number in a reason was filled in from the evidence below; nobody typed it.",
    )


def who(decision: Decision) -> str:
    """Who decided, as a phrase: `the rules for dir_models`."""
    if decision.person:
        return f"{decision.person} for {decision.agent}"
    model = taken_model(decision)
    return f"{model or POLICIES.get(decision.policy, decision.policy)} for {decision.agent}"


def told(statements: Sequence[Statement], decision: Decision) -> list[Told]:
    """Sentences with their placeholders filled in."""
    return [Told(text=render(item.text, decision.evidence), evidence=item.evidence) for item in statements]


def cost_text(usage: Usage) -> str:
    """`2 calls, 1,034 tokens, $0.0041, 3.2 s`, or that nothing was asked."""
    return spent(usage) or "no language model was called"


def _overrides(decision: Decision) -> list[tuple[str, str, str]]:
    """Key, present value where it was cited, new value."""
    cited = {item.id: item.value for item in decision.evidence}
    return [
        (key, _value(cited.get(f"search.{key}", "")), _value(value))
        for key, value in sorted(decision.proposed_overrides.items())
    ]


def _step(step: Step) -> dict[str, object]:
    return {
        "agent": step.agent,
        "asked": step.model or POLICIES.get(step.policy, step.policy),
        "outcome": ended(step.outcome),
        "tone": _TONES.get(step.outcome, "inconclusive"),
        "told": step.told,
        "left_out": step.left_out,
        "cost": cost_text(step.usage) if step.calls else "",
        "answer": (step.answer_sha256 or "")[:DIGITS],
        "proposal": _proposal(step),
    }


def _proposal(step: Step) -> str:
    """What was proposed and not taken."""
    if step.proposal is None or step.outcome is Outcome.ANSWERED:
        return ""
    overrides = step.proposal.get("proposed_overrides") or []
    values = overrides.items() if isinstance(overrides, dict) else _pairs(overrides)
    changes = ", ".join(f"{key}={value}" for key, value in values)
    return f"{step.proposal.get('action', '?')}{' with ' if changes else ''}{changes}"


def _pairs(overrides: object) -> list[tuple[object, object]]:
    items = overrides if isinstance(overrides, list) else []
    return [(item.get("key"), item.get("value")) for item in items if isinstance(item, dict)]


def _vote(vote: Vote, decision: Decision) -> dict[str, object]:
    """A member's words; what it cites is kept with the decision as far as the decision cites it, too."""
    known = {item.id for item in decision.evidence}
    filled = [item for item in vote.reasons if set(item.evidence) <= known]
    bare = [item.text for item in vote.reasons if item not in filled]
    return {"vote": vote, "reasons": [*(item.text for item in told(filled, decision)), *bare]}


def _fact(item: Evidence) -> Fact:
    file, _, rest = item.pointer.partition("#")
    pointer, _, digest = rest.partition("@sha256:")
    return Fact(id=item.id, value=_value(item.value), file=file, pointer=pointer, digest=digest)


def _value(value: bool | int | float | str) -> str:
    if isinstance(value, bool):
        return figure(float(value), "bool")
    return number_text(value) if isinstance(value, float) else str(value)
