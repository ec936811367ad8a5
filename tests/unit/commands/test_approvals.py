"""approve, deny, waive, approvals and resources as a person types them, and what is shown in red."""

import json
import shutil
from pathlib import Path

import pytest
from toy_homes import judge_by_hand, toy_run
from typer.testing import CliRunner

from interlock.cli.main import app
from interlock.contracts.quotas import Quotas
from interlock.errors import ApprovalError, InterlockError, UsageError
from interlock.provenance.signing import SIGNING_KEY_VARIABLE, new_key
from interlock.registry.control.processes import this_process
from interlock.registry.control.reservations import Reservations
from interlock.registry.control.store import ControlStore
from interlock.registry.promotion import promote
from interlock.registry.queries import list_models
from interlock.reports.page import run_page
from interlock.runs.review.facts import run_facts

ROOT = Path(__file__).resolve().parents[3]
SAID = ("--by", "Ada", "--reason", "seen [in] staging")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    toy_run(folder / "home", folder / "work")
    return folder / "home"


@pytest.fixture
def home(archive, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("INTERLOCK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    return shutil.copytree(archive, tmp_path / "home")


@pytest.fixture
def model(home):
    return list_models(home)[0]


def ran(*words, code=0):
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == code, (done.output, done.exception)
    return done.output


def refused(*words):
    error = CliRunner().invoke(app, [str(word) for word in words]).exception
    assert isinstance(error, InterlockError)
    return error


def test_purposes_and_configured_agents(model):
    error = refused("approve", model.id, "--for", "fun", *SAID)
    assert isinstance(error, UsageError)
    assert "deployment or first_release or" in str(error.hint)
    error = refused("approve", model.id, "--for", "first_release", "--by", "dir models", "--reason", "x")
    assert "only a person may say yes or no" in str(error)


def test_a_yes_is_listed_and_taken_back(home, model, tmp_path, monkeypatch):
    assert "nobody was asked for anything yet" in ran("approvals", "list")
    key = tmp_path / "key"
    new_key(key)
    new_key(tmp_path / "other")
    monkeypatch.setenv(SIGNING_KEY_VARIABLE, str(key))
    out = ran("approve", model.id, "--for", "first_release", *SAID, "--digest", model.sha256[:12])
    assert "granted" in out
    assert "seen [in] staging" in out
    assert "not checked" in ran("approvals", "list")
    assert "signature holds" in ran("approvals", "list", "--key", f"{key}.pub")
    assert "NOT PROVEN: it is signed with another key" in ran("approvals", "list", "--key", tmp_path / "other.pub")
    ran("deny", model.id, "--for", "first_release", "--by", "Bo", "--reason", "too early")
    (found,) = json.loads(ran("approvals", "list", "--json"))["approvals"]
    assert (found["state"], found["by"], found["subject"]) == ("denied", "Bo", model.sha256)
    promote(home, model.id, to="staging", by="Ada", reason="x")
    with pytest.raises(ApprovalError, match="Bo denied it"):
        promote(home, model.id, to="production", by="Ada", reason="x")


def test_a_waiver_is_seen_wherever_the_run_is(home, model):
    run = model.run_id
    assert "needs none" in str(refused("waive", run, *SAID).hint)
    judge_by_hand(home, run, target=float(model.metrics["accuracy"]))
    assert "verdict stays inconclusive" in ran("waive", run, *SAID, "--expires", "7d")
    line = "WAIVED by Ada until "
    assert "inconclusive waived" in ran("runs", "list")
    assert line in ran("runs", "show", run)
    assert "inconclusive waived" in ran("registry", "list")
    assert line in ran("registry", "show", model.id)
    assert f"standing  waiver of {run}" in ran("approvals", "list")
    (row,) = json.loads(ran("runs", "list", "--json"))
    assert (row["verdict"], row["waived"][: len(line)]) == ("inconclusive", line)
    page = run_page([run_facts(home, run, workspace=ROOT)], title="t", subtitle="s")
    assert f'class="waived" role="alert">{line}' in page
    assert "seen [in] staging. The verdict stays inconclusive." in page


def test_moves_and_their_history(home, model):
    promote(home, model.id, to="staging", by="Ada", reason="best")
    assert "staging -> shadow" in ran("registry", "demote", model.id, "--to", "shadow", *SAID)
    assert "no such stage" in str(refused("registry", "demote", model.id, "--to", "canary", *SAID))
    assert "shadow -> retired" in ran("registry", "retire", model.id, *SAID)
    assert "not in production or canary" in str(refused("registry", "rollback", model.id, *SAID))
    out = ran("registry", "history", model.id)
    assert [stage in out for stage in ("candidate", "staging", "shadow", "retired")] == [True] * 4
    assert "seen [in] staging" in out
    stages = [change["to_stage"] for change in json.loads(ran("registry", "history", model.id, "--json"))]
    assert stages == ["candidate", "staging", "shadow", "retired"]


def test_resources_are_listed_and_given_back(home):
    assert "nobody holds or waits for anything" in ran("resources", "list")
    held = Reservations(ControlStore(home), Quotas()).reserve({"cuda": 1}, holder=this_process(run="abc"))
    out = ran("resources", "list")
    assert "cuda     1 held, unlimited" in out
    assert f"granted  {held.id}  1 cuda  abc (process" in out
    assert "released" in ran("resources", "release", held.id)
    assert json.loads(ran("resources", "list", "--json"))["reservations"] == []
    assert "no such reservation" in str(refused("resources", "release", "nothing"))
