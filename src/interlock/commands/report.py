"""`interlock report`: write the HTML page of the workspace's lanes, or of the runs that are named."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import interlock
from interlock.commands.screen import print_json, say
from interlock.config.params_file import PARAMS, read_params
from interlock.contracts.verdict import Verdict
from interlock.errors import InterlockError, UsageError
from interlock.provenance.files import write_atomic
from interlock.provenance.workspace import interlock_home
from interlock.registry import queries
from interlock.reports.page import run_page
from interlock.reports.run_facts import RunFacts
from interlock.runs.review.facts import run_facts
from interlock.stages.place import Place, load_record, read_composed

PAGE = "report.html"
_ID_DIGITS = 8


def report(workspace: Path, runs: Sequence[str], *, out: Path | None, show: bool, as_json: bool) -> None:
    """Write the page and say where it is. Without run ids: the present run of every lane of params.yaml.

    Raises UsageError when there is nothing to show, or a run is not known.
    """
    home = interlock_home(workspace)
    named = tuple(dict.fromkeys(queries.find_run(home, run).run_id for run in runs))
    chosen = named or _present_runs(workspace, home)
    facts = [run_facts(home, run_id, workspace=workspace) for run_id in chosen]
    title, subtitle = ("Runs" if len(facts) > 1 else f"Run {facts[0].run_id}", "") if named else _experiment(workspace)
    path = out or _default_path(home, named)
    html = run_page(facts, title=title, subtitle=subtitle, version=interlock.__version__)
    write_atomic(path, html)
    for item in facts:
        if item.problem:
            print(f"WARNING: run {item.run_id} cannot be trusted: {item.problem}", file=sys.stderr)
    if as_json:
        print_json({"path": str(path), "size_bytes": len(html.encode()), "runs": [_row(item) for item in facts]})
    else:
        say(f"report: {path} ({', '.join(f'{item.view.run.lane} {_verdict(item)}' for item in facts)})")
    if show:
        _open(path)


def _open(path: Path) -> None:
    """Show the page in the person's browser; without one the path that was printed is enough."""
    import webbrowser

    webbrowser.open(path.resolve().as_uri())


def _present_runs(workspace: Path, home: Path) -> tuple[str, ...]:
    """Per lane the run that its stages hold now; else its newest archived one."""
    rows = queries.list_runs(home)
    found = []
    for lane in _lanes(workspace):
        present = _run_of_stages(workspace, lane)
        of_lane = [row.run_id for row in rows if row.lane == lane]
        found += [present] if present in of_lane else of_lane[:1]
    if not found:
        raise UsageError(
            "there is no archived run to report", path=home / "runs", hint="dvc repro, then interlock sync"
        )
    return tuple(str(run_id) for run_id in dict.fromkeys(found))


def _lanes(workspace: Path) -> list[str]:
    return [str(lane) for lane in read_params(workspace / PARAMS)["lanes"]]


def _run_of_stages(workspace: Path, lane: str) -> str | None:
    try:
        return load_record(Place.of_workspace(workspace, lane).folder / "train").run_id
    except InterlockError:
        return None


def _experiment(workspace: Path) -> tuple[str, str]:
    """Name and hypothesis, as composed for the first lane; the page does without where nothing is composed."""
    try:
        config = read_composed(Place.of_workspace(workspace, _lanes(workspace)[0]).params)
    except InterlockError:
        return "Experiment", ""
    block: Mapping[str, Any] = config.get("experiment", {})
    return str(block.get("name", "Experiment")), " ".join(str(block.get("hypothesis", "")).split())


def _default_path(home: Path, runs: Sequence[str]) -> Path:
    if not runs:
        return home / PAGE
    return home / "reports" / f"{'_'.join(run_id[:_ID_DIGITS] for run_id in runs[:6])}.html"


def _row(facts: RunFacts) -> dict[str, Any]:
    return {"run_id": facts.run_id, "lane": facts.view.run.lane, "verdict": facts.verdict, "problem": facts.problem}


def _verdict(facts: RunFacts) -> str:
    if facts.problem:
        return "cannot be trusted"
    return facts.verdict.value if isinstance(facts.verdict, Verdict) else facts.view.run.state
