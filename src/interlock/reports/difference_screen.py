"""A difference between two runs on the terminal. Text from data is printed as it stands, never as markup."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from interlock.reports.difference import RunDifference, ValueChange, change_text, gate_text, reading, shown_metrics
from interlock.reports.run_facts import Flip, RunFacts
from interlock.reports.sections.section import number_text
from interlock.reports.verdicts import STYLES

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_SIDES = "A", "B"
_READINGS = {"better": "bold green", "worse": "bold red", "differs": "bold"}
_SHOWN_FILES = 20


def show(found: RunDifference) -> None:
    """Print the whole difference: what went in first, then what came out."""
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    for name, item in zip(_SIDES, (found.a, found.b), strict=True):
        verdict = item.verdict.value if item.verdict else "not judged"
        console.print(f"{name}  run {item.run_id}  {item.view.run.lane}  ", end="")
        console.print(verdict, style=_verdict_style(item))
        if item.view.run.waived:
            console.print(f"   {item.view.run.waived}", style="bold red")
    _values(console, "configuration", found.config)
    _values(console, "data", found.data)
    _values(console, "code", tuple(_short(item) for item in found.code))
    for line in found.files[:_SHOWN_FILES]:
        console.print(f"  {line}", style="dim")
    if len(found.files) > _SHOWN_FILES:
        console.print(f"  and {len(found.files) - _SHOWN_FILES} more", style="dim")
    if found.code_note:
        console.print(f"  {found.code_note}", style="dim")
    _values(console, "environment", tuple(_short(item) for item in found.environment))
    _metrics(console, found)
    _gates(console, found)
    _flipped(console, found)


def _values(console: "Console", title: str, values: Sequence[ValueChange]) -> None:
    from rich.text import Text

    if not values:
        console.print(f"\n{title}: the same", style="dim")
        return
    console.print(f"\n{title}", style="bold")
    table = _table("key", "A", "B")
    for item in values:
        table.add_row(Text(item.key), Text(item.before or "-", style="red"), Text(item.after or "-", style="green"))
    console.print(table)


def _short(item: ValueChange) -> ValueChange:
    def digits(text: str) -> str:
        return text[:12] if len(text) >= 40 and " " not in text else text

    return ValueChange(key=item.key, before=digits(item.before), after=digits(item.after))


def _metrics(console: "Console", found: RunDifference) -> None:
    from rich.text import Text

    console.print("\nmetrics, B less A on the same items with a 95 % interval", style="bold")
    table, unpaired = _table("metric", "A", "B", "change", "reading"), dict[str, list[str]]()
    for item in shown_metrics(found):
        word = reading(item, found)
        if word == "same":
            continue
        if word == "no interval":
            unpaired.setdefault(item.why_unpaired, []).append(item.metric)
        values = (number_text(item.before, item.unit), number_text(item.after, item.unit), change_text(item))
        table.add_row(Text(item.metric), *values, Text(word, style=_READINGS.get(word, "dim")))
    if table.row_count:
        console.print(table)
    for why, metrics in unpaired.items():
        console.print(f"  no interval for {', '.join(metrics)}: {why}", style="dim")
    same = sum(reading(item, found) == "same" for item in found.metrics)
    console.print(f"  {same} measurements are the same", style="dim")


def _gates(console: "Console", found: RunDifference) -> None:
    from rich.text import Text

    if not found.gates:
        console.print("\ngates: the same, with the same verdicts", style="dim")
        return
    console.print("\ngates", style="bold")
    table = _table("gate", "A", "B")
    for item in found.gates:
        table.add_row(Text(item.gate), Text(gate_text(item.before)), Text(gate_text(item.after)))
    console.print(table)


def _flipped(console: "Console", found: RunDifference) -> None:
    from rich.text import Text

    flips = found.flips
    if flips is None:
        console.print(f"\nqueries: {found.why_no_flips}", style="dim")
        return
    console.print(
        f"\nqueries by {flips.metric}: {flips.num_gained} gained, {flips.num_lost} lost of {flips.n}", style="bold"
    )
    table = _table("", "query", "rank A", "rank B")
    for word, style, rows in (("gained", "green", flips.gained), ("lost", "red", flips.lost)):
        for row in rows:
            ranks = ["> 10" if rank is None else str(rank) for rank in (row.other_rank, row.rank)]
            table.add_row(
                Text(word, style=style), Text(row.text or row.query_id), *(ranks if _ranked(flips) else ["", ""])
            )
    if table.row_count:
        console.print(table)


def _ranked(flips: Flip) -> bool:
    return any(row.rank or row.other_rank for row in (*flips.gained, *flips.lost))


def _verdict_style(facts: RunFacts) -> str:
    return f"bold {STYLES[facts.verdict]}" if facts.verdict else "dim"


def _table(*columns: str) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold", justify="right" if name.startswith("rank") else "left")
    return table
