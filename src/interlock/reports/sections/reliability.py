"""Does a stated confidence come true: share of right answers by stated confidence, from a lane's `reliability.csv`."""

from interlock.reports.charts.lines import Series, line_chart
from interlock.reports.figures import figure, interval
from interlock.reports.run_facts import RunFacts
from interlock.reports.sections.section import Section, counted

COLUMNS = ("confidence", "accuracy")
_ERROR = "ece"


def reliability(facts: RunFacts) -> Section | None:
    """The reliability diagram; each bin is a dot, and on the dashed line every confidence comes true."""
    bins = [tuple(row.get(name) for name in COLUMNS) for row in facts.reliability]
    points = [(x, y) for x, y in bins if x is not None and y is not None]
    if not points:
        return None
    ends = (points[0][0], points[-1][0])
    series = [
        Series(name="right answers", points=points, color="series-1"),
        Series(name="as stated", points=[(x, x) for x in ends], color="muted", quiet=True, dashed=True),
    ]
    apart = max(abs(y - x) for x, y in points)
    text = f"Share of right answers by stated confidence, {ends[0]:.2f} to {ends[1]:.2f}; at most {apart:.3f} apart"
    return Section(
        id="reliability",
        title="Reliability",
        template="reliability.html.j2",
        values={"chart": line_chart(series, label_text=text), "series": series},
        lead=f"{counted(len(points), 'bin')} of stated confidence{_error(facts)}.",
    )


def _error(facts: RunFacts) -> str:
    measured = facts.measurements.get(_ERROR)
    if measured is None or measured.value is None:
        return ""
    around = interval(facts.intervals.get(_ERROR), measured.unit)
    return f", expected calibration error {figure(measured.value, measured.unit)}" + (f" ({around})" if around else "")
