"""The drive that a run is an attempt of: every attempt with its verdict, the decision upon it and what it changed."""

import shlex
from typing import Any

from interlock.contracts.drive import DrivenAttempt, DrivePath, DriveState
from interlock.reports.charts.lines import Series, line_chart
from interlock.reports.charts.svg import Svg
from interlock.reports.driven import change_texts, gate_text, shown_gates, state_text, usage_text
from interlock.reports.run_facts import RunFacts
from interlock.reports.sections.section import Section, counted

_CHARTS_MAX = 4
_REASONS_MAX = 3
_TONES = {DriveState.ACCEPTED: "pass", DriveState.FAILED: "fail", DriveState.WAITING: "blocked"}


def drive(facts: RunFacts) -> Section | None:
    """The path taken, drawn from the first attempt to the last; this run is marked."""
    path = facts.drive
    if path is None:
        return None
    judged = [attempt for attempt in path.attempts if attempt.verdict is not None]
    return Section(
        id="drive", title="Drive", template="drive.html.j2",
        values={
            "id": path.record.id,
            "command": shlex.join(("interlock", "drive", *path.record.command)),
            "steps": [_step(attempt, facts.run_id) for attempt in path.attempts],
            "charts": _charts(judged),
            "state": state_text(path, is_driven=False),
            "tone": _TONES.get(path.state, "inconclusive"),
            "why": path.why,
            "allowed": f"{path.approved_by} allowed {path.attempts_max} attempts" if path.approved_by else "",
            "spent": _spent(path),
        },
        lead=f"{counted(len(judged), 'attempt')} of at most {path.attempts_max}; each decision and what it changed.",
    )  # fmt: skip


def _step(attempt: DrivenAttempt, this: str) -> dict[str, Any]:
    return {
        "number": attempt.attempt,
        "run_id": attempt.run_id or "",
        "is_this": attempt.run_id == this,
        "verdict": attempt.verdict.value if attempt.verdict else "",
        "changes": change_texts(attempt.changes),
        "gates": [(gate.verdict.value, gate_text(gate)) for gate in shown_gates(attempt)],
        "is_repaired": attempt.is_repaired,
        "decisions": [
            {
                "action": decision.action.replace("_", " "),
                "by": f"{decision.policy} ({', '.join(decision.models)})"
                if decision.models and decision.policy == "llm"
                else decision.policy,
                "confidence": decision.confidence,
                "reasons": decision.reasons[:_REASONS_MAX],
                "risks": decision.risks[:_REASONS_MAX],
                "told": decision.told,
                "spent": usage_text(decision.usage),
            }
            for decision in attempt.decisions
        ],
    }


def _charts(judged: list[DrivenAttempt]) -> list[tuple[str, Svg]]:
    """What each deciding gate saw, attempt by attempt, with its target; nothing to compare in a single attempt."""
    names = dict.fromkeys(
        gate.gate
        for attempt in judged
        for gate in attempt.gates
        if gate.severity != "advise" and gate.target is not None and gate.observed is not None
    )
    drawn = []
    for name in names:
        gates = [(number, gate) for number, attempt in enumerate(judged) for gate in attempt.gates if gate.gate == name]
        seen = [(float(number), gate.observed) for number, gate in gates if gate.observed is not None]
        aims = [(float(number), gate.target) for number, gate in gates if gate.target is not None]
        if len(seen) < 2:
            continue
        text = f"{name} by attempt: " + ", ".join(gate_text(gate) for _, gate in gates)
        series = [
            Series(name="observed", points=seen, color="series-1"),
            Series(name="target", points=aims, color="muted", quiet=True, dashed=True),
        ]
        categories = [str(attempt.attempt) for attempt in judged]
        drawn.append((name, line_chart(series, label_text=text, categories=categories, height_px=150)))
    return drawn[:_CHARTS_MAX]


def _spent(path: DrivePath) -> str:
    asked = usage_text(path.usage)
    return f"{path.compute_hours * 3600:.1f} s of stages" + (f"; language models: {asked}" if asked else "")
