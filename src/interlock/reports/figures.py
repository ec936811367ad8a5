"""How numbers are written for people: few digits, always the unit, `-` where there is none."""

import math
from collections.abc import Sequence

_SUFFIX = {"ms": " ms", "s": " s", "min": " min", "nats": " nats"}


def figure(value: float | None, unit: str = "") -> str:
    """Write a number with three significant decimals for ratios and cosines, and its unit where it has a sign."""
    if value is None:
        return "-"
    if not math.isfinite(value):
        return "none" if math.isinf(value) else "NaN"
    if unit == "bool":
        return "yes" if value else "no"
    if unit == "count":
        return f"{value:,.0f}"
    digits = 3 if abs(value) < 100 else 1
    return f"{value:.{digits}f}{_SUFFIX.get(unit, '')}"


def interval(bounds: tuple[float, float] | None, unit: str = "") -> str:
    """Write an interval as `0.581 .. 0.640`; empty when there is none."""
    return f"{figure(bounds[0])} .. {figure(bounds[1], unit)}" if bounds else ""


def markdown_table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, right: tuple[int, ...] = ()) -> str:
    """A Markdown table; `right` names the columns that are aligned to the right. Pipes in cells are escaped."""
    marks = ["---:" if index in right else "---" for index in range(len(header))]
    lines = [header, tuple(marks), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
