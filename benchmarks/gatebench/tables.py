"""The tables that a person reads: every fault with what came out, then the systems beside each other."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from rich.console import Console
from rich.table import Table

from gatebench.peer_scoring import Tally
from gatebench.scoring import Result

LEGEND = (
    "A number counts wrong passes: the system goes on although it must not. +n: passes of faults that change nothing\n"
    "in the numbers it is given. A dot: none. A dash: it has no rule for such a gate."
)
FILE_COLUMNS = 2
SHORT = {
    "Kayenta (NaN removed)": "Kayenta",
    "Kayenta (NaN replaced)": "Kayenta\nreplace",
    "Argo Rollouts": "Argo",
    "TFX Evaluator": "TFX",
    "Flagger": "Flagger",
    "MLflow": "MLflow",
    "point comparison": "point",
}


def show(results: Sequence[Result], peers: Mapping[str, Tally], console: Console) -> None:
    """Print everything."""
    judged = [result for result in results if result.case.world is not None]
    console.print(fault_table(judged, peers))
    console.print(LEGEND, style="dim")
    console.print()
    console.print(file_table([result for result in results if result.case.world is None]))
    console.print()
    console.print(system_table(judged, results, peers))
    console.print(
        "right: decisions to go on or not, over faults and healthy twins, among those the system has a rule for",
        style="dim",
    )


def fault_table(results: Sequence[Result], peers: Mapping[str, Tally]) -> Table:
    """One row for each fault that the pure judge is given."""
    table = _table("Faults in what is judged")
    for name, justify in (
        ("fault", "left"),
        ("due", "left"),
        ("cases", "right"),
        ("exact", "right"),
        ("cause", "right"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    table.add_column("Inter-\nlock", justify="right")
    for name in peers:
        table.add_column(SHORT.get(name, name), justify="right")
    for fault, group in _by_fault(results):
        table.add_row(fault, _due(group), *_ours(group), *(_theirs(tally.by_fault[fault]) for tally in peers.values()))
    return table


def file_table(results: Sequence[Result]) -> Table:
    """One row for each fault in the files of a run; other systems have no such files."""
    table = _table("Faults in the files of a run (real stages, `interlock status`, readers and contracts)")
    for _ in range(FILE_COLUMNS):
        table.add_column("fault")
        table.add_column("due")
        table.add_column("got")
    cells = [[result.case.fault, result.case.expected.verdict.value, _got(result)] for result in results]
    rows = -(-len(cells) // FILE_COLUMNS)
    for row in range(rows):
        line = [cell for column in range(FILE_COLUMNS) for cell in _at(cells, row + column * rows)]
        table.add_row(*line)
    return table


def system_table(judged: Sequence[Result], results: Sequence[Result], peers: Mapping[str, Tally]) -> Table:
    """One row for each system."""
    table = _table("Systems")
    for name in ("system", "wrong passes", "unseen faults passed", "faults stopped", "no rule", "wrong stops", "right"):
        table.add_column(name, justify="left" if name == "system" else "right")
    wrong, stops = sum(result.is_wrong_pass for result in judged), sum(result.is_wrong_stop for result in judged)
    right = sum(not result.is_wrong_pass for result in judged) + len(judged) - stops
    table.add_row(
        "[bold]Interlock[/bold]", _number(wrong), "·", str(len(judged) - wrong), "·", _number(stops),
        f"{right / (2 * len(judged)):.1%}",
    )  # fmt: skip
    for name, tally in peers.items():
        share = tally.right_share
        table.add_row(
            name, _number(tally.wrong_passes), str(tally.unseen or "·"), str(tally.stopped), str(tally.no_rule or "·"),
            _number(tally.wrong_stops), "-" if share is None else f"{share:.1%}",
        )  # fmt: skip
    files = [result for result in results if result.case.world is None]
    if files:
        table.caption = f"{len(judged)} cases with their twins; the {len(files)} cases of files are Interlock's alone"
    return table


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", header_style="bold", pad_edge=False, box=None)


def _by_fault(results: Sequence[Result]) -> list[tuple[str, list[Result]]]:
    return [(fault, list(group)) for fault, group in groupby(results, key=lambda result: result.case.fault)]


def _due(group: Sequence[Result]) -> str:
    found = dict.fromkeys(result.case.expected.verdict.value for result in group)
    return "/".join(found)


def _ours(group: Sequence[Result]) -> list[str]:
    exact, asked = sum(result.is_exact for result in group), [item for item in group if item.case.expected.cause]
    causes = sum(result.has_cause for result in asked)
    return [
        str(len(group)),
        _share(exact, len(group)),
        _share(causes, len(asked)) if asked else "",
        _number(sum(result.is_wrong_pass for result in group)),
    ]


def _share(part: int, whole: int) -> str:
    return "all" if part == whole else f"[bold red]{part}/{whole}[/]"


def _number(count: int) -> str:
    return f"[bold red]{count}[/]" if count else "·"


def _theirs(tally: Tally) -> str:
    if not tally.wrong_passes and not tally.unseen:
        return "-" if not tally.stopped else "·"
    unseen = f"[dim]+{tally.unseen}[/]" if tally.unseen else ""
    return (f"[red]{tally.wrong_passes}[/]" if tally.wrong_passes else "") + unseen


def _got(result: Result) -> str:
    if result.is_exact and not result.is_wrong_stop:
        return "[green]exact[/]"
    word = result.verdict.value if result.verdict else "crash"
    return f"[bold red]{word}[/]" + (" [red]twin stopped[/]" if result.is_wrong_stop else "")


def _at(cells: Sequence[list[str]], index: int) -> list[str]:
    return cells[index] if index < len(cells) else ["", "", ""]
