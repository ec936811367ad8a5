"""A run or a model is found by a unique beginning of its name; runs that failed are seen, too."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from lane_folders import LaneFolder

from interlock.errors import NonFiniteError, UsageError
from interlock.provenance.attempts import attempt, open_attempt
from interlock.registry.queries import find_run, list_models, list_runs, show_model, show_run
from interlock.runs.sync import sync_lane

RUNS = ("aaaa000000000001", "aaaa000000000002", "bbbb000000000003")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Three archived runs; tests that write take a copy."""
    tmp_path = tmp_path_factory.mktemp("queries")
    home = tmp_path / "home"
    for number, run_id in enumerate(RUNS):
        started = f"2026-03-0{number + 1}T10:00:00+00:00"
        lane = LaneFolder(tmp_path / run_id, run_id=run_id, started=started)
        lane.finish(verdict="pass" if number else "fail", export="completed" if number else "skipped")
        sync_lane(lane.folder, workspace=tmp_path, home=home)
    return home


def test_an_empty_home_has_nothing_and_stays_empty(tmp_path):
    assert (list_runs(tmp_path), list_models(tmp_path)) == ((), ())
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError, match="there is none yet"):
        find_run(tmp_path, "a")


def test_runs_and_models_come_newest_first(home):
    assert [run.run_id for run in list_runs(home)] == [*reversed(RUNS)]
    assert [model.run_id for model in list_models(home)] == [RUNS[2], RUNS[1]]
    assert [run.verdict for run in list_runs(home)] == ["pass", "pass", "fail"]


@pytest.mark.parametrize(("text", "found"), [("b", RUNS[2]), ("aaaa000000000001", RUNS[0]), (RUNS[1][:16], RUNS[1])])
def test_a_unique_beginning_is_enough(home, text, found):
    assert find_run(home, text).run_id == found


@pytest.mark.parametrize(
    ("text", "message"),
    [("aaaa", "more than one"), ("zzz", "no such run"), ("", "no such run"), ("../x", "no such run")],
)
def test_an_unclear_name_lists_candidates(home, text, message):
    with pytest.raises(UsageError, match=message) as caught:
        show_run(home, text)
    assert RUNS[0] in str(caught.value)
    assert (RUNS[2] in str(caught.value)) == (text != "aaaa")


def test_everything_about_a_run(home):
    view = show_run(home, "bbbb")
    assert view.card is not None
    assert (view.card.run_id, view.run.state, len(view.judgements), len(view.decisions)) == (RUNS[2], "decided", 1, 1)
    assert view.judgements[0].at == "2026-03-03T10:00:00+00:00"
    json.loads(view.model_dump_json())


def test_a_model_is_found_by_name_beginning_and_run(home):
    name = f"tower_docstrings_20260303_aaaaaaa_{RUNS[2]}"
    for text in (name, "tower_docstrings_20260303", RUNS[2]):
        assert show_model(home, text).model.id == name
    assert [(change.from_stage, change.to_stage) for change in show_model(home, name).history] == [("", "candidate")]
    with pytest.raises(UsageError, match="more than one model"):
        show_model(home, "tower")


def test_runs_without_a_card_tell_how_far_they_came(home, tmp_path):
    home = shutil.copytree(home, tmp_path / "copy")
    halted, running = "cccc000000000004", "dddd000000000005"
    with (
        pytest.raises(NonFiniteError),
        attempt(home, lane="tower", stage="train", run_id=halted, params_sha256="0" * 64),
    ):
        raise NonFiniteError("loss is NaN")
    opened = open_attempt(home, lane="tower", stage="evaluate", run_id=running, params_sha256="0" * 64)
    states = {run.run_id: run.state for run in list_runs(home)}
    assert (states[halted], states[running]) == ("train halted", "evaluate running")
    view = show_run(home, "cccc")
    assert view.card is None
    assert [row.end.exit for row in view.attempts if row.end] == ["halted"]
    opened.alive.close()


def test_a_run_whose_process_was_killed_is_not_said_to_run(tmp_path):
    """Nobody has found it gone yet: no later attempt wrote down how it ended."""
    code = (
        "import sys, pathlib; from interlock.provenance.attempts import open_attempt\n"
        "home = pathlib.Path(sys.argv[1])\n"
        "open_attempt(home, lane='toy', stage='train', run_id='a' * 16, params_sha256='0' * 64)\n"
        "print('open', flush=True); sys.stdin.read()\n"
    )
    source = str(Path(__file__).resolve().parents[3] / "src")
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": source}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout.readline() == "open\n"
    assert [row.state for row in list_runs(tmp_path)] == ["train running"]
    child.kill()
    child.communicate()
    assert [row.state for row in list_runs(tmp_path)] == ["train killed"]
