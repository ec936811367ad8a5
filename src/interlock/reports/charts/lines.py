"""Lines over an axis with ticks: loss curves, recall by rank. Points may carry an interval."""

from collections.abc import Sequence
from dataclasses import dataclass

from interlock.reports.charts.scales import Scale, around, tick_text, ticks
from interlock.reports.charts.svg import Svg, dot, drawing, label, line, path, stretched

MAX_POINTS = 600
"""Points drawn of one line; more would be finer than a pixel."""
_MAX_DOTS = 40
_ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True)
class Series:
    """One line."""

    name: str
    """As in the legend."""
    points: Sequence[tuple[float, float]]
    """x and y in their own units, by x."""
    color: str
    """CSS variable of the page, without dashes."""
    quiet: bool = False
    """Drawn thinner and without dots: background to the others."""
    dashed: bool = False
    """Drawn dashed, so that it is told apart without colour."""
    intervals: Sequence[tuple[float, float, float]] = ()
    """x, low and high, where there are."""


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A vertical line with a word, such as the best epoch."""

    x: float
    text: str


def line_chart(
    series: Sequence[Series],
    *,
    label_text: str,
    height_px: int = 260,
    categories: Sequence[str] = (),
    marks: Sequence[Mark] = (),
    from_zero: bool = False,
) -> Svg:
    """Draw the lines. With `categories` the x of points are 0, 1, 2 ... and carry these names.

    Raises ValueError when there is no point at all.
    """
    x_scale = _x_scale(series, len(categories))
    y_values = [y for item in series for _, y in item.points]
    y_values += [end for item in series for _, *ends in item.intervals for end in ends]
    y_scale = around([*y_values, *([0.0] if from_zero else [])], padding=0.06)
    if from_zero and min(y_values) >= 0:
        y_scale = Scale(low=0.0, high=y_scale.high)
    parts = _axes(series, x_scale, y_scale, categories)
    parts += [_mark(mark, x_scale) for mark in marks]
    parts += [_mark_text(mark, x_scale) for mark in marks]
    parts.append(stretched(_path(item, x_scale, y_scale) for item in series if len(item.points) > 1))
    for item in series:
        parts += _points(item, x_scale, y_scale, categories)
    return drawing(parts, height_px=height_px, label=label_text, klass="chart lines")


def _x_scale(series: Sequence[Series], num_categories: int) -> Scale:
    if num_categories:
        return Scale(low=-0.35, high=num_categories - 0.65)
    x_values = [x for item in series for x, _ in item.points]
    return around(x_values, padding=0.02)


def _axes(series: Sequence[Series], x_scale: Scale, y_scale: Scale, categories: Sequence[str]) -> list[Svg]:
    rows = ticks(y_scale)
    parts = []
    for value in rows:
        y = y_scale.upwards(value)
        parts += [
            line((0, y), (100, y), klass="grid"),
            label(tick_text(value, rows), x=0, y=y, dx=-8, dy=4, anchor="end"),
        ]
    columns = [float(index) for index in range(len(categories))] or _whole_ticks(series, x_scale)
    for index, value in enumerate(columns):
        text = categories[index] if categories else tick_text(value, columns)
        parts.append(label(text, x=x_scale(value), y=100, dy=18))
    return parts


def _whole_ticks(series: Sequence[Series], x_scale: Scale) -> list[float]:
    """Ticks of the horizontal axis; between steps or epochs there is nothing to mark."""
    found = ticks(x_scale, count=6)
    if all(float(x).is_integer() for item in series for x, _ in item.points):
        return [value for value in found if abs(value - round(value)) < _ROUNDING] or found
    return found


def _path(item: Series, x_scale: Scale, y_scale: Scale) -> Svg:
    points = thinned(item.points)
    klass = " ".join(["line", *(["quiet"] if item.quiet else []), *(["dashed"] if item.dashed else [])])
    return path([(x_scale(x), y_scale.upwards(y)) for x, y in points], klass=klass, color=item.color)


def _points(item: Series, x_scale: Scale, y_scale: Scale, categories: Sequence[str]) -> list[Svg]:
    parts = []
    for x, low, high in item.intervals:
        start, end = (x_scale(x), y_scale.upwards(low)), (x_scale(x), y_scale.upwards(high))
        parts.append(line(start, end, klass="whisker", color=item.color, title=f"{low:.3f} .. {high:.3f}"))
    if item.quiet or len(item.points) > _MAX_DOTS:
        return parts
    for x, y in item.points:
        at = categories[round(x)] if categories else f"{x:g}"
        title = f"{item.name}, {at}: {y:.4g}"
        parts.append(
            dot(x=x_scale(x), y=y_scale.upwards(y), radius_px=3.5, klass="dot series", color=item.color, title=title)
        )
    return parts


def _mark(mark: Mark, x_scale: Scale) -> Svg:
    x = x_scale(mark.x)
    return line((x, 0), (x, 100), klass="mark", title=mark.text)


def _mark_text(mark: Mark, x_scale: Scale) -> Svg:
    x = x_scale(mark.x)
    right = x > 60
    return label(
        mark.text, x=x, y=0, dx=-6 if right else 6, dy=11, anchor="end" if right else "start", klass="label mark-label"
    )


def thinned(points: Sequence[tuple[float, float]], limit: int = MAX_POINTS) -> Sequence[tuple[float, float]]:
    """Every k-th point so that at most `limit` stay; the last one always does."""
    step = -(-len(points) // limit)
    return points if step <= 1 else [*points[:-1:step], points[-1]]
