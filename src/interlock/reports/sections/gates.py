"""The verdict's headline, and every gate with its reason and its interval drawn against the target."""

from collections.abc import Sequence
from dataclasses import dataclass

from interlock.contracts.verdict import Cause, GateResult, Verdict
from interlock.reports.charts.strip import gate_strip
from interlock.reports.charts.svg import Svg
from interlock.reports.figures import figure, interval
from interlock.reports.run_facts import RunFacts
from interlock.reports.sections.decided import told, who
from interlock.reports.sections.section import Section, counted

NUM_KEY_FIGURES = 4
NOT_EXPORTED = "The run was not exported, because gates that come before it did not pass; get those to pass first."
_SEVERITY = ("fail", "blocked", "inconclusive", "pass")


@dataclass(frozen=True, kw_only=True)
class GateView:
    """One gate as the page shows it."""

    row: GateResult
    strip: Svg | None
    observed: str
    bounds: str
    target: str
    answer: str
    """`yes` or `no` of a check; empty for a number."""
    decides: bool
    """Whether it counts towards the verdict."""
    todo: str
    """What to do about it; empty for a gate that passed."""


def headline(facts: RunFacts) -> Section:
    """The verdict, what was decided, and the figures that decide."""
    rows = facts.judgement.rows if facts.judgement else ()
    deciding = [row for row in rows if row.severity != "advise"]
    unmet = [row for row in _ordered(deciding) if row.verdict is not Verdict.PASS]
    decision = facts.decision
    return Section(
        id="verdict",
        title="Verdict",
        template="verdict.html.j2",
        values={
            "facts": facts,
            "card": facts.view.card,
            "summary": _summary(facts, deciding, unmet),
            "figures": [_view(row, facts) for row in _key_figures(deciding)],
            "advice": _advice(unmet),
            "reasons": told(decision.reasons, decision) if decision else [],
            "who": who(decision) if decision else "",
        },
    )


def gates(facts: RunFacts) -> Section | None:
    """All gates: those that decide first, the ones that did not pass on top."""
    if facts.judgement is None:
        return None
    views = [_view(row, facts) for row in _ordered(facts.judgement.rows)]
    groups = [
        ("Deciding", "Any of these keeps the run back.", [view for view in views if view.decides]),
        ("Advisory", "Reported; they never decide.", [view for view in views if not view.decides]),
    ]
    return Section(
        id="gates",
        title="Gates",
        template="gates.html.j2",
        values={"groups": [group for group in groups if group[2]], "judgement": facts.judgement, "views": views},
        lead="A pass needs the whole bar on the shaded side of the target: the one-sided bound decides, not the dot.",
    )


def _summary(facts: RunFacts, deciding: Sequence[GateResult], unmet: Sequence[GateResult]) -> str:
    if facts.judgement is None:
        return f"There is no result: {facts.view.run.state}."
    if not unmet:
        return f"All {counted(len(deciding), 'deciding gate')} passed."
    kinds = {kind: [row.gate for row in unmet if row.verdict == kind] for kind in _SEVERITY[:3]}
    words = {"fail": "failed", "blocked": "could not be judged", "inconclusive": "undecided"}
    parts = [f"{len(names)} {words[kind]} ({', '.join(names)})" for kind, names in kinds.items() if names]
    return f"Of {counted(len(deciding), 'deciding gate')} {'; '.join(parts)}."


def _key_figures(deciding: Sequence[GateResult]) -> list[GateResult]:
    """Numbers with an interval, those that did not pass first."""
    numbers = [row for row in _ordered(deciding) if row.observed is not None and row.comparison != "is"]
    numbers.sort(key=lambda row: (_rank(row), row.bound is None))
    return numbers[:NUM_KEY_FIGURES]


def _ordered(rows: Sequence[GateResult]) -> list[GateResult]:
    """What did not pass first; numbers before checks; by name."""
    return sorted(rows, key=lambda row: (row.severity == "advise", _rank(row), row.comparison == "is", row.gate))


def _rank(row: GateResult) -> int:
    return _SEVERITY.index(row.verdict.value)


def _view(row: GateResult, facts: RunFacts) -> GateView:
    low, high = (row.bound, row.other_bound) if row.comparison == ">=" else (row.other_bound, row.bound)
    both = interval((low, high), row.unit) if low is not None and high is not None else ""
    sign = {">=": "≥", "<=": "≤"}.get(row.comparison, "")
    is_check = row.comparison == "is"
    return GateView(
        row=row,
        strip=gate_strip(row),
        observed="" if row.observed is None else figure(row.observed, row.unit),
        bounds=both,
        target="yes" if is_check else f"{sign} {figure(row.target, row.unit)}",
        answer=figure(row.observed, "bool") if is_check and row.observed is not None else "",
        decides=row.severity != "advise",
        todo=_todo(row),
    )


def _advice(unmet: Sequence[GateResult]) -> list[tuple[str, str]]:
    """Names of gates with what to do about them; gates with the same advice stand together."""
    found: dict[str, list[str]] = {}
    for row in unmet:
        if todo := _todo(row):
            found.setdefault(todo, []).append(row.gate)
    return [(", ".join(names), todo) for todo, names in found.items()]


def _todo(row: GateResult) -> str:
    """The gate's own advice is about what was measured; a file that was never made says nothing about itself."""
    if row.verdict is Verdict.PASS:
        return ""
    return NOT_EXPORTED if row.cause is Cause.NOT_EXPORTED else row.on_failure
