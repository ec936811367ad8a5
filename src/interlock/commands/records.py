"""Commands about what was run: sync, runs, registry, judge."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from interlock.commands.screen import print_json, say
from interlock.contracts.verdict import EXIT_CODES, Verdict
from interlock.errors import ExitCode, UsageError
from interlock.provenance.canonical import pretty_json
from interlock.provenance.workspace import interlock_home
from interlock.registry import queries
from interlock.registry.derive import BY_HAND
from interlock.registry.derive import rebuild as rebuilt
from interlock.registry.filters import METRICS
from interlock.registry.search import search_runs
from interlock.registry.stages import shown_stage
from interlock.reports.figures import figure
from interlock.reports.verdicts import STYLES, verdict_markdown, verdict_table

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_GATES = "lane.gates"
_RUNS_DO_WITHOUT = ("decision", "dataset", "seed", "trained")
"""What the list of runs leaves out, one after the other, where the terminal is too narrow."""
_WHOLE = frozenset({"run", "lane", "verdict", "seed", "trained", "model", "approval"})
"""Columns whose cells keep their line."""
_MODELS_DO_WITHOUT = ("sha256", "run", "promoted")
"""The same for models; the run's id ends the model's."""


def sync(workspace: Path, *, as_json: bool) -> ExitCode:
    """Archive what finished. A lane that cannot be archived is named and does not keep the others from it."""
    from interlock.runs.sync import sync as synced

    report = synced(workspace, interlock_home(workspace))
    if as_json:
        problems = {folder: str(error) for folder, error in report.problems.items()}
        print_json({"lanes": [vars(lane) for lane in report.lanes], "problems": problems})
    else:
        for lane in report.lanes:
            waiting = f"; waiting for {', '.join(lane.missing)}" if lane.missing else ""
            say(f"{lane.folder}: {lane.change}, run {lane.run_id or '-'}, {lane.events} new events{waiting}")
            if lane.tracking:
                say(f"  {lane.tracking}")
        if not report.lanes and not report.problems:
            say("nothing to archive: no stage has finished yet")
    for folder, error in report.problems.items():
        print(f"ERROR: {folder}: {error}", file=sys.stderr)
    return next((error.exit_code for error in report.problems.values()), ExitCode.PASS)


def judge(workspace: Path, run: str, overrides: Sequence[str], *, as_json: bool) -> ExitCode:
    """Judge an archived run with the gates of its lane as they are configured now, and keep the judgement.

    With overrides it is a what-if: shown, answered by exit code, and not kept. Raises UsageError for an override of
    anything but the gates, which a judgement does not depend on.
    """
    from interlock.config.compose import compose_lane
    from interlock.config.params_file import lane_overrides, read_params
    from interlock.config.validate import validate
    from interlock.registry.archive import read_card
    from interlock.runs.sync import keep_judgement
    from interlock.runs.tracked.results import track_again
    from interlock.stages.baselines import baseline_texts, beside_baselines
    from interlock.stages.verdicts import read_archived

    _refuse_other_than_gates(overrides)
    home = interlock_home(workspace)
    row = queries.find_run(home, run)
    card = read_card(home, row.run_id, verify=True)
    params = lane_overrides(read_params(workspace / "params.yaml"), card.lane)
    experiment = validate(compose_lane(workspace / "conf", [*params, *overrides]), subject=f"lane {card.lane}")
    measured = read_archived(home / "runs" / card.run_id / "models", run_id=card.run_id)
    gates = experiment.lane.gates  # type: ignore[attr-defined]
    measured = beside_baselines(measured, gates, home)
    judgement = measured.judgement(card.lane, gates)
    if overrides:
        # Beside the JSON, so that stdout stays one document.
        note = f"not kept: a what-if with {' '.join(overrides)}; change conf/ or params.yaml to keep such a judgement"
        print(note, file=sys.stderr if as_json else sys.stdout)
    else:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        kept = {"verdict.md": verdict_markdown(judgement), "gates.json": pretty_json(dict(gates))}
        keep_judgement(home, judgement, made_at=now, files=kept | baseline_texts(measured))
        composed = workspace / "params" / f"{card.lane}.yaml"
        if said := track_again(home, card.run_id, params=composed, workspace=workspace):
            print(said, file=sys.stderr)
    if as_json:
        print_json(judgement)
    else:
        head = f"{card.lane}  run {card.run_id}: {_styled(judgement.verdict)}"
        _print(head, verdict_table(judgement, width=_console().width))
    return EXIT_CODES[judgement.verdict]


def _refuse_other_than_gates(overrides: Sequence[str]) -> None:
    for override in overrides:
        key = override.lstrip("+~").partition("=")[0].strip()
        if key != _GATES and not key.startswith(f"{_GATES}."):
            raise UsageError(
                "only gates can be overridden here: an archived run is judged, never run again",
                key=key,
                hint=f"give keys of {_GATES}, such as {_GATES}.NAME.target=0.6",
            )


def list_runs(
    workspace: Path, *, expression: str = "", sort: str = "", limit: int | None = None, as_json: bool
) -> None:
    """One line per run that the filter lets through, with a column for every metric that it or the order names."""
    found = search_runs(interlock_home(workspace), expression=expression, sort=sort, limit=limit)
    if as_json:
        print_json([row.model_dump(mode="json") | dict(metrics) for row, metrics in found])
        return
    if not found:
        say("no run fits the filter" if expression else "no runs yet: dvc repro, then interlock sync")
        return
    metrics = list(found[0][1])
    names = [name.removeprefix(METRICS) for name in metrics]
    head = ("run", "lane", "verdict", "decision", "dataset", "seed", "trained", "state", *names)
    rows = [
        (
            row.run_id,
            row.lane,
            _verdict(row.verdict, row.waived) if row.verdict else "-",
            row.action or "-",
            row.dataset or "-",
            "-" if row.seed is None else str(row.seed),
            _when(row.created_at),
            row.state,
            *(figure(values[name]) for name in metrics),
        )
        for row, values in found
    ]
    _print(_fitting(head, rows, without=_RUNS_DO_WITHOUT))


def show_run(workspace: Path, run: str, *, as_json: bool) -> None:
    """Everything about one run, with the reason for every gate."""
    home = interlock_home(workspace)
    view = queries.show_run(home, run)
    if as_json:
        print_json(view)
        return
    _print_head(view.run)
    facts = _table("fact", "value")
    if view.card:
        for name, value in (
            ("trained", _when(view.run.created_at)),
            ("dataset", view.card.dataset),
            ("seed", str(view.card.seed)),
            ("commit", view.card.git_commit or "none"),
            ("model", view.run.model_id or "not exported"),
        ):
            facts.add_row(name, value)
        for told in view.card.observations.recovery:
            facts.add_row("[bold yellow]recovered[/]", _plain(told))
    facts.add_row("folder", str(home / view.path))
    for stage, attempt, ended in _shown_attempts(view):
        facts.add_row(f"{stage} attempt", f"{attempt}: {ended}")
    _print(facts)
    if view.judgements:
        _print_judgements(home, view)
    _print_decisions(view)
    if view.card:
        results = _table("metric", "value")
        for metric, result in sorted(view.card.results.items()):
            results.add_row(metric, figure(result) if isinstance(result, float) else str(result))
        _print(results)


def _print_judgements(home: Path, view: queries.RunView) -> None:
    """Every judgement, oldest first, and the gates of the one that stands."""
    from interlock.runs.review.facts import judged

    judgements = _table("verdict", "judged", "by", "judgement")
    for row in view.judgements:
        by = "interlock judge" if row.source == BY_HAND else "the pipeline"
        judgements.add_row(_styled(Verdict(row.verdict)), _minute(row.at) or "-", by, row.id)
    _print(judgements)
    standing, _, _ = judged(home, view)
    if standing:
        _print(verdict_table(standing, width=_console().width))


def _print_decisions(view: queries.RunView) -> None:
    """Every decision, oldest first, the one that stands marked; and what language models cost."""
    if view.decisions:
        table = _table("decision", "decided", "by", "model", "asked", "id")
        for row in view.decisions:
            stands = row.decision_id == view.run.decision_id
            action = f"[bold]{row.action}[/]" if stands else f"[dim]{row.action}[/]"
            by = f"{_plain(row.person)}, a person" if row.person else f"{row.policy}, {row.agent}"
            asked = "interlock decide" if row.source == BY_HAND else "the pipeline"
            table.add_row(action, _minute(row.at) or "-", by, _plain(row.model) or "-", asked, row.decision_id[:16])
        _print(table)
    if view.spent:
        table = _table("agent", "language model", "answers", "calls", "tokens in", "tokens out", "USD", "waiting")
        for spent in view.spent:
            counts = (spent.answers, spent.calls, spent.tokens_in, spent.tokens_out)
            numbers = [f"{number:,}" for number in counts]
            table.add_row(spent.agent, _plain(spent.model), *numbers, f"{spent.usd:,.4f}", f"{spent.seconds:.1f} s")
        _print(table)


def _print_head(run: queries.RunRow) -> None:
    """Which run, and how it was judged; a waiver in red."""
    verdict = _styled(Verdict(run.verdict)) if run.verdict else "not judged"
    _print(f"run [bold]{run.run_id}[/bold]  {run.lane}  {verdict}  decision {run.action or '-'}")
    if run.waived:
        _print(f"[bold red]{_plain(run.waived)}[/]")


def _shown_attempts(view: queries.RunView) -> list[tuple[str, str, str]]:
    """Stage, id and end of every attempt, oldest first.

    Of those that only the card names it is known that they completed: another home executed them.
    """
    known = {row.start.attempt for row in view.attempts}
    found = [(row.start.stage, row.start.attempt, row.end.exit if row.end else "running") for row in view.attempts]
    of_card = view.card.observations.attempts if view.card else {}
    elsewhere = [(stage, attempt, "completed") for stage, attempt in of_card.items() if attempt not in known]
    return sorted([*found, *elsewhere], key=lambda row: row[1])


def list_models(workspace: Path, *, as_json: bool) -> None:
    """One line per registered model."""
    models = queries.list_models(interlock_home(workspace))
    if as_json:
        print_json(models)
        return
    if not models:
        say("no models yet: a run is registered when its gates pass and it is exported")
        return
    rows = [
        (
            model.id,
            _stage(model),
            _verdict(model.verdict, model.waived) if model.verdict else "-",
            model.run_id,
            model.sha256[:16],
            _promoted(model),
        )
        for model in models
    ]
    _print(_fitting(("model", "stage", "verdict", "run", "sha256", "promoted"), rows, without=_MODELS_DO_WITHOUT))


def _stage(model: queries.ModelRow) -> str:
    stage = shown_stage(model.stage, model.share_percent)
    return f"{stage} [bold red]contested[/]" if model.contested_by else stage


def _promoted(model: queries.ModelRow) -> str:
    return f"{model.promoted_by} on {model.promoted_on}" if model.promoted_by else "-"


def show_model(workspace: Path, model: str, *, as_json: bool) -> None:
    """One model with its history."""
    home = interlock_home(workspace)
    view = queries.show_model(home, model)
    if as_json:
        print_json(view)
        return
    verdict = _styled(Verdict(view.model.verdict)) if view.model.verdict else "not judged"
    _print(f"[bold]{view.model.id}[/bold]  {_stage(view.model)}  {verdict}")
    if view.model.waived:
        _print(f"[bold red]{_plain(view.model.waived)}[/]")
    facts = _table("fact", "value")
    for name, value in (
        ("run", view.model.run_id),
        ("dataset", view.model.dataset),
        ("seed", str(view.model.seed)),
        ("file", str(home / view.model.path)),
        ("sha256", view.model.sha256),
        ("trained", _when(view.model.created_at)),
    ):
        facts.add_row(name, value)
    if view.model.contested_by:
        facts.add_row("contested by", ", ".join(view.model.contested_by))
    _print(facts)
    print_history(view)


def print_history(view: queries.ModelView) -> None:
    """Every stage that a model was in, oldest first."""
    rows = [
        (
            _minute(change.at),
            change.from_stage or "-",
            shown_stage(change.to_stage, change.share_percent),
            _plain(change.changed_by or "sync"),
            change.host,
            (change.approval or "-")[:12],
            _plain(change.reason),
        )
        for change in view.history
    ]
    _print(_fitting(("when (UTC)", "from", "to", "by", "on", "approval", "why"), rows, without=("on",)))


def rebuild(workspace: Path, *, as_json: bool) -> None:
    """Rebuild the index from the event log and the archive."""
    found = rebuilt(interlock_home(workspace))
    if as_json:
        print_json(vars(found))
    else:
        say("rebuilt: " + ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in vars(found).items()))


def _fitting(head: Sequence[str], rows: Sequence[Sequence[str]], *, without: Sequence[str]) -> "Table":
    """A table that leaves out columns of `without`, in that order, until the terminal holds it; then cells fold."""
    from rich.measure import Measurement

    console = _console()
    unbounded = console.options.update(width=sys.maxsize)
    for count in range(len(without) + 1):
        kept = [index for index, name in enumerate(head) if name not in without[:count]]
        table = _table(*(head[index] for index in kept))
        for row in rows:
            table.add_row(*(row[index] for index in kept))
        if Measurement.get(console, unbounded, table).maximum <= console.width:
            return table
    for column in table.columns:
        column.no_wrap = column.header == "stage"
    return table


def _table(*columns: str) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        # Ids and digests are for copying: they keep their line, everything else may fold.
        table.add_column(name, overflow="fold", no_wrap=name in _WHOLE)
    return table


def _verdict(verdict: str, waived: str) -> str:
    """The verdict, which stays what it is, and in red whether somebody waived it."""
    return _styled(Verdict(verdict)) + (" [bold red]waived[/]" if waived else "")


def _plain(words: str) -> str:
    """What a person typed, without being taken for markup."""
    from rich.markup import escape

    return escape(words)


def _styled(verdict: Verdict) -> str:
    return f"[bold {STYLES[verdict]}]{verdict}[/]"


def _print(*parts: "str | Table") -> None:
    console = _console()
    for part in parts:
        console.print(part, soft_wrap=isinstance(part, str))


def _console() -> "Console":
    from rich.console import Console

    return Console(highlight=False)


def _minute(at: str) -> str:
    """A time (UTC, ISO 8601) as lists show it."""
    return at[:16].replace("T", " ")


def _when(seconds: int | None) -> str:
    return "-" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
