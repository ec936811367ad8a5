"""A rebuild believes the archive only where it holds together and is what the log recorded."""

import json

import pytest
from lane_folders import RUN, LaneFolder

from interlock.errors import ProvenanceError, RegistryError
from interlock.registry.derive import rebuild
from interlock.registry.events import events_path
from interlock.registry.queries import list_runs
from interlock.runs.sync import sync

STATEMENTS = ("judgements/*/judgement.json", "decisions/*/decision.json")


@pytest.fixture
def lane(tmp_path):
    lane = LaneFolder(tmp_path / "artifacts" / "lanes" / "query_tower").finish(verdict="fail", export="completed")
    sync(tmp_path, tmp_path / "home")
    return lane


@pytest.fixture
def home(tmp_path, lane):
    return tmp_path / "home"


def only(home, pattern):
    (path,) = (home / "runs" / RUN).glob(pattern)
    return path


def edit(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize("log", ["kept", "lost"])
def test_a_verdict_that_the_rows_do_not_give_is_refused(home, log):
    path = only(home, STATEMENTS[0])
    edit(path, verdict="pass")
    if log == "lost":
        events_path(home).unlink()
    with pytest.raises(RegistryError, match="rows fold to fail") as caught:
        rebuild(home)
    assert caught.value.path == path


@pytest.mark.parametrize("pattern", STATEMENTS)
@pytest.mark.parametrize("text", ["", "[]", "{}", "\xff"])
def test_what_is_no_statement_is_refused(home, pattern, text):
    path = only(home, pattern)
    path.write_text(text, encoding="latin-1")
    with pytest.raises(RegistryError, match="not valid") as caught:
        rebuild(home)
    assert caught.value.path == path


@pytest.mark.parametrize(("pattern", "key"), [(STATEMENTS[0], "judgement_id"), (STATEMENTS[1], "decision_id")])
def test_one_under_another_name_is_refused(home, pattern, key):
    path = only(home, pattern)
    edit(path, **{key: "f" * 64})
    with pytest.raises(ProvenanceError, match="folder is named") as caught:
        rebuild(home)
    assert caught.value.path == path


def test_one_of_another_run_is_refused(home):
    edit(only(home, STATEMENTS[0]), run_id="f" * 16)
    with pytest.raises(RegistryError, match="another run"):
        rebuild(home)


def forge(path):
    """A judgement that holds together and passes."""
    values = json.loads(path.read_text())
    values["rows"][0]["verdict"] = values["verdict"] = "pass"
    path.write_text(json.dumps(values))


def test_a_coherent_forgery_is_refused_by_the_log(home, lane, tmp_path):
    path = only(home, STATEMENTS[0])
    genuine, log = path.read_bytes(), events_path(home).read_bytes()
    forge(path)
    with pytest.raises(ProvenanceError, match="event log recorded") as caught:
        rebuild(home)
    assert caught.value.path == path
    assert events_path(home).read_bytes() == log
    sync(tmp_path, home)  # puts the genuine one beside it, which must not excuse the forgery
    with pytest.raises(ProvenanceError, match="event log recorded"):
        rebuild(home)
    path.write_bytes(genuine)
    rebuild(home)
    assert [run.verdict for run in list_runs(home)] == ["fail"]


def test_an_edited_decision_is_refused_by_the_log(home):
    path = only(home, STATEMENTS[1])
    edit(path, action="reject")
    with pytest.raises(ProvenanceError, match="event log recorded") as caught:
        rebuild(home)
    assert caught.value.path == path


def test_an_edit_of_reworded_judgement_does_not_fit_its_name(home, lane, tmp_path):
    lane.judge(verdict="fail", words="reworded")
    lane.decide(action="escalate")
    sync(tmp_path, home)
    path = only(home, "judgements/*-*/judgement.json")
    forge(path)
    with pytest.raises(ProvenanceError, match="folder is named") as caught:
        rebuild(home)
    assert caught.value.path == path


def test_a_lost_log_comes_back_beside_a_reworded_judgement(home, lane, tmp_path):
    events_path(home).unlink()
    lane.judge(verdict="fail", words="reworded")
    lane.decide(action="escalate")
    assert dict(sync(tmp_path, home).problems) == {}
    assert rebuild(home).events_added == 0
