"""`interlock release`: does this model go live? The executives vote, each on evidence of its own; all is recorded."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interlock.commands.screen import print_json
from interlock.contracts.decision import Action, Decision
from interlock.contracts.verdict import EXIT_CODES, Verdict
from interlock.decisions.wording import visible
from interlock.errors import ConfigError, ExitCode, Fault
from interlock.provenance.workspace import interlock_home

if TYPE_CHECKING:
    from rich.console import Console

    from interlock.contracts.experiment import Experiment
    from interlock.runs.deciding.recording import Recorded
    from interlock.runs.releasing.releasing import Released

OPEN_KEYS = ("agents", "llm", "prices", "budget", "release")
"""What an override of a decision may change; everything else belongs to the run and was fixed when it was made."""
HELD_BACK = {Action.SHADOW_ONLY: ExitCode.INCONCLUSIVE, Action.PAUSE_AND_FIX: ExitCode.BLOCKED}
"""Exit codes where every gate passes and the team does not go: a script that waits for 0 must not go either."""


def release(workspace: Path, text: str, overrides: Sequence[str], *, evidence: Path | None, as_json: bool) -> ExitCode:
    """Decide and record. The exit code is 0 for a GO alone, see `exit_code`.

    Raises UsageError for an unknown model, evidence of another release and an override that would change the run.
    """
    from interlock.runs.deciding.configured import of_experiment
    from interlock.runs.releasing.releasing import lane_of, look, record
    from interlock.runs.releasing.releasing import release as released_by
    from interlock.runs.releasing.version import find_version

    home, now = interlock_home(workspace), datetime.now(UTC)
    candidate = find_version(home, text)
    experiment = decision_experiment(workspace, lane_of(candidate), overrides)
    situation = look(candidate, workspace, experiment=experiment, evidence=evidence, now=now)
    released = released_by(situation, of_experiment(experiment))
    recorded = record(released, made_at=now.isoformat(timespec="seconds"))
    if as_json:
        print_json(as_values(released, recorded, home))
    else:
        _show(released, recorded, home)
    return exit_code(released.decision)


def exit_code(decision: Decision) -> ExitCode:
    """That of all gates together; where they pass and the votes hold it back all the same, that of the vote."""
    if decision.verdict is Verdict.PASS and decision.action is not Action.GO:
        return HELD_BACK.get(decision.action, ExitCode.FAIL)
    return EXIT_CODES[decision.verdict]


def decision_experiment(workspace: Path, lane: str, overrides: Sequence[str]) -> "Experiment":
    """The lane's configuration with overrides of who decides and how.

    Raises ConfigError for an override of anything else, and for what does not compose.
    """
    from interlock.config.compose import compose_lane
    from interlock.config.params_file import lane_overrides, read_params
    from interlock.config.validate import validate

    faults = [
        Fault(key=text.partition("=")[0], problem="is no part of a decision", value=text, allowed=OPEN_KEYS)
        for text in overrides
        if text.lstrip("+~").partition("=")[0].partition(".")[0].partition("@")[0] not in OPEN_KEYS
    ]
    if faults:
        hint = "what a run is made of is changed by a new run: interlock run"
        raise ConfigError(faults, subject="overrides of a decision", hint=hint)
    spelled = [*lane_overrides(read_params(workspace / "params.yaml"), lane), *overrides]
    return validate(compose_lane(workspace / "conf", spelled), subject=f"lane {lane}")


def as_values(released: "Released", recorded: "Recorded", home: Path) -> dict[str, Any]:
    """For scripts."""
    from interlock.reports.releases import closing, consensus, next_actions, told_refusals

    decision = released.decision
    return {
        "action": decision.action.value,
        "verdict": decision.verdict.value,
        "policy": decision.policy,
        "decision_id": decision.decision_id,
        "model": released.situation.candidate.identity.model_dump(mode="json"),
        "votes": [vars(member) for member in consensus(decision, released.reports)],
        "not_taken": told_refusals(decision),
        "reports": [report.model_dump(mode="json") for report in released.reports],
        "next_actions": next_actions(decision, released.context),
        "closing": closing(decision, released.context),
        "spent": released.spent.model_dump(mode="json"),
        "folder": recorded.folder.relative_to(home).as_posix(),
        "events": recorded.events,
    }


def _show(released: "Released", recorded: "Recorded", home: Path) -> None:
    from rich.console import Console

    from interlock.reports.releases import closing, next_actions, quorum_line, shown, told_refusals
    from interlock.reports.verdicts import STYLES

    console, decision = Console(highlight=False), released.decision
    candidate, production = released.situation.candidate, released.situation.production
    style = STYLES[decision.verdict]
    console.print(f"[bold]{shown(decision.action)}[/bold]  [bold {style}]{decision.verdict}[/]", soft_wrap=True)
    against = f"in production: {production.name}" if production else "nothing is in production"
    _line(console, f"{candidate.name}, lane {released.situation.lane}; {against}")
    _show_team(console, released)
    _line(console, quorum_line(decision, released.reports))
    for told in told_refusals(decision):
        _line(console, f"not taken: {told}", style="yellow")
    console.print()
    _show_evidence(console, released)
    console.print()
    for told in next_actions(decision, released.context):
        _line(console, f"next: {told}")
    if released.spent.calls:
        spent = released.spent
        _line(console, f"spent: {spent.calls} calls, {spent.tokens} tokens, {spent.usd:.4f} USD")
    for told in released.warnings:
        _line(console, f"budget: {told}", style="yellow")
    _line(console, f"recorded: {(recorded.folder / 'release_decision.md').relative_to(home)}", style="dim")
    console.print(f"\n[bold]{closing(decision, released.context)}[/bold]", markup=True, soft_wrap=True)


def _show_team(console: "Console", released: "Released") -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from interlock.reports.releases import RISK, consensus, said
    from interlock.reports.verdicts import STYLES

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("agent", "vote", "its gates", "risk", "by", "key concern"):
        table.add_column(name, no_wrap=name != "key concern")
    for member in consensus(released.decision, released.reports):
        verdict = Text(member.verdict.value, style=f"bold {STYLES[member.verdict]}")
        cells = (Text(RISK[member.verdict]), Text(member.policy or "-"), Text(visible(member.concern) or "none"))
        table.add_row(Text(member.agent), Text(said(member), style="bold"), verdict, *cells)
    console.print(table)


def _show_evidence(console: "Console", released: "Released") -> None:
    """The rows of each executive that do not pass, and how many do."""
    from rich.table import Table
    from rich.text import Text

    from interlock.contracts.spelling import spelled
    from interlock.contracts.verdict import Verdict
    from interlock.reports.releases import ordered
    from interlock.reports.verdicts import STYLES

    for report in released.reports:
        rows = [row for row in ordered(report.rows) if row.verdict is not Verdict.PASS]
        passed = len(report.rows) - len(rows)
        _line(console, f"{spelled(report.agent)}: {passed} of {len(report.rows)} gates pass", style="bold")
        if not rows:
            continue
        table = Table(box=None, pad_edge=False, show_header=False)
        for row in rows:
            verdict = Text(row.verdict.value, style=STYLES[row.verdict])
            verdict.append(" (advice)" if row.severity == "advise" else "", style="dim")
            table.add_row(Text(f"  {row.gate}"), verdict, Text(visible(row.reason)))
        console.print(table)


def _line(console: "Console", text: str, *, style: str | None = None) -> None:
    console.print(visible(text), markup=False, soft_wrap=True, style=style)
