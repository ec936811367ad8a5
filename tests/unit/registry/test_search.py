"""Runs are found by what the index, the cards and the sweeps say; missing values come last."""

import json

import pytest
from lane_folders import LaneFolder, write

from interlock.errors import UsageError
from interlock.registry.search import search_runs
from interlock.runs.sync import sync_lane

RUNS = ("aaaa000000000001", "aaaa000000000002", "bbbb000000000003")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    home = folder / "home"
    for number, run_id in enumerate(RUNS):
        lane = LaneFolder(
            folder / run_id, run_id=run_id, started=f"2026-03-0{number + 1}T10:00:00+00:00", seed=3 - number
        )
        lane.prepare()
        lane.train()
        lane.evaluate(r_at_5=0.6 + number / 100)
        lane.export(status="completed" if number else "skipped")
        if number < 2:
            lane.judge(verdict="pass" if number else "fail")
            lane.decide(action="accept" if number else "escalate")
        sync_lane(lane.folder, workspace=folder, home=home)
    write(home / "sweeps/5555555555555555/jobs/000000.json", json.dumps({"run_id": RUNS[1]}))
    write(home / "sweeps/5555555555555555/jobs/000001.json", "{half")
    return home


def ids(home, expression="", **how):
    return [row.run_id for row, _ in search_runs(home, expression=expression, **how)]


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("", RUNS[::-1]),
        ("verdict=pass", [RUNS[1]]),
        ("verdict=none", [RUNS[2]]),
        ("metrics.r_at_5>0.605", [RUNS[2], RUNS[1]]),
        ("metrics.latency_ms>0 seed=2", [RUNS[1]]),
        ("trained>=2026-03-02", [RUNS[2], RUNS[1]]),
        ("sweep=5555", [RUNS[1]]),
        ("sweep=none", [RUNS[2], RUNS[0]]),
        ("commit=aaaa parent=none", RUNS[::-1]),
        ("dataset~doc run=b", [RUNS[2]]),
        ("seed>9", []),
    ],
)
def test_runs_are_found(home, expression, found):
    assert ids(home, expression) == [*found]


def test_order_and_number(home):
    assert ids(home, sort="seed") == [*RUNS[::-1]]
    assert ids(home, sort="-seed", limit=2) == [*RUNS[:2]]
    assert ids(home, sort="-metrics.r_at_5", limit=1) == [RUNS[2]]
    assert ids(home, sort="verdict") == [RUNS[0], RUNS[1], RUNS[2]], "a run without a value comes last"
    assert ids(home, sort="-verdict") == [RUNS[1], RUNS[0], RUNS[2]], "also when the order is turned"
    assert ids(home, sort="metrics.latency_ms")[-1] == RUNS[0]


def test_metrics_that_were_asked_for_come_along(home):
    ((_, metrics),) = search_runs(home, expression="metrics.r_at_5>0.615", sort="metrics.latency_ms")
    assert metrics == {"metrics.r_at_5": 0.62, "metrics.latency_ms": 1.5}


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"expression": "metrics.r_at5>0"}, r"metrics.r_at5: no run has measured it\n.*did you mean metrics.r_at_5\?"),
        ({"sort": "metrics.nothing"}, "no run has measured it"),
        ({"sort": "sede"}, "did you mean seed"),
        ({"limit": 0}, "at least one"),
    ],
)
def test_what_cannot_be_asked_is_named(home, how, message):
    with pytest.raises(UsageError, match=message):
        search_runs(home, **how)


def test_an_empty_home_has_no_runs(tmp_path):
    assert search_runs(tmp_path) == ()
    assert list(tmp_path.iterdir()) == []
