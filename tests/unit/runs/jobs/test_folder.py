"""A job on disk: one id is one card for ever, and its state follows from its journal alone."""

import os
import subprocess
import sys

import pytest

from interlock.errors import BusyError, ProvenanceError, UsageError
from interlock.runs.jobs.accept import accept_job
from interlock.runs.jobs.folder import JobFolder, job_ids
from interlock.runs.jobs.states import JobEvent, JobState
from interlock.runs.jobs.view import job_view
from interlock.runs.jobs.workers import found_again

CARD = "id: jc-1\nrole: director\nlane: Models\nmodel_type: toy\ntask: estimate a mean\n"


@pytest.fixture
def accept(composer, root, tmp_path, monkeypatch):
    monkeypatch.setenv("INTERLOCK_HOME", str(tmp_path))

    def take(text=CARD):
        return accept_job(text.encode(), "card.yaml", composer=composer, workspace=root, home=tmp_path)

    return take


def test_the_same_card_is_the_same_job_and_another_one_is_refused(accept, tmp_path):
    assert accept().is_new
    assert not accept("# comment\n" + CARD).is_new
    with pytest.raises(UsageError, match="belongs to another card"):
        accept(CARD.replace("mean", "median"))
    assert job_ids(tmp_path) == ("jc-1",)
    assert accept().job.state() is JobState.SUBMITTED


def test_what_was_submitted_is_kept_to_the_byte_with_its_manager_cards(accept):
    job = accept(CARD + "# by hand\n").job
    assert (job.path / "card.yaml").read_text().endswith("# by hand\n")
    assert sorted(path.name for path in (job.path / "managers").iterdir()) == [
        f"jc-1-mgr0{number}.yaml" for number in (1, 2, 3, 4)
    ]


def test_creating_it_again_after_a_kill_in_the_middle_is_creating_it(accept):
    job = accept().job
    (job.path / "job.json").unlink()
    assert accept().is_new
    assert [entry.event for entry in job.journal()] == [JobEvent.SUBMITTED]


def test_its_place_is_made_again_and_a_changed_configuration_is_refused(accept, root):
    job = accept().job
    place = job.place(root)
    place.params.unlink()
    assert job.place(root) == place
    assert place.params.is_file()
    params = job.path / "params.yaml"
    params.write_text(params.read_text().replace("seed: 1", "seed: 2"))
    with pytest.raises(ProvenanceError, match="not the one that it was submitted with"):
        job.place(root)


def test_impossible_events_and_changed_journals_are_refused(accept):
    job = accept().job
    with pytest.raises(ProvenanceError, match="cannot be completed"):
        job.write(JobEvent.COMPLETED, at=1.0)
    assert job.write(JobEvent.WAITS, at=2.0, reasons=["x"]) is JobState.WAITING
    journal = job.path / "journal.jsonl"
    journal.write_text(journal.read_text().replace('"waits"', '"started"'))
    with pytest.raises(ProvenanceError, match="chain is broken"):
        job.state()


def test_an_unknown_job_names_the_nearest(accept, tmp_path):
    accept()
    with pytest.raises(UsageError) as caught:
        JobFolder(tmp_path, "jc-2").record()
    assert caught.value.hint == "did you mean jc-1?"


def test_one_director_at_a_time(accept):
    job = accept().job
    with job.running():
        assert job.has_runner
        with pytest.raises(BusyError), job.running():
            pass
    assert not job.has_runner


def test_a_view_of_a_job_that_never_ran(accept, root):
    view = job_view(accept().job, root)
    assert [manager.state for manager in view.managers] == ["waiting"] * 5
    assert (view.state, view.run_id, view.verdict, view.has_runner) == (JobState.SUBMITTED, None, None, False)
    assert [manager.agent for manager in view.managers][-1] == "Dir-Models"


def test_a_process_id_that_was_given_anew_is_nobodys_worker():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        import psutil

        started_s = psutil.Process(process.pid).create_time()
        assert found_again(process.pid, started_s) is not None
        assert found_again(process.pid, started_s - 60) is None
        assert found_again(os.getpid(), started_s + 3600) is None
    assert found_again(process.pid, started_s) is None


def test_a_record_that_was_changed_after_it_was_submitted_is_refused(accept):
    """As the work's folder follows from the configuration, this is also what keeps that from being exchanged."""
    path = accept().job.path / "job.json"
    path.write_text(path.read_text().replace('"lane": "toy"', '"lane": "toy2"'))
    with pytest.raises(ProvenanceError, match="not the one that it was submitted with"):
        JobFolder(path.parents[2], "jc-1").record()
