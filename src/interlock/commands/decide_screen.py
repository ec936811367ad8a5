"""How `interlock decide` looks: what was decided, why, what was tried, what it cost, and where it is kept."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from interlock.contracts.answer import Outcome
from interlock.contracts.decision import Action, Decision, Statement, Step
from interlock.contracts.llm import NoModel
from interlock.decisions.evidence import render, shown
from interlock.registry.decided import DecisionRow
from interlock.reports.sections.decided import cost_text, ended, who
from interlock.reports.verdicts import STYLES

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from interlock.runs.deciding.deciding import Decided
    from interlock.runs.deciding.recording import Recorded
    from interlock.runs.deciding.replaying import Replayed

Line = tuple[str, "Text | str"]
_NOT_TAKEN = "red"
_DIGITS = 12
"""Of a decision's id: what `interlock why` and `runs show` tell, and what a whole one breaks the line for."""


def show_decided(decided: "Decided", recorded: "Recorded", *, home: Path, pipeline: str = "") -> None:
    """A decision that was just made. `pipeline`: the id of the one that DVC's stage holds of this run."""
    from rich.text import Text

    decision, console = decided.decision, _console()
    console.print(_head(decision), soft_wrap=True)
    lines: list[Line] = [("by", _by(decided)), *_why(decision, decided.context.current)]
    tried = decision.trail if _is_configured(decided) else _worth_telling(decision.trail)
    lines += [("tried", _step(step, was_asked=decided.was_asked(step))) for step in tried]
    if len(decision.trail) > 1 and decision.usage.calls:
        now = "together" if decided.spent == decision.usage else f"now {cost_text(decided.spent)}; together"
        lines.append(("spent", f"{now} {cost_text(decision.usage)}"))
    lines += [("warning", Text(text, style="yellow")) for text in decided.warnings]
    kept = f"{recorded.folder.parent.relative_to(home).as_posix()}/{recorded.folder.name[:_DIGITS]}..."
    lines.append(("kept", f"{kept}{'' if recorded.events else ' (it was recorded before)'}"))
    lines += [("next", text) for text in _next(decided, pipeline)]
    console.print(_table(lines))


def show_replayed(row: DecisionRow, decision: Decision, found: "Replayed") -> None:
    """Whether the same came out."""
    from rich.text import Text

    console = _console()
    console.print(_head(decision), soft_wrap=True)
    rests = f"from its context and {found.answers} recorded answer{'s' if found.answers != 1 else ''}"
    if found.same:
        console.print(
            f"[bold green]the same bytes[/] {rests}: decision {row.id[:12]}, made {row.at[:16].replace('T', ' ')} UTC"
        )
        return
    console.print(f"[bold red]another decision[/] {rests}: {row.id[:12]} differs in")
    for text in found.differences:
        console.print(Text(f"  {text}", style="red"), soft_wrap=True)
    console.print(
        "  way out: interlock verify and interlock why say whether a file was changed; else another version of "
        "Interlock made it",
        soft_wrap=True,
    )


def _head(decision: Decision) -> "Text":
    from rich.text import Text

    verdict = decision.verdict
    head = Text.assemble(
        (decision.lane, "bold"), f"  run {decision.run_id}  ", (str(verdict), f"bold {STYLES[verdict]}")
    )
    head.append("  →  ")
    return head.append(decision.action.value.replace("_", " "), style="bold")


def _by(decided: "Decided") -> str:
    decision = decided.decision
    why = ""
    if decision.policy == "rules" and decision.trail:
        is_configured = _is_configured(decided)
        why = "; no model gave a decision that holds" if is_configured else "; no language model is configured"
    taken = [step for step in decision.trail if step.outcome is Outcome.ANSWERED]
    if decision.policy == "llm" and taken:
        why = ", asked just now" if decided.was_asked(taken[-1]) else ", replayed from its recorded answer"
    return f"{who(decision)}, confidence {decision.confidence}{why}"


def _is_configured(decided: "Decided") -> bool:
    return not isinstance(decided.configured.llm, NoModel)


def _why(decision: Decision, current: "dict[str, int | float]") -> Iterator[Line]:
    yield from (("why", _told(item, decision)) for item in decision.reasons)
    for key, value in sorted(decision.proposed_overrides.items()):
        now = f"{shown(current[key])} → " if key in current else ""
        yield "change", f"{key}  {now}{shown(value)}"
    yield from (("risk", _told(item, decision)) for item in decision.risks)
    for vote in decision.votes:
        counts = "" if vote.counts else " (does not count)"
        yield "vote", f"{vote.agent}: {vote.action.value.replace('_', ' ')}{counts}, {vote.confidence}"


def _told(statement: Statement, decision: Decision) -> str:
    return render(statement.text, decision.evidence)


def _worth_telling(trail: Sequence[Step]) -> list[Step]:
    """Every step but the one that says that no model is configured: the line above says so."""
    return [step for step in trail if step.outcome is not Outcome.NOT_CONFIGURED]


def _step(step: Step, *, was_asked: bool) -> "Text":
    from rich.text import Text

    is_good = step.outcome is Outcome.ANSWERED
    said = Text.assemble((step.model or step.policy, "bold"), "  ")
    said.append(ended(step.outcome), style="green" if is_good else _NOT_TAKEN)
    if step.calls:
        said.append("  asked," if was_asked else "  replayed; when it was asked", style="dim")
        said.append(f" {cost_text(step.usage)}", style="dim")
    if step.told:
        said.append(f"\n{step.told}", style="" if is_good else _NOT_TAKEN)
    return said


def _next(decided: "Decided", pipeline: str) -> Iterator[str]:
    decision, run = decided.decision, decided.decision.run_id[:8]
    if decision.action is Action.RETRAIN:
        values = " ".join(f"{key}={value!r}" for key, value in sorted(decision.proposed_overrides.items()))
        yield (
            f"interlock drive lane={decision.lane} with the other overrides of this run, if it had any, goes on from "
            f"here; or interlock run the same with {values}"
        )
    elif decision.action is Action.ESCALATE:
        others = [action.value for action in decided.context.allowed if action not in (Action.ESCALATE, Action.WAIVE)]
        values = ", with --set KEY=VALUE to retrain" if Action.RETRAIN in decided.context.allowed else ""
        yield f"interlock decide {run} --as NAME --action {' | '.join(others)} --reason WHY{values}"
        if Action.WAIVE in decided.context.allowed:
            yield f"interlock waive {run} --by NAME --reason WHY"
    yield f"interlock why {run}"
    if keys := _without_key(decided):
        yield f"set {', '.join(keys)} in the environment and decide again: the model is asked then"
    if decided.asked and pipeline not in ("", decision.decision_id):
        yield "the pipeline decides by params.yaml: with the same llm there, dvc repro replays this"


def _without_key(decided: "Decided") -> list[str]:
    """Variables that hold no key, where that kept every model from being asked."""
    steps, models = decided.decision.trail, decided.configured.llm
    if isinstance(models, NoModel) or any(step.outcome is not Outcome.NO_KEY for step in steps):
        return []
    tried = {step.model for step in steps}
    named = (model.key_env for model in models.models.values() if f"{model.provider}/{model.model}" in tried)
    return sorted({name for name in named if name})


def _table(lines: Sequence[Line]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    before = ""
    for label, said in lines:
        table.add_row("" if label == before else label, said if isinstance(said, Text) else Text(said))
        before = label
    return table


def _console() -> "Console":
    from rich.console import Console

    return Console(highlight=False)
