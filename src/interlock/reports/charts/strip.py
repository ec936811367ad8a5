"""One gate as a strip: the estimate and its bounds against the target, the passing side shaded."""

import math

from interlock.contracts.verdict import GateResult
from interlock.reports.charts.scales import Scale, around
from interlock.reports.charts.svg import Point, Svg, dot, drawing, element, label, line, percent
from interlock.reports.figures import figure

HEIGHT_PX = 56
_MIDDLE = 50.0
_PADDING = 0.28
"""Room at both ends, as a share of what is shown: numbers are written there, centred on what they name."""


def gate_strip(row: GateResult) -> Svg | None:
    """The strip of a row that compares a number with a target; None for a predicate, or without a target.

    A blocked row shows the target and its passing side alone. The bar spans the two one-sided bounds; where one of
    them is unknown it runs to the edge and fades.
    """
    if row.target is None or row.comparison == "is":
        return None
    scale = around((row.target, row.observed, row.bound, row.other_bound), padding=_PADDING)
    parts = [_passing_side(row, scale), line((0, _MIDDLE), (100, _MIDDLE), klass="track")]
    parts += [line((scale(row.target), 20), (scale(row.target), 80), klass="target", title=_goal(row))]
    if row.observed is not None:
        parts += _estimate(row, row.observed, scale)
    parts.append(label(_goal(row), x=scale(row.target), y=100.0, dy=-2, klass="label target-label"))
    return drawing(parts, height_px=HEIGHT_PX, label=spoken(row), klass=f"chart strip is-{row.verdict}")


def spoken(row: GateResult) -> str:
    """The strip in words."""
    if row.observed is None:
        return f"{row.gate}: not judged, the target is {_goal(row)}"
    low, high = _ends(row)
    between = f", bounds {_end(low, row.unit)} to {_end(high, row.unit)}" if row.bound is not None else ""
    return f"{row.gate}: {figure(row.observed, row.unit)}{between}, target {_goal(row)}, {row.verdict}"


def _passing_side(row: GateResult, scale: Scale) -> Svg:
    assert row.target is not None
    at = scale(row.target)
    x, width = (at, 100 - at) if row.comparison == ">=" else (0.0, at)
    return element("rect", x=percent(x), y="22%", width=percent(width), height="56%", klass="passing",
                   title=f"passes: {_goal(row)}")  # fmt: skip


def _estimate(row: GateResult, observed: float, scale: Scale) -> list[Svg]:
    parts = []
    low, high = _ends(row)
    if row.bound is not None or row.other_bound is not None:
        parts += _bar(scale(low), scale(high), title=spoken(row), open_ended=not all(map(math.isfinite, (low, high))))
    parts.append(dot(x=scale(observed), y=_MIDDLE, radius_px=5.5, title=spoken(row)))
    parts.append(label(figure(observed, row.unit), x=scale(observed), y=0.0, dy=10, klass="label value-label"))
    return parts


def _bar(low: float, high: float, *, title: str, open_ended: bool) -> list[Svg]:
    start, end = (low, _MIDDLE), (high, _MIDDLE)
    klass = "interval open-ended" if open_ended else "interval"
    caps: list[tuple[Point, Point]] = [((x, 38.0), (x, 62.0)) for x in (low, high)]
    return [line(start, end, klass=klass, title=title), *(line(*cap, klass="cap") for cap in caps)]


def _ends(row: GateResult) -> tuple[float, float]:
    """Lower and upper bound; infinite where the sample gives none."""
    lower, upper = (row.bound, row.other_bound) if row.comparison == ">=" else (row.other_bound, row.bound)
    return -math.inf if lower is None else lower, math.inf if upper is None else upper


def _end(value: float, unit: str) -> str:
    return figure(value, unit) if math.isfinite(value) else "unknown"


def _goal(row: GateResult) -> str:
    sign = "≥" if row.comparison == ">=" else "≤"
    return f"{sign} {figure(row.target, row.unit)}"
