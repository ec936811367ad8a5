"""`interlock answer`: several lane reports into the answer to a job, read from the judgements behind them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from interlock.commands.release import decision_experiment
from interlock.commands.screen import print_json
from interlock.contracts.verdict import EXIT_CODES
from interlock.decisions.wording import visible
from interlock.errors import ExitCode, UsageError
from interlock.provenance.workspace import interlock_home

if TYPE_CHECKING:
    from interlock.runs.answering.answering import Answered
    from interlock.runs.answering.lanes import LaneFound


def answer(workspace: Path, words: Sequence[str], *, jobs: Sequence[str], as_json: bool) -> ExitCode:
    """Answer and record. `words` are lanes and, where they have a `=`, overrides; the code is the folded verdict's.

    Raises UsageError for an unknown lane or job, and for lanes and job cards at once.
    """
    from interlock.runs.answering.answering import answer as answered_by
    from interlock.runs.answering.answering import write
    from interlock.runs.deciding.configured import of_experiment

    lanes, overrides = [word for word in words if "=" not in word], [word for word in words if "=" in word]
    if lanes and jobs:
        hint = "name lanes of params.yaml, or job cards with --job"
        raise UsageError("lanes and job cards are two kinds of jobs", key="--job", value=list(jobs), hint=hint)
    home, known = interlock_home(workspace), _lanes(workspace)
    found = _cards(home, workspace, jobs) if jobs else _dvc_lanes(workspace, lanes or known, known=known)
    experiment = decision_experiment(workspace, known[0], overrides)
    answered = answered_by(home, found, of_experiment(experiment))
    folder = write(home, answered, made_at=datetime.now(UTC).isoformat(timespec="seconds"))
    if as_json:
        where = folder.relative_to(home).as_posix()
        print_json({**answered.answer.model_dump(mode="json"), "folder": where})
    else:
        _show(answered, folder / "job_answer.yaml", home)
    return EXIT_CODES[answered.decision.verdict]


def _cards(home: Path, workspace: Path, jobs: Sequence[str]) -> "list[LaneFound]":
    from interlock.runs.answering.lanes import card_lane

    return [card_lane(home, workspace, job) for job in jobs]


def _dvc_lanes(workspace: Path, lanes: Sequence[str], *, known: Sequence[str]) -> "list[LaneFound]":
    from interlock.config.freshness import stale_reason
    from interlock.provenance.environment import environment_digest
    from interlock.runs.answering.lanes import LaneFound, dvc_lane

    if unknown := [lane for lane in lanes if lane not in known]:
        hint = f"params.yaml has {', '.join(known)}"
        raise UsageError("no such lane in params.yaml", key="LANE", value=unknown[0], hint=hint)
    if stale := stale_reason(workspace):
        return [LaneFound(name=lane, problem=f"{stale}; run dvc repro") for lane in lanes]
    environment = environment_digest(workspace)
    return [dvc_lane(workspace, lane, environment=environment) for lane in lanes]


def _lanes(workspace: Path) -> list[str]:
    from interlock.config.params_file import read_params

    return [str(lane) for lane in read_params(workspace / "params.yaml")["lanes"]]


def _show(answered: "Answered", file: Path, home: Path) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from interlock.reports.releases import told_refusals
    from interlock.reports.verdicts import STYLES

    console, said = Console(highlight=False), answered.answer
    style = STYLES[said.verdict]
    console.print(f"[bold]{said.action}[/bold]  [bold {style}]{said.verdict}[/]  {said.job}", soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("lane", "verdict", "state", "its director", "run", "why"):
        table.add_column(name, no_wrap=name != "why")
    for lane, row in zip(said.lanes, answered.context.rows, strict=True):
        verdict = Text(lane.verdict.value, style=f"bold {STYLES[lane.verdict]}")
        why = Text(visible(row.reason.removeprefix(f"{lane.lane}: ")))
        table.add_row(Text(lane.lane), verdict, lane.state, lane.action or "-", lane.run_id or "-", why)
    console.print(table)
    in_table = {row.reason for row in answered.context.rows}
    for reason in (item for item in said.reasons if item not in in_table):
        console.print(visible(f"because {reason}"), markup=False, soft_wrap=True)
    for told in told_refusals(answered.decision):
        console.print(visible(f"not taken: {told}"), markup=False, soft_wrap=True, style="yellow")
    for remark in (item for item in said.remarks if not any(item in reason for reason in said.reasons)):
        console.print(visible(f"remark: {remark}"), markup=False, soft_wrap=True)
    for warning in answered.warnings:
        console.print(f"budget: {warning}", markup=False, soft_wrap=True, style="yellow")
    took = said.actuals
    console.print(
        f"it took {took.duration_mins:g} min, {took.tokens} tokens, {took.cost_usd:g} USD; decided by {said.policy}"
    )
    console.print(f"recorded: {file.relative_to(home)}", style="dim", markup=False, soft_wrap=True)
