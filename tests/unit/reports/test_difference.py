"""A difference says what changed and what it did; without a gate nobody knows which way is better."""

from dataclasses import replace
from html.parser import HTMLParser

import pytest
from chromium_pipe import find_chromium
from page_facts import HOSTILE, OTHER, blocked, check, full, row

from interlock.gates.statistics import Bounds
from interlock.reports.difference import (
    MetricChange,
    RunDifference,
    change_text,
    difference_page,
    differing,
    gate_changes,
    reading,
    shown_metrics,
)
from interlock.reports.difference_screen import show


def bounds(estimate, lower, upper):
    return Bounds(estimate=estimate, lower=lower, upper=upper, confidence=0.975, method="bca", n=100)


def change(metric="r_at_5", before=0.6, after=0.65, found=None, unit="ratio", why=""):
    return MetricChange(metric=metric, unit=unit, before=before, after=after, difference=found, why_unpaired=why)


METRICS = (
    change(found=bounds(0.05, 0.02, 0.08)),
    change("latency_ms", 3.0, 4.0, unit="ms", why="its items belong to no recorded split"),
    change("epochs", 5, 7, unit="count", why="single values"),
    change("new_check", None, 1.0, unit="bool"),
    change("bm25.r_at_5", 0.5, 0.5, bounds(0.0, -0.01, 0.01)),
    change("bm25.r_at_1", 0.5, 0.4, bounds(-0.1, -0.12, -0.08)),
)


def difference(**changes):
    a, b = full(), full(OTHER, rows=(row("r_at_5", observed=0.7), check("loads"), blocked("fresh")))
    values = {
        "a": a,
        "b": b,
        "config": differing({"lr": "0.1", "same": "1"}, {"lr": HOSTILE, "same": "1", "new": "[red]x[/]"}),
        "data": (),
        "code": differing({"commit": "a" * 40}, {"commit": "b" * 40}),
        "files": ("src/x.py | 2 +-",),
        "code_note": "B had uncommitted changes",
        "environment": (),
        "metrics": METRICS,
        "flips": a.flips[0],
        "why_no_flips": "",
        "gates": gate_changes(a.judgement, b.judgement),
    }
    return RunDifference(**values | changes)


@pytest.mark.parametrize(
    ("item", "word"),
    [
        (change(found=bounds(0.05, 0.02, 0.08)), "better"),
        (change(found=bounds(-0.05, -0.08, -0.02)), "worse"),
        (change("too_slow", found=bounds(0.05, 0.02, 0.08)), "worse"),
        (change("unjudged", found=bounds(0.05, 0.02, 0.08)), "differs"),
        (change(found=bounds(0.05, -0.02, 0.12)), "no clear change"),
        (change(found=bounds(0.05, 0.0, 0.12)), "no clear change"),
        (change(why="other items"), "no interval"),
        (change(before=None), "only in B"),
        (change(after=None), "only in A"),
        (change(before=0.5, after=0.5), "same"),
        (change("loads", before=1.0, after=0.0, unit="bool"), "differs"),
    ],
)
def test_what_a_change_amounts_to(item, word):
    assert reading(item, difference()) == word


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (change(found=bounds(0.05, -0.02, 0.12)), "+0.050 (-0.020 .. +0.120)"),
        (change(found=bounds(0.0, -1e-05, 0.0)), "0.000 (-1e-05 .. 0.000)"),
        (change(), "+0.050"),
        (change("epochs", 5, 1000, unit="count"), "+995"),
        (change("check", 1.0, 0.0, unit="bool"), ""),
        (change(before=None), ""),
    ],
)
def test_a_change_is_signed_and_has_its_interval(item, text):
    assert change_text(item) == text


def test_equal_values_are_no_difference_and_missing_ones_are_empty():
    found = differing({"a": 1, "b": 2, "c": 3}, {"b": 2, "c": "3", "d": None})
    assert [(item.key, item.before, item.after) for item in found] == [("a", "1", ""), ("d", "", "None")]


def test_gates_that_ask_or_answer_otherwise_are_named():
    a, b = difference().a.judgement, difference().b.judgement
    assert [item.gate for item in gate_changes(a, a)] == []
    names = [item.gate for item in gate_changes(a, b)]
    assert "r_at_5" not in names, "another estimate alone is no other gate"
    assert {"loads", "missing", "fresh"} <= set(names)
    assert {item.gate for item in gate_changes(a, None)} == {item.gate for item in a.rows}


def test_a_baseline_that_did_not_move_is_left_out():
    assert [item.metric for item in shown_metrics(difference())][-1] == "bm25.r_at_1"
    assert "bm25.r_at_5" not in [item.metric for item in shown_metrics(difference())]


def test_the_screen_says_it_all_and_takes_no_markup_from_data(capsys):
    show(difference())
    text = capsys.readouterr().out
    for words in (
        "[red]x[/]",
        "+0.050 (+0.020 .. +0.080)",
        "better",
        "no interval for latency_ms: its items belong to no recorded split",
        "no interval for epochs: single values",
        "30 gained, 10 lost of 100",
        "data: the same",
        "src/x.py | 2 +-",
        "uncommitted",
        "absent",
    ):
        assert words in text, words
    show(difference(flips=None, why_no_flips="Not compared: other items.", gates=(), config=()))
    text = capsys.readouterr().out
    assert "queries: Not compared: other items." in text
    assert "gates: the same" in text
    assert "configuration: the same" in text


def test_the_page_says_it_all_and_hostile_text_stays_text():
    html = difference_page(difference())
    words: list[str] = []
    parser = HTMLParser()
    parser.handle_data = words.append  # type: ignore[method-assign]
    parser.feed(html)
    text = " ".join(" ".join(words).split())
    assert "<script" not in html
    for item in (HOSTILE, "+0.050 (+0.020 .. +0.080)", "B against bm25", "B had uncommitted changes", "absent"):
        assert item in text, item
    assert difference_page(difference()) == html


@pytest.mark.skipif(find_chromium() is None, reason="no Chromium here")
def test_the_page_fits_a_telephone(browser, tmp_path):
    path = tmp_path / "difference.html"
    path.write_text(difference_page(replace(difference(), flips=None, why_no_flips="Not compared.")))
    page = browser.open(path, width=360)
    assert page.evaluate("document.body.scrollWidth") == 360
    assert (page.requests, page.complaints) == ([], [])
