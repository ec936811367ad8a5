"""A decision on a release, as a page and as rows for a terminal: who voted what, on what, and what is known of it.

The closing line claims only what a row shows; everything else it names as not verified. Pure: contracts in, text out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from interlock.contracts.answer import Outcome
from interlock.contracts.decision import Action, Decision, DecisionContext, Statement
from interlock.contracts.release import ExecutiveReport
from interlock.contracts.spelling import spelled
from interlock.contracts.verdict import GateResult, Verdict, worst
from interlock.decisions.evidence import render
from interlock.decisions.wording import markdown
from interlock.reports.figures import figure, markdown_table

SHOWN = {
    Action.GO: "GO",
    Action.SHADOW_ONLY: "SHADOW ONLY",
    Action.PAUSE_AND_FIX: "PAUSE_AND_FIX",
    Action.REJECT: "REJECT",
    Action.ROLLBACK: "ROLLBACK",
}
"""As the executives say it."""
RISK = {Verdict.PASS: "Low", Verdict.INCONCLUSIVE: "Medium", Verdict.BLOCKED: "High", Verdict.FAIL: "High"}
"""How a member's gates are read."""
_CLAIMS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("the gates of the run", "compliance", ()),
    ("files and signature", "integration", ("integration.files", "integration.schema")),
    ("low integration risk", "integration", ("integration.risk",)),
    ("latency", "latency", ("latency.target",)),
    ("service levels in shadow", "slo", ()),
    ("readiness for rollback", "rollback", ("rollback.ready",)),
)
"""What the closing line may claim, and the rows that must pass for it: by name, or all of a kind."""
NOT_HEARD = "not heard"
_ORDER = (Verdict.FAIL, Verdict.BLOCKED, Verdict.INCONCLUSIVE, Verdict.PASS)


@dataclass(frozen=True, kw_only=True)
class Member:
    """One line of the team's consensus."""

    agent: str
    said: str
    """Its vote, or `not heard`."""
    verdict: Verdict
    """Of its own gates."""
    concern: str
    """What weighs most against it; empty where nothing does."""
    policy: str
    """How it came to its vote."""
    counts: bool


def shown(action: Action) -> str:
    """An action as the executives say it."""
    return SHOWN.get(action, str(action))


def consensus(decision: Decision, reports: Sequence[ExecutiveReport]) -> tuple[Member, ...]:
    """A line for each executive, in the order of the reports."""
    votes = {vote.agent: vote for vote in decision.votes}
    return tuple(
        Member(
            agent=spelled(report.agent),
            said=shown(votes[report.agent].action) if report.agent in votes else NOT_HEARD,
            verdict=report.verdict,
            concern=_concern(report.rows),
            policy=votes[report.agent].policy if report.agent in votes else "",
            counts=report.agent in votes and votes[report.agent].counts,
        )
        for report in reports
    )


def said(member: Member) -> str:
    """A member's vote, and that it does not count where it rests on another one's evidence."""
    return member.said if member.counts or member.said == NOT_HEARD else f"{member.said} (does not count)"


def quorum_line(decision: Decision, reports: Sequence[ExecutiveReport]) -> str:
    """How many said GO, of how many, and how the votes were folded."""
    go = sum(vote.action is Action.GO and vote.counts for vote in decision.votes)
    how = "the quorum decided" if decision.policy == "quorum" else f"{decision.policy} decided, for the quorum did not"
    return f"{go} of {len(reports)} GO; {how}: {shown(decision.action)}"


def told_refusals(decision: Decision) -> tuple[str, ...]:
    """What was proposed and not taken, and why; one sentence each."""
    return tuple(
        f"{spelled(step.agent)} ({step.model or step.policy}): {step.outcome}: {step.told}"
        for step in decision.trail
        if step.outcome not in (Outcome.ANSWERED, Outcome.NOT_CONFIGURED)
    )


def closing(decision: Decision, context: DecisionContext) -> str:
    """The last line: the verdict, what was verified, and what was not."""
    verified: list[str] = []
    open_claims: list[str] = []
    for claim, kind, names in _CLAIMS:
        rows = [row for row in context.rows if _belongs(row, kind, names) and row.severity != "advise"]
        (verified if rows and _passes(rows) else open_claims).append(claim)
    told = f"verified: {', '.join(verified) or 'nothing'}"
    if open_claims:
        told += f"; not verified: {', '.join(open_claims)}"
    return f"Ops Commander Final Verdict: {shown(decision.action)} - {told}."


def next_actions(decision: Decision, context: DecisionContext) -> tuple[str, ...]:
    """The ways out of what does not pass, worst first."""
    rows = sorted((row for row in context.rows if row.verdict is not Verdict.PASS), key=_weight)
    advice: dict[str, list[str]] = {}
    for row in rows:
        if row.on_failure:
            advice.setdefault(row.on_failure, []).append(row.gate)
    found = tuple(f"{', '.join(gates)}: {told}" for told, gates in advice.items())
    if decision.action is Action.GO:
        return ("interlock registry promote asks for the approval and moves it.", *found)
    return found


def release_markdown(decision: Decision, context: DecisionContext, reports: Sequence[ExecutiveReport]) -> str:
    """`release_decision.md`. Raises DecisionError if a sentence holds a number that no evidence gives."""
    candidate, production = reports[0].candidate, reports[0].production
    members = consensus(decision, reports)
    answers_now = f"`{production.model_id}`" if production else "nothing, so this would be the first release"
    parts = [
        f"# Release: {shown(decision.action)}",
        f"`{candidate.model_id or candidate.run_id}` of lane `{decision.lane}`, run `{candidate.run_id}`. "
        f"In production: {answers_now}. All gates together: **{decision.verdict}**.",
        "## Team consensus\n\n" + _team(members),
        quorum_line(decision, reports),
        "## Reasons\n\n" + _listed(decision.reasons, decision),
    ]  # fmt: skip
    if refused := told_refusals(decision):
        parts.append("## Not taken\n\n" + "\n".join(f"- {markdown(line)}" for line in refused))
    if decision.risks:
        parts.append("## Risks, and what others say\n\n" + _listed(decision.risks, decision))
    for report in reports:
        parts.append(f"## {spelled(report.agent)}: {report.verdict}\n\n" + _rows(report.rows))
        parts += [_risk_table(report)] if report.details.get("risk") else []
    if actions := next_actions(decision, context):
        parts.append("## Next actions\n\n" + "\n".join(f"- {markdown(line)}" for line in actions))
    sources = {name: sha256 for report in reports for name, sha256 in report.sources.items()}
    files = [(f"`{name}`", f"`{sha256}`") for name, sha256 in sorted(sources.items())]
    parts.append("## Evidence\n\n" + markdown_table(("file", "sha256"), files))
    parts.append(f"**{closing(decision, context)}**")
    return "\n\n".join(parts) + "\n"


def _team(members: Iterable[Member]) -> str:
    rows = [
        (
            item.agent,
            said(item),
            str(item.verdict),
            RISK[item.verdict],
            markdown(item.concern) or "none",
            item.policy or "-",
        )
        for item in members
    ]
    return markdown_table(("agent", "vote", "its gates", "risk", "key concern", "by"), rows)


def ordered(rows: Iterable[GateResult]) -> list[GateResult]:
    """Worst first, advisory ones last."""
    return sorted(rows, key=lambda row: (row.severity == "advise", _ORDER.index(row.verdict), row.gate))


def _rows(rows: Iterable[GateResult]) -> str:
    cells = [
        (
            f"`{row.gate}`",
            f"**{row.verdict}**" + (" (advice)" if row.severity == "advise" else ""),
            figure(row.observed, row.unit),
            f"{row.comparison} {figure(row.target, row.unit)}" if row.target is not None else "yes",
            markdown(row.reason),
        )
        for row in ordered(rows)
    ]
    return markdown_table(("gate", "verdict", "observed", "target", "reason"), cells, right=(2, 3))


def _risk_table(report: ExecutiveReport) -> str:
    parts = report.details["risk"]
    assert isinstance(parts, list)
    cells = [
        (
            str(part["part"]).replace("_", " "),
            f"{part['weight']:g}",
            "not measured: 1" if part["score"] is None else f"{part['score']:.3g}",
            markdown(str(part["why"])),
        )
        for part in parts
        if isinstance(part, dict)
    ]
    level, risk = report.facts.get("integration.risk_level"), report.facts.get("integration.risk")
    head = f"Composite risk {risk:g} ({level}):" if isinstance(risk, float) else "Composite risk:"
    return f"{head}\n\n" + markdown_table(("part", "weight", "score", "why"), cells, right=(1, 2))


def _concern(rows: Iterable[GateResult]) -> str:
    against = [row for row in ordered(rows) if row.verdict is not Verdict.PASS]
    return f"{against[0].gate}: {against[0].reason}" if against else ""


def _weight(row: GateResult) -> tuple[bool, int, str]:
    return row.severity == "advise", _ORDER.index(row.verdict), row.gate


def _belongs(row: GateResult, kind: str, names: tuple[str, ...]) -> bool:
    if names:
        return row.gate in names
    if kind == "compliance":
        return "." not in row.gate or row.gate == "compliance.gates"
    return row.gate.startswith(f"{kind}.")


def _passes(rows: Iterable[GateResult]) -> bool:
    return worst(row.verdict for row in rows) is Verdict.PASS


def _listed(statements: tuple[Statement, ...], decision: Decision) -> str:
    return "\n".join(f"- {render(item.text, decision.evidence, markup='markdown')}" for item in statements)
