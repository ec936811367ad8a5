"""The ranking of a sweep as tables for the terminal. Every number comes from `ranking.json`."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from interlock.contracts.sweep import LaneRanking, Ranking
from interlock.reports.figures import figure, interval
from interlock.reports.verdicts import STYLES

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

WIDE = 120
"""Columns of a terminal from which every column of a ranking has room."""
MEDIUM = 90
"""Columns from which a short run id has room."""
_SHORT_ID = 8
_OTHER_STYLES = {"failed": "red", "pruned": "yellow", "duplicate": "dim", "waiting": "magenta"}


def ranking_table(lane: LaneRanking, ranking: Ranking, *, width: int = WIDE) -> "Table":
    """The finished runs of one lane, best first; ties with the best are marked.

    In a terminal of fewer columns than `WIDE` run ids are shortened to what other commands take for one; below
    `MEDIUM` the runs are known by their job alone.
    """
    from rich.text import Text

    short = shortened([run.label for run in lane.runs])
    same = bool(ranking.objective and lane.by and ranking.objective.metric == lane.by.metric)
    wide = width >= WIDE
    objective = (wide or ranking.objective) and not same and any(run.objective is not None for run in lane.runs)
    name = ranking.objective.metric if ranking.objective else "validation loss"
    table = _table("rank", "job", "varies", lane.by.metric if lane.by else "-", "95 % interval", "")
    if objective:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    if width >= MEDIUM:
        table.add_column("run", no_wrap=True)
    for run in lane.runs:
        ends = None if run.low is None or run.high is None else (run.low, run.high)
        star = " *" if run.number == ranking.best_number else "  " if ranking.objective else ""
        table.add_row(
            Text(str(run.rank)),
            Text(str(run.number)),
            Text(short[run.label]),
            Text(figure(run.value, lane.unit) + (star if same else "")),
            Text(interval(ends)),
            _tie(first=run.rank == 1, tie=run.ties_with_best),
            *([Text(figure(run.objective) + star)] if objective else []),
            Text(run.verdict.value, style=STYLES[run.verdict]),
            *([Text(run.run_id if wide else run.run_id[:_SHORT_ID])] if width >= MEDIUM else []),
        )
    return table


def seed_table(lane: LaneRanking) -> "Table":
    """The same by configuration, where seeds were swept."""
    from rich.text import Text

    short = shortened([group.label for group in lane.groups])
    table = _table("rank", "configuration", "seeds", "mean", "sd", "95 % of the mean", "")
    for group in lane.groups:
        ends = None if group.low is None or group.high is None else (group.low, group.high)
        table.add_row(
            Text(str(group.rank)),
            Text(short[group.label]),
            Text(str(len(group.numbers))),
            Text(figure(group.mean, lane.unit)),
            Text(figure(group.deviation)),
            Text(interval(ends)),
            _tie(first=group.rank == 1, tie=group.ties_with_best),
        )
    return table


def other_table(ranking: Ranking) -> "Table":
    """Jobs without a place in the ranking, with the reason."""
    from rich.text import Text

    short = shortened([job.label for job in ranking.others])
    table = _table("job", "varies", "ended", "reason")
    for job in ranking.others:
        status = Text(job.status, style=_OTHER_STYLES[job.status])
        table.add_row(Text(str(job.number)), Text(short[job.label]), status, Text(job.reason))
    return table


def notes(ranking: Ranking) -> list[str]:
    """What a reader of the tables must know, one sentence each."""
    lines = []
    for lane in ranking.lanes:
        ties = sum(run.ties_with_best for run in lane.runs) - 1
        if lane.by and ties > 0:
            whose = f"{ties} run{'s' if ties > 1 else ''} of {lane.lane}"
            lines.append(f"{whose} cannot be told from the first: their intervals overlap, the order may be luck.")
        if lane.by and lane.split == "test" and len(lane.runs) > 1:
            lines.append(f"{lane.by.metric} is measured on test data: it compares. {_advice(lane.by.metric, ranking)}")
    if ranking.objective:
        lines.append(f"* the job with the best {ranking.objective.metric} ({ranking.objective.goal}d).")
    return lines


def _advice(metric: str, ranking: Ranking) -> str:
    if ranking.objective and ranking.objective.metric == metric:
        return "The search chose by it, so its best looks better than it is: prove it on fresh data."
    return "A choice made by it needs fresh data for its proof."


def shortened(labels: Sequence[str]) -> dict[str, str]:
    """Labels for a table: the last word of each key where that is enough to tell keys apart, numbers in four digits."""
    keys = {text.partition("=")[0] for label in labels for text in label.split(" ")}
    last = [key.rpartition(".")[2] for key in keys]
    names = {key: word if last.count(word) == 1 else key for key in keys if (word := key.rpartition(".")[2])}
    return {label: " ".join(_short(text, names) for text in label.split(" ")) for label in labels}


def _short(text: str, names: Mapping[str, str]) -> str:
    key, equals, value = text.partition("=")
    with suppress(ValueError):  # not a number: a name, a list
        value = f"{float(value):.4g}" if "." in value or "e" in value else value
    return f"{names.get(key, key)}{equals}{value}"


def _tie(*, first: bool, tie: bool) -> "Text":
    from rich.text import Text

    return Text("best" if first else "tie" if tie else "", style="green" if first else "yellow")


def _table(*names: str) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    words = ("varies", "configuration", "reason", "ended", "")
    for name in names:
        table.add_column(name, justify="left" if name in words else "right", no_wrap=name not in ("varies", "reason"))
    return table
