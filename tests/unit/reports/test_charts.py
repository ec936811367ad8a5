"""Places are percentages inside the drawing, ticks are round, the passing side is the right one, text is escaped."""

import math
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from page_facts import HOSTILE, MIXED, blocked, check, row

from interlock.reports.charts.forest import Entry, Trial, axis_row, interval_row, scale_of, trials_chart
from interlock.reports.charts.lines import Mark, Series, line_chart, thinned
from interlock.reports.charts.scales import Scale, around, tick_text, ticks
from interlock.reports.charts.strip import gate_strip
from interlock.reports.charts.svg import Svg, dot, drawing, element

numbers = st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: 0.0 if abs(value) < 1e-6 else value)


def places(svg):
    """Every place in percent that a drawing names, for each attribute."""
    return [float(text) for text in re.findall(r'(?:x|y|cx|cy|x1|x2|y1|y2|width)="(-?[\d.]+)%"', svg)]


def find(svg, klass):
    tree = ET.fromstring(svg)
    return [item for item in tree.iter() if klass in item.get("class", "").split()]


@given(st.lists(numbers, min_size=1, max_size=6))
def test_a_scale_holds_its_values_and_its_ticks(values):
    scale = around(values)
    assert all(0 <= scale(value) <= 100 for value in values)
    found = ticks(scale)
    assert 2 <= len(found) <= 12
    assert all(scale.low - 1e-9 * abs(scale.low) <= tick <= scale.high + 1e-9 * abs(scale.high) for tick in found)
    assert len({tick_text(tick, found) for tick in found}) == len(found)


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3))
def test_a_scale_keeps_the_order(a, b):
    scale = Scale(low=-1e3, high=1e3)
    assert (scale(a) <= scale(b)) or a > b
    assert scale.upwards(a) == pytest.approx(100 - scale(a))


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (0.0, 1.0, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (0.61, 0.69, ["0.62", "0.64", "0.66", "0.68"]),
        (0, 3000, ["0", "1,000", "2,000", "3,000"]),
    ],
)
def test_ticks_are_round(low, high, texts):
    found = ticks(Scale(low=low, high=high))
    assert [tick_text(tick, found) for tick in found] == texts


def test_a_logarithmic_scale_has_powers_of_ten():
    scale = Scale(low=1e-4, high=1e-1, log=True)
    found = ticks(scale)
    assert [tick_text(tick, found) for tick in found] == ["0.0001", "0.001", "0.01", "0.1"]
    assert scale(math.sqrt(1e-4 * 1e-1)) == pytest.approx(50)


def test_text_is_escaped_and_svg_is_not_escaped_again():
    svg = drawing([dot(x=50, y=50, title=HOSTILE), element("text", text=HOSTILE)], height_px=9, label=HOSTILE)
    assert "<script" not in svg
    assert "<img" not in svg
    assert [item.text for item in ET.fromstring(svg).iter() if item.text] == [HOSTILE, HOSTILE]
    assert Svg(svg).__html__() == svg


@pytest.mark.parametrize("gate", [item for item in MIXED if item.comparison != "is"], ids=lambda item: item.gate)
def test_a_strip_shades_the_passing_side_from_the_target_on(gate):
    svg = gate_strip(gate)
    (passing,), (target,) = find(svg, "passing"), find(svg, "target")
    start, width = (float(passing.get(name)[:-1]) for name in ("x", "width"))
    at = float(target.get("x1")[:-1])
    assert (start, start + width) == pytest.approx((at, 100) if gate.comparison == ">=" else (0, at), abs=0.02)
    assert all(-0.01 <= place <= 100.01 for place in places(svg))
    assert svg.startswith("<svg")
    assert gate.gate in ET.fromstring(svg).get("aria-label")


def test_the_estimate_lies_between_its_bounds_and_beyond_the_target_when_it_passes():
    svg = gate_strip(row("r_at_5"))
    (bar,), (estimate,), (target,) = find(svg, "interval"), find(svg, "dot"), find(svg, "target")
    low, high, middle, at = (
        float(item.get(name)[:-1]) for item, name in ((bar, "x1"), (bar, "x2"), (estimate, "cx"), (target, "x1"))
    )
    assert at < low < middle < high


def test_an_unknown_bound_runs_to_the_edge_and_says_so():
    svg = gate_strip(row("one_sided", "inconclusive", bound=None, other_bound=0.7))
    (bar,) = find(svg, "open-ended")
    assert bar.get("x1") == "0%"
    high = gate_strip(row("x", "inconclusive", comparison="<=", bound=None, other_bound=0.4))
    assert find(high, "open-ended")[0].get("x2") == "100%"


def test_a_blocked_gate_shows_its_target_alone_and_a_check_is_no_strip():
    svg = gate_strip(blocked("missing"))
    assert find(svg, "target")
    assert not find(svg, "dot") + find(svg, "interval")
    assert "not judged" in svg
    assert gate_strip(check("loads")) is None


def test_lines_are_drawn_with_their_intervals_and_marks():
    series = [
        Series(name="this run", points=[(0, 0.4), (1, 0.6)], color="series-1", intervals=[(0, 0.35, 0.45)]),
        Series(name="chance", points=[(0, 0.0), (1, 0.0)], color="muted", quiet=True),
    ]
    svg = line_chart(series, label_text="recall", categories=["1", "5"], marks=[Mark(x=1, text="best")], from_zero=True)
    assert len(find(svg, "line")) == 2
    assert len(find(svg, "dot")) == 2, "a quiet line has none"
    assert len(find(svg, "whisker")) == 1
    assert "this run, 5: 0.6" in svg
    assert ">best<" in svg
    assert all(-0.01 <= place <= 100.01 for place in places(svg))


def test_one_point_is_enough_and_none_is_refused():
    assert "dot" in line_chart([Series(name="a", points=[(1, 2.0)], color="series-1")], label_text="loss")
    with pytest.raises(ValueError, match="empty"):
        line_chart([Series(name="a", points=[], color="series-1")], label_text="loss")


@pytest.mark.parametrize(("steps", "texts"), [((1,), {"1"}), ((1, 2, 3), {"1", "2", "3"}), ((0.1, 0.2), None)])
def test_nothing_is_marked_between_whole_steps(steps, texts):
    series = Series(name="loss", points=[(step, 2.0 + step) for step in steps], color="series-1")
    svg = line_chart([series], label_text="loss")
    named = {item.text for item in ET.fromstring(svg).iter() if item.get("y") == "100%"}
    assert named == texts if texts else len(named) > 2


@given(st.integers(1, 5000), st.integers(1, 700))
def test_thinning_keeps_the_ends(number, limit):
    points = [(float(n), 0.0) for n in range(number)]
    found = thinned(points, limit)
    assert (found[0], found[-1]) == (points[0], points[-1])
    assert len(found) <= limit + 1


def test_intervals_share_one_scale_and_ties_are_rings():
    best, tie = Entry(name="a", value=0.7, low=0.68, high=0.72), Entry(name="b", value=0.69, hollow=True)
    scale = scale_of([best, tie])
    svg = interval_row(tie, scale, shaded=best)
    assert find(svg, "hollow")
    assert find(svg, "best")
    assert not find(svg, "whisker")
    assert find(interval_row(best, scale), "whisker")
    assert find(axis_row(scale), "label")


def test_a_parameter_over_orders_of_magnitude_is_spread_evenly_and_names_get_a_place_each():
    scale = Scale(low=0, high=1)
    svg = trials_chart(
        [Trial(x=10.0**-n, y=0.5, color="series-1", title="t") for n in range(3)], label_text="lr", y_scale=scale
    )
    xs = sorted(float(item.get("cx")[:-1]) for item in find(svg, "dot"))
    assert xs[1] == pytest.approx((xs[0] + xs[2]) / 2, abs=0.1)
    named = trials_chart([Trial(x=x, y=0.5, color="series-1", title=x) for x in "ab"], label_text="kind", y_scale=scale)
    assert sorted(float(item.get("cx")[:-1]) for item in find(named, "dot")) == [25.0, 75.0]
