"""Values with intervals on one axis, a row each (a forest plot inside a table), and values against a parameter."""

from collections.abc import Sequence
from dataclasses import dataclass

from interlock.reports.charts.scales import Scale, around, tick_text, ticks
from interlock.reports.charts.svg import Svg, dot, drawing, element, label, line, percent

ROW_PX = 26
_LOG_FROM = 20.0
"""Numbers that differ by this factor get a logarithmic axis."""
_MAX_NAMES = 5


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One value with its interval."""

    name: str
    """What it is called."""
    value: float
    low: float | None = None
    high: float | None = None
    color: str = "series-1"
    """CSS variable of the page."""
    hollow: bool = False
    """Drawn as a ring: not told apart from the best."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One value against a parameter."""

    x: float | str
    """The parameter: a number, or one of several names."""
    y: float
    color: str
    title: str


def scale_of(entries: Sequence[Entry]) -> Scale:
    """One scale for all rows."""
    return around([end for item in entries for end in (item.value, item.low, item.high)], padding=0.08)


def interval_row(item: Entry, scale: Scale, *, shaded: Entry | None = None, zero: bool = False) -> Svg:
    """One row; `shaded` is the entry whose interval lies behind every row, `zero` draws a line at 0."""
    parts: list[Svg] = []
    if shaded is not None and shaded.low is not None and shaded.high is not None:
        start, end = scale(shaded.low), scale(shaded.high)
        parts.append(element("rect", x=percent(start), y="0%", width=percent(end - start), height="100%", klass="best"))
    if zero:
        parts.append(line((scale(0.0), 0), (scale(0.0), 100), klass="target"))
    title = f"{item.name}: {item.value:.4g}"
    if item.low is not None and item.high is not None:
        title += f" ({item.low:.4g} .. {item.high:.4g})"
        parts.append(
            line((scale(item.low), 50), (scale(item.high), 50), klass="whisker", color=item.color, title=title)
        )
    klass = "dot series hollow" if item.hollow else "dot series"
    parts.append(dot(x=scale(item.value), y=50, klass=klass, color=item.color, title=title))
    return drawing(parts, height_px=ROW_PX, label=title, klass="chart row")


def axis_row(scale: Scale) -> Svg:
    """The axis that the rows share."""
    columns = ticks(scale, count=4)
    parts = [label(tick_text(value, columns), x=scale(value), y=50, dy=4) for value in columns]
    ends = f"axis from {tick_text(columns[0], columns)} to {tick_text(columns[-1], columns)}"
    return drawing(parts, height_px=20, label=ends, klass="chart row axis")


def trials_chart(trials: Sequence[Trial], *, label_text: str, y_scale: Scale, height_px: int = 150) -> Svg:
    """Values against one parameter."""
    parts: list[Svg] = []
    rows = ticks(y_scale, count=3)
    for value in rows:
        y = y_scale.upwards(value)
        text = label(tick_text(value, rows), x=0, y=y, dx=-6, dy=4, anchor="end")
        parts += [line((0, y), (100, y), klass="grid"), text]
    places, names = _places([trial.x for trial in trials])
    parts += [label(name, x=x, y=100, dy=16) for name, x in names]
    for trial, x in zip(trials, places, strict=True):
        parts.append(dot(x=x, y=y_scale.upwards(trial.y), klass="dot series", color=trial.color, title=trial.title))
    return drawing(parts, height_px=height_px, label=label_text, klass="chart lines")


def _places(values: Sequence[float | str]) -> tuple[list[float], list[tuple[str, float]]]:
    """Percent of each value, and the names of the axis with their percents."""
    numbers = [value for value in values if not isinstance(value, str)]
    if len(numbers) < len(values):
        known = sorted({str(value) for value in values})
        place = {name: 100 * (index + 0.5) / len(known) for index, name in enumerate(known)}
        return [place[str(value)] for value in values], list(place.items())
    log = min(numbers) > 0 and max(numbers) / min(numbers) >= _LOG_FROM
    scale = around(numbers, padding=0.08, log=log)
    distinct = sorted(set(numbers))
    shown = distinct if len(distinct) <= _MAX_NAMES else [distinct[0], distinct[len(distinct) // 2], distinct[-1]]
    return [scale(value) for value in numbers], [(f"{value:.3g}", scale(value)) for value in shown]
