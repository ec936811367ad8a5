"""The stored comparison of drive with random search: its summary follows from its runs, and its runs from its seed."""

import json
import random
import sys

import pytest
from _machine import RESULTS
from decisions.draws import draw
from decisions.settings import SETTINGS
from drive_vs_random import SETTING, main, summary

RESULT = json.loads((RESULTS / "drive_vs_random.json").read_text())


def pair(drive, other):
    return {"drive": [{"verdict": name} for name in drive], "random": [{"verdict": name} for name in other]}


def test_the_summary_follows_from_the_stored_runs():
    assert summary(RESULT["pairs"], RESULT["draws"]) == RESULT["summary"]
    assert RESULT["summary"]["starts"] == len(RESULT["pairs"]) >= 20
    assert RESULT["setting"] == {SETTING: list(SETTINGS[SETTING])}


def test_both_arms_begin_at_the_same_bad_run_and_end_at_a_pass_or_with_the_attempts():
    for number, found in enumerate(RESULT["pairs"]):
        starts = {found[arm][0]["run_id"] for arm in ("drive", "random")}
        assert starts == {found["start"]}, number
        for arm in ("drive", "random"):
            rows = found[arm]
            assert rows[0]["verdict"] == "fail"
            assert len(rows) <= RESULT["attempts"]
            assert all(row["verdict"] != "pass" for row in rows[:-1])
        assert found["random"][-1]["verdict"] == "pass" or len(found["random"]) == RESULT["attempts"]


def test_drive_changes_what_it_decided_and_nothing_else():
    for found in RESULT["pairs"]:
        for before, after in zip(found["drive"], found["drive"][1:], strict=False):
            assert before["decided"]["action"] == "retrain"
            assert after["values"] == {**before["values"], **before["decided"]["proposed_overrides"]}


def test_the_draws_are_those_of_the_seed():
    rng = random.Random(RESULT["seed"])
    assert [row["values"] for row in RESULT["draws"]] == [draw(SETTING, rng) for _ in RESULT["draws"]]
    failed = [row["run_id"] for row in RESULT["draws"] if row["verdict"] == "fail"]
    assert [found["start"] for found in RESULT["pairs"]] == failed[: len(RESULT["pairs"])]
    for number, found in enumerate(RESULT["pairs"]):
        rng = random.Random(f"{RESULT['seed']}/{number}")
        assert [row["values"] for row in found["random"][1:]] == [draw(SETTING, rng) for _ in found["random"][1:]]


@pytest.mark.parametrize(
    ("pairs", "drive", "other", "p", "wins"),
    [
        ([pair(["fail", "pass"], ["fail", "fail"])] * 5, 5, 0, 0.0625, True),
        ([pair(["fail", "fail"], ["fail", "pass"])] * 2 + [pair(["fail", "pass"], ["fail", "pass"])], 0, 2, 0.5, False),
        ([pair(["fail", "fail"], ["fail", "fail"])], 0, 0, 1.0, False),
    ],
)
def test_pairs_that_differ_decide(pairs, drive, other, p, wins):
    found = summary(pairs, [{"verdict": "fail"}])
    assert (found["only_drive"], found["only_random"]) == (drive, other)
    assert found["mcnemar_exact_p"] == pytest.approx(p)
    assert found["drive_passes_more_often"] is wins


def test_quick_prints_the_stored_summary_and_runs_nothing(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["drive_vs_random.py", "--quick"])
    main()
    assert json.loads(capsys.readouterr().out) == RESULT["summary"]
