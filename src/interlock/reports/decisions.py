"""A decision as people read it, `decision.md`, and the texts that are kept with it.

    decision_texts(decision, context)     context.json  settings.json  decision.json  decision.md

Every number of a sentence is filled in from the evidence; words of a model, a person or a lane are escaped, so that
they are text and nothing else. Nothing here holds a time: the same decision gives the same bytes.
"""

import json

from interlock.contracts.answer import Outcome, Usage
from interlock.contracts.decision import Decision, DecisionContext, Evidence, Statement, Step, Vote
from interlock.contracts.spelling import spelled
from interlock.decisions.evidence import render, shown
from interlock.decisions.settings import SETTINGS, settings_of
from interlock.decisions.wording import markdown, visible
from interlock.provenance.canonical import pretty_json
from interlock.reports.figures import markdown_table

CONTEXT = "context.json"
DECISION = "decision.json"
DECISION_PAGE = "decision.md"

POLICIES = {
    "rules": "the rules",
    "llm": "a language model",
    "quorum": "a quorum",
    "person": "a person",
}
"""Who decided, as people call it."""
_ENDED: dict[Outcome, str] = {
    Outcome.ANSWERED: "its proposal was taken",
    Outcome.MALFORMED: "its answer was no JSON",
    Outcome.SCHEMA: "its answer had another form than was asked for",
    Outcome.GUARD: "its proposal was refused: it stepped outside of what is allowed",
    Outcome.REFUSED: "it declined to answer",
    Outcome.EMPTY: "its answer was empty",
    Outcome.TRUNCATED: "its answer was cut off",
    Outcome.TOO_LARGE: "its answer was larger than any may be",
    Outcome.TIMEOUT: "it did not answer in time",
    Outcome.RATE_LIMITED: "it allowed no more requests",
    Outcome.SERVER_ERROR: "its server failed",
    Outcome.REJECTED: "the provider did not accept the call",
    Outcome.UNREACHABLE: "it could not be reached",
    Outcome.NO_KEY: "it was not asked: there is no API key",
    Outcome.OVER_BUDGET: "it was not asked: the budget does not allow it",
    Outcome.OVER_WINDOW: "it was not asked: the facts do not fit into its window",
    Outcome.NOT_RECORDED: "it was not asked: replay found no recorded answer",
    Outcome.NOT_CONFIGURED: "none was asked",
    Outcome.WAITING: "nobody has said anything yet",
    Outcome.NOT_HEARD: "a member did not vote",
}
_TOLD_CHARS_MAX = 400
_VALUE_CHARS_MAX = 100


def decision_texts(decision: Decision, context: DecisionContext) -> dict[str, str]:
    """The files of a decision by name, the same wherever it was made. `lane_report.yaml` is the stage's own."""
    return {
        CONTEXT: pretty_json(context),
        SETTINGS: settings_of(context).text,
        DECISION: pretty_json(decision),
        DECISION_PAGE: decision_markdown(decision, context),
    }


def decision_markdown(decision: Decision, context: DecisionContext | None = None) -> str:
    """The page; with the context also the values that overrides replace.

    Raises DecisionError if a sentence holds a number that no evidence gives.
    """
    sections = (
        ("Reasons", _listed(decision.reasons, decision)),
        ("Proposed overrides", _overrides(decision, context)),
        ("Risks", _listed(decision.risks, decision)),
        ("Votes", _votes(decision)),
        ("How it was decided", _trail(decision)),
        ("Spend", _spend(decision.usage)),
        ("Evidence", _evidence(decision.evidence)),
    )
    told = [f"## {title}\n\n{text}" for title, text in sections if text]
    return "\n\n".join([f"# Decision: {decision.action}", _head(decision), *told]) + "\n"


def told_step(step: Step) -> str:
    """One step of a trail as a sentence, in plain text: who was asked, how that ended, and why."""
    who = step.model or POLICIES.get(step.policy, step.policy)
    ended = _ENDED.get(step.outcome, str(step.outcome).replace("_", " "))
    told = visible(step.told)
    told = told if len(told) <= _TOLD_CHARS_MAX else f"{told[: _TOLD_CHARS_MAX - 1]}…"
    if step.outcome is Outcome.ANSWERED and told:
        return f"{spelled(step.agent)}, {who}: {ended} ({told})"
    return f"{spelled(step.agent)}, {who}: {ended}" + (f": {told}" if told else "")


def spent(usage: Usage) -> str:
    """What calls cost, in words; empty where nothing was called."""
    if not usage.calls:
        return ""
    calls = f"{usage.calls} call{'s' if usage.calls != 1 else ''}"
    return f"{calls}, {usage.tokens:,} tokens, ${usage.usd:.4f}, {usage.seconds:.1f} s"


def _head(decision: Decision) -> str:
    what = (
        f"Job {_code(decision.job)}" if decision.job else f"Lane {_code(decision.lane)}, run {_code(decision.run_id)}"
    )
    by = POLICIES.get(decision.policy, decision.policy)
    if decision.policy == "person" and decision.person:
        by = markdown(decision.person)
    elif decision.policy == "llm" and decision.trail:
        by = _code(decision.trail[-1].model)
    who = f"Decided by {by} for {spelled(decision.agent)}, confidence **{decision.confidence}**."
    if decision.trail and all(step.outcome is Outcome.NOT_CONFIGURED for step in decision.trail):
        who += f" No language model was asked: {markdown(decision.trail[-1].told)}."
    return f"{what}, verdict **{decision.verdict}**.\n{who}"


def _listed(statements: tuple[Statement, ...], decision: Decision) -> str:
    return "\n".join(f"- {render(item.text, decision.evidence, markup='markdown')}" for item in statements)


def _overrides(decision: Decision, context: DecisionContext | None) -> str:
    if not decision.proposed_overrides:
        return ""
    present = context.current if context else {}
    rows = [
        (_code(key), _number(present.get(key)), _number(value))
        for key, value in sorted(decision.proposed_overrides.items())
    ]
    overrides = " ".join(f"{key}={value!r}" for key, value in sorted(decision.proposed_overrides.items()))
    table = markdown_table(("key", "now", "proposed"), rows, right=(1, 2))
    return f"{table}\n\nAs overrides of this run: {_code(overrides)}"


def _votes(decision: Decision) -> str:
    if not decision.votes:
        return ""
    header = ("member", "vote", "its gates", "confidence", "decided by", "counts")
    rows = [
        (
            spelled(vote.agent), f"**{vote.action}**", str(vote.verdict), vote.confidence,
            POLICIES.get(vote.policy, _cell(vote.policy)), "yes" if vote.counts else "no: same evidence as another",
        )
        for vote in decision.votes
    ]  # fmt: skip
    said = [_said(vote, decision) for vote in decision.votes]
    return "\n\n".join([markdown_table(header, rows), *said])


def _said(vote: Vote, decision: Decision) -> str:
    lines = [f"**{spelled(vote.agent)}**: {vote.action}", ""]
    for kind, statements in (("", vote.reasons), ("Risk: ", vote.risks)):
        lines += [f"- {kind}{_cited(item, decision)}" for item in statements]
    return "\n".join(lines)


def _cited(statement: Statement, decision: Decision) -> str:
    """A member's sentence; its evidence is kept with the decision as far as the decision cites it."""
    known = {item.id for item in decision.evidence}
    if set(statement.evidence) <= known:
        return render(statement.text, decision.evidence, markup="markdown")
    return markdown(statement.text)


def _trail(decision: Decision) -> str:
    """Every attempt in order, then who decided in the end; that no model is configured is told in the head."""
    if all(step.outcome is Outcome.NOT_CONFIGURED for step in decision.trail):
        return ""
    lines = [f"{number}. {line}" for number, line in enumerate(map(_step, decision.trail), start=1)]
    if decision.policy != "llm" or decision.trail[-1].outcome is not Outcome.ANSWERED:
        lines.append(f"{len(lines) + 1}. Then {POLICIES.get(decision.policy, decision.policy)} decided.")
    return "\n".join(lines)


def _step(step: Step) -> str:
    told = markdown(told_step(step)) + "."
    if step.proposal and step.outcome is not Outcome.ANSWERED:
        told += f" It proposed {_code(_proposed(step))}."
    if cost := spent(step.usage):
        told += f" ({cost.replace('$', chr(92) + '$')})"
    if step.left_out:
        told += f" {len(step.left_out)} facts did not fit into its window."
    return told


def _proposed(step: Step) -> str:
    proposal = step.proposal or {}
    kept = {name: proposal[name] for name in ("action", "proposed_overrides") if proposal.get(name)}
    text = json.dumps(kept or proposal, ensure_ascii=True, sort_keys=True)
    return text if len(text) <= _TOLD_CHARS_MAX else f"{text[: _TOLD_CHARS_MAX - 3]}..."


def _spend(usage: Usage) -> str:
    if not usage.calls:
        return ""
    header = ("calls", "tokens in", "tokens out", "US dollars", "seconds")
    row = (
        str(usage.calls), f"{usage.tokens_in:,}", f"{usage.tokens_out:,}", f"{usage.usd:.4f}", f"{usage.seconds:.1f}",
    )  # fmt: skip
    return markdown_table(header, [row], right=tuple(range(len(header))))


def _evidence(items: tuple[Evidence, ...]) -> str:
    rows = [(_code(item.id), _cell(_short(item)), _code(_place(item.pointer))) for item in items]
    table = markdown_table(("fact", "value", "stands in"), rows)
    return f"{table}\n\nDigests are cut to twelve digits here; `{DECISION}` has all of them."


def _short(item: Evidence) -> str:
    text = shown(item.value)
    return text if len(text) <= _VALUE_CHARS_MAX else f"{text[: _VALUE_CHARS_MAX - 1]}…"


def _place(pointer: str) -> str:
    place, at, digest = pointer.rpartition("@sha256:")
    return f"{place}@{digest[:12]}" if at else pointer


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"


def _cell(text: str) -> str:
    """Escaped for a cell; `markdown_table` escapes the pipes."""
    return markdown(text).replace("\\|", "|")


def _code(text: str) -> str:
    """A code span that its text cannot leave."""
    return f"`{visible(text).replace('`', chr(39))}`"
