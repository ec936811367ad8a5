"""Training that needs a person's yes asks for it and stops; with it the same run trains."""

import json
import os
from datetime import UTC, datetime

import pytest
from toy_homes import ROOT
from toy_text import toy_text

from interlock.errors import ApprovalError
from interlock.registry.approvals import approvals
from interlock.registry.approving import approve, deny
from interlock.registry.events import union
from interlock.registry.persons import Told
from interlock.runs.jobs.waiting import missing_approvals, training_facts
from interlock.runs.runner import run_lane
from interlock.stages.place import Place, load_record
from interlock.stages.progress import Silent

PRODUCTION = "control.production_datasets=[numbers]"
TOLD = Told(by="Ada", reason="the contract allows it")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("INTERLOCK_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def make_place(tmp_path):
    def make(*overrides):
        folder = tmp_path / f"work{len(os.listdir(tmp_path))}"
        folder.mkdir()
        (folder / "params.yaml").write_text(toy_text(*overrides))
        return Place(workspace=ROOT, folder=folder, params=folder / "params.yaml", lane="toy")

    return make


def test_training_on_production_data_asks_and_stops(home, make_place):
    place = make_place(PRODUCTION)
    with pytest.raises(ApprovalError, match=r"dataset numbers is production data with .* samples") as refused:
        run_lane(place, progress=Silent())
    run = refused.value.subject
    assert refused.value.hint == f'interlock approve {run} --for production_data --by NAME --reason "..."'
    assert not (place.folder / "train" / "record.json").exists()
    (asked,) = approvals(home, now=datetime.now(UTC))
    assert (asked.state, asked.subject, asked.purpose) == ("requested", run, "production_data")

    with pytest.raises(ApprovalError, match="nobody has answered"):
        run_lane(place, progress=Silent())
    assert len(union(home)) == 1, "asked once"
    deny(home, run, purpose="production_data", told=TOLD, now=datetime.now(UTC))
    with pytest.raises(ApprovalError, match="Ada denied it"):
        run_lane(place, progress=Silent())
    approve(home, run, purpose="production_data", told=TOLD, now=datetime.now(UTC))
    run_lane(place, progress=Silent())
    assert load_record(place.folder / "train").run_id == run


def test_an_approval_is_of_this_run_alone(home, make_place):
    with pytest.raises(ApprovalError) as refused:
        run_lane(make_place(PRODUCTION), progress=Silent())
    approve(home, refused.value.subject, purpose="production_data", told=TOLD, now=datetime.now(UTC))
    with pytest.raises(ApprovalError, match="nobody was asked yet"):
        run_lane(make_place(PRODUCTION, "seed=2"), progress=Silent())


def test_a_job_waits_for_what_training_would_ask(home, make_place):
    place = make_place(PRODUCTION)
    with pytest.raises(ApprovalError) as refused:
        run_lane(place, progress=Silent())
    (wait,) = missing_approvals(place, home, now=datetime.now(UTC))
    assert refused.value.subject in wait.way_out


@pytest.mark.parametrize("overrides", [(), ("budget.compute_hours_max=9.0",)])
def test_what_needs_none_is_asked_nothing(home, make_place, overrides):
    place = make_place(*overrides)
    run_lane(place, progress=Silent())
    assert not (home / "registry").exists(), "not even a log is made"


def test_few_samples_need_none(home, make_place):
    place = make_place()
    run_lane(place, progress=Silent())
    card = place.folder / "prepare" / "dataset_card.json"
    for samples in (100_000, 100_001):
        card.write_text(json.dumps({"name": "numbers", "samples": samples}))
        assert training_facts(place)["samples"] == samples
