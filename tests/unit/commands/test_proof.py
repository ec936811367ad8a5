"""verify, sign, keygen and statement as a person types them."""

import json
import shutil
from pathlib import Path

import pytest
from forger import Forger
from honest_runs import HonestRuns
from typer.testing import CliRunner

from interlock.cli.main import app
from interlock.errors import UsageError
from interlock.provenance.signing import load_public, verified_payload
from interlock.registry.events import events_path

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("proof")
    return folder / "home", HonestRuns(folder, workspace=ROOT).run(folder / "home", seed=1)


@pytest.fixture
def home(made, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("INTERLOCK_HOME", str(tmp_path / "home"))
    return shutil.copytree(made[0], tmp_path / "home")


@pytest.fixture
def run_id(made):
    return made[1]


def ran(*words, code=0):
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == code, (done.output, done.exception)
    return done.output


def refused(*words):
    error = CliRunner().invoke(app, [str(word) for word in words]).exception
    assert isinstance(error, UsageError)
    return error


def test_a_run_that_holds(home, run_id):
    out = ran("verify", run_id[:6])
    assert f"run {run_id}: verified" in out
    assert "run card -> models/model.safetensors" in out
    assert "the run is not signed" in out
    assert out.count("✗") == 0


def test_a_broken_run_ends_with_1_and_the_first_broken_link(home, run_id):
    Forger(home, run_id).write("models/metrics.json", b"{}")
    out = ran("verify", run_id, code=1)
    last = out[out.index("broken, first at:") :]
    assert "run card -> models/metrics.json: sha256 is 44136fa355b3..., the card says" in last
    assert f"file: runs/{run_id}/models/metrics.json" in last
    assert "way out: " in last


def test_json_says_the_same(home, run_id):
    found = json.loads(ran("verify", run_id, "--json"))
    assert (found["ok"], found["first_broken"], found["run_id"]) == (True, None, run_id)
    Forger(home, run_id).write("models/metrics.json", b"{}")
    found = json.loads(ran("verify", run_id, "--json", code=1))
    assert found["first_broken"]["name"] == "run card -> models/metrics.json"
    assert found["first_broken"]["state"] == "broken"


def test_all_runs_and_the_home_itself(home, run_id):
    assert "1 run, 0 broken" in ran("verify", "--all")
    assert json.loads(ran("verify", "--all", "--json"))["ok"] is True
    (home / "runs" / run_id).rename(home / "runs" / ("e" * 16))
    out = ran("verify", "--all", code=1)
    assert f"event log -> runs/{run_id}: the run's folder is missing" in out
    assert "the home itself is broken" in out


def test_what_was_not_checked_of_all_runs_is_named_once(made, home, run_id, tmp_path):
    other = HonestRuns(tmp_path, workspace=ROOT).run(home, seed=2)
    out = ran("verify", "--all")
    assert out.count("signature: the run is not signed") == 1
    assert "found out (2 runs)\n    way out: interlock sign RUN" in out
    ran("keygen", tmp_path / "key")
    ran("sign", run_id, "--key", tmp_path / "key")
    assert f"found out (run {other})\n" in ran("verify", "--all")


def test_runs_show_lists_judgements_and_every_attempt(home, run_id):
    out = ran("runs", "show", run_id)
    view = json.loads(ran("runs", "show", run_id, "--json"))
    (judgement,) = view["judgements"]
    assert (judgement["verdict"], judgement["source"]) == ("pass", "pipeline")
    when = judgement["at"][:16].replace("T", " ")
    (row,) = (line for line in out.splitlines() if judgement["id"] in line)
    assert row.split() == ["pass", *when.split(), "the", "pipeline", judgement["id"]]
    stages = ["prepare", "train", "evaluate", "export", "judge", "decide"]
    assert [line.split()[0] for line in out.splitlines() if " attempt " in line] == stages
    assert [row["start"]["stage"] for row in view["attempts"]] == stages


def test_attempts_of_a_run_that_was_made_elsewhere_are_the_archived_ones(home, run_id):
    shutil.rmtree(home / "state")
    stages = [row["start"]["stage"] for row in json.loads(ran("runs", "show", run_id, "--json"))["attempts"]]
    assert stages == ["train", "evaluate", "export", "judge", "decide"]
    assert [line.split()[0] for line in ran("runs", "show", run_id).splitlines() if " attempt " in line] == [
        "prepare", *stages,
    ]  # fmt: skip


def test_a_run_is_found_although_the_log_is_broken(home, run_id):
    events_path(home).write_text("no log\n")
    assert "registry/events.jsonl line 1: the chain is broken" in ran("verify", run_id, code=1)


@pytest.mark.parametrize("words", [("verify",), ("verify", "a", "--all")])
def test_one_run_or_all(home, words):
    assert "name one run" in refused(*words).message


def test_an_unknown_run_is_a_wrong_command(home, run_id):
    error = refused("verify", "nothing")
    assert error.exit_code == 2
    assert run_id in error.hint


def test_from_a_new_key_to_a_signed_statement(home, run_id, tmp_path):
    key, public = tmp_path / "key", tmp_path / "key.pub"
    assert "signs and stays yours alone" in ran("keygen", key)
    assert "never overwritten" in refused("keygen", key).message
    assert "the run is not signed" in ran("verify", run_id, "--key", public, code=1)
    assert f"run {run_id}: signed, " in ran("sign", run_id, "--key", key)
    assert "signed already" in ran("sign", run_id, "--key", key)
    assert "signed by" in ran("verify", run_id, "--key", public)
    ran("statement", run_id, "--signed", "--out", tmp_path / "envelope.json")
    payload = verified_payload((tmp_path / "envelope.json").read_bytes(), load_public(public))
    assert payload.decode() + "\n" == ran("statement", run_id)


def test_nothing_is_stated_of_a_run_that_was_changed(home, run_id):
    Forger(home, run_id).write("models/metrics.json", b"{}")
    error = CliRunner().invoke(app, ["statement", run_id]).exception
    assert error.exit_code == 1
    assert "nothing is stated of it: run card -> models/metrics.json" in error.message


def test_a_project_without_runs_is_not_called_broken(home):
    shutil.rmtree(home)
    nothing = "no runs yet: dvc repro, then interlock sync\n"
    assert ran("verify", "--all") == nothing
    ran("registry", "rebuild")
    assert ran("verify", "--all") == nothing


@pytest.mark.parametrize("gone", [["runs"], ["registry"], ["runs", "registry/events.jsonl"]])
def test_a_home_that_lost_runs_or_log_is_broken(home, gone):
    ran("runs", "list")
    for name in gone:
        shutil.rmtree(home / name) if (home / name).is_dir() else (home / name).unlink()
    assert "the home itself is broken" in ran("verify", "--all", code=1)


def test_signing_needs_a_key(home, run_id):
    assert "INTERLOCK_SIGNING_KEY" in refused("sign", run_id).hint


def test_an_envelope_that_is_not_there(home, run_id):
    assert "no such signature" in refused("statement", run_id, "--signed").message
