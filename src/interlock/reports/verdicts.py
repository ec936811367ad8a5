"""The verdict of a run as a table: in the terminal and in Markdown. Every number comes from the judgement."""

from typing import TYPE_CHECKING

from interlock.contracts.verdict import GateResult, Judgement, Verdict
from interlock.reports.figures import figure, markdown_table

if TYPE_CHECKING:
    from rich.table import Table

STYLES = {
    Verdict.PASS: "green",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.BLOCKED: "magenta",
    Verdict.FAIL: "red",
}
_HEADER = ("gate", "verdict", "observed", "bound", "target", "n", "reason")


WIDE = 130
"""Columns of a terminal from which the numbers get columns of their own; the reason holds them all anyway."""


def verdict_table(judgement: Judgement, *, width: int) -> "Table":
    """A table for a terminal of `width` columns: deciding rows first, advisory ones marked because they never block."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    wide = width >= WIDE
    for name in _HEADER if wide else ("gate", "verdict", "reason"):
        numeric = name in ("observed", "bound", "target", "n")
        table.add_column(name, justify="right" if numeric else "left", no_wrap=name not in ("reason", "gate"))
    for row in _ordered(judgement):
        verdict = Text(row.verdict.value, style=f"bold {STYLES[row.verdict]}")
        if row.severity == "advise":
            verdict.append(" (advice)", style="not bold dim")
        numbers = [Text(cell) for cell in _numbers(row)] if wide else []
        table.add_row(Text(row.gate), verdict, *numbers, Text(row.reason))
    return table


def verdict_markdown(judgement: Judgement) -> str:
    """The same table as Markdown, with what to do about every row that did not pass."""
    rows = [
        (row.gate, f"**{row.verdict}**" + (" (advice)" if row.severity == "advise" else ""), *_numbers(row), row.reason)
        for row in _ordered(judgement)
    ]
    advice = [
        f"- `{row.gate}`: {row.on_failure}"
        for row in _ordered(judgement)
        if row.verdict is not Verdict.PASS and row.on_failure
    ]
    parts = [
        f"# Verdict: {judgement.verdict}",
        f"Lane `{judgement.lane}`, run `{judgement.run_id}`, judgement `{judgement.judgement_id[:16]}`.",
        markdown_table(_HEADER, rows, right=(2, 3, 4, 5)),
    ]
    if advice:
        parts.append("## What to do\n\n" + "\n".join(advice))
    return "\n\n".join(parts) + "\n"


def _ordered(judgement: Judgement) -> list[GateResult]:
    return sorted(judgement.rows, key=lambda row: (row.severity == "advise", row.gate))


def _numbers(row: GateResult) -> tuple[str, str, str, str]:
    target = f"{row.comparison} {figure(row.target, row.unit)}" if row.target is not None else "yes"
    # A fail is proven by the other bound: even that one misses the target.
    bound = row.other_bound if row.verdict is Verdict.FAIL else row.bound
    return (
        figure(row.observed, row.unit),
        figure(bound, row.unit),
        target,
        f"{row.n:,}" if row.n is not None and row.unit != "bool" else "-",
    )
