"""A filter finds what it says, refuses what it does not know by name, and runs nothing."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.errors import UsageError
from interlock.registry.filters import KEYS, parse_filter

FACTS = {
    "run": "3f2a000000000001",
    "lane": "query_tower",
    "verdict": "pass",
    "decision": None,
    "dataset": "Docstrings",
    "seed": 2,
    "trained": datetime(2026, 3, 1, 10, tzinfo=UTC),
    "sweep": None,
    "metrics.r_at_5": 0.66,
    "state": "judged",
}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", True),
        ("verdict=pass lane=query_tower seed>=2 metrics.r_at_5>0.65 dataset~docs trained>2026-01-01", True),
        ("verdict=pass seed>2", False),
        ("verdict!=fail", True),
        ("run=3f2a", True),
        ("run=3f2b", False),
        ("run!=3f2a", False),
        ("dataset~DOCS", True),
        ("dataset=docs", False),
        ("seed=2", True),
        ("seed=2.0", True),
        ("seed!=2", False),
        ("metrics.r_at_5<=0.66", True),
        ("metrics.absent>0", False),
        ("metrics.absent!=0", True),
        ("decision=none", True),
        ("decision!=none", False),
        ("verdict!=none sweep=none", True),
        ("trained=2026-03-01", True),
        ("trained<=2026-03-01", True),
        ("trained>2026-03-01", False),
        ("trained>=2026-03-01", True),
        ("trained<2026-03-01", False),
        ("trained>2026-03-01T09:59", True),
        ("trained<2026-03-01T12:00+02:00", False),
        ("trained<=2026-03-01T12:00+02:00", True),
        ('lane="query_tower"', True),
        ("state='not judged'", False),
    ],
)
def test_a_filter_means_what_it_says(text, found):
    assert parse_filter(text).matches(FACTS) is found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("verdit=pass", r"verdit: no such key\n.*did you mean verdict\?"),
        ("metric.r=1", "metric.r: no such key"),
        ("metrics.=1", "no such key"),
        ("verdict=passed", "did you mean pass"),
        ("decision=accepted", "did you mean accept"),
        ("seed~2", "seed is a number, which ~ cannot compare"),
        ("lane>a", "lane is text, which > cannot compare"),
        ("seed=two", r"seed: needs a number \(got 'two'\)"),
        ("trained>yesterday", "needs a date or a time"),
        ("seed>=", "nothing stands behind the sign"),
        ("seed>none", "none has no order"),
        ("pass", "is no comparison"),
        ("verdict=pass and seed=1", r"is no comparison \(got 'and'\)"),
        ("lane='a", "a quote is not closed"),
        ("__class__=1", "no such key"),
        ("__import__('os').system('x')=1", "is no comparison"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(text, message):
    with pytest.raises(UsageError, match=message):
        parse_filter(text)


@given(st.text(max_size=60))
def test_any_text_is_a_filter_or_a_usage_error(text):
    try:
        assert parse_filter(text).matches({}) in (True, False)
    except UsageError:
        return


@given(st.sampled_from(sorted(KEYS)), st.text("abcdefgh0123456789", min_size=1, max_size=8))
def test_not_equal_is_the_opposite_of_equal(key, value):
    facts = {key: FACTS.get(key)}
    try:
        equal = parse_filter(f"{key}={value}").matches(facts)
    except UsageError:
        return
    assert parse_filter(f"{key}!={value}").matches(facts) is not equal
