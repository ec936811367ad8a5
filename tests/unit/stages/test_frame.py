"""A stage believes nothing unfinished or changed, and leaves nothing believable behind when it fails."""

import json

import pytest

from interlock.errors import InterlockError, ProvenanceError, StageError
from interlock.lanes.spec import StageOutcome
from interlock.provenance.attempts import list_attempts
from interlock.stages import prepare, train
from interlock.stages.frame import run_stage
from interlock.stages.place import load_record
from interlock.stages.progress import Silent

QUIET = Silent()


def no_run(frame):
    return None


def test_a_stage_without_its_inputs_is_refused(make_place):
    with pytest.raises(StageError, match="has not finished"):
        train.run(make_place(), progress=QUIET)


def test_a_changed_input_is_refused(make_place):
    place = make_place()
    prepare.run(place, progress=QUIET)
    numbers = place.folder / "prepare" / "numbers.json"
    numbers.write_text(numbers.read_text().replace("0.7", "0.9", 1))
    with pytest.raises(ProvenanceError, match="differs from its recorded digest"):
        train.run(place, progress=QUIET)


def test_a_deleted_input_file_is_refused(make_place):
    place = make_place()
    prepare.run(place, progress=QUIET)
    (place.folder / "prepare" / "numbers.json").unlink()
    with pytest.raises(ProvenanceError, match="is missing"):
        train.run(place, progress=QUIET)


@pytest.mark.parametrize("error", [RuntimeError("boom"), KeyboardInterrupt(), InterlockError("no")])
def test_a_failing_stage_leaves_no_record_and_closes_its_attempt(make_place, error, tmp_path):
    place = make_place()
    prepare.run(place, progress=QUIET)

    def fail(frame):
        (frame.folder / "half.txt").write_text("half")
        raise error

    with pytest.raises(type(error)):
        run_stage("prepare", place, fail, progress=QUIET, identify=no_run)
    assert not (place.folder / "prepare" / "record.json").exists()
    ends = [attempt.end for attempt in list_attempts(tmp_path / "home", lane="toy", stage="prepare")]
    assert len(ends) == 2
    assert all(end is not None for end in ends)
    with pytest.raises(StageError, match="has not finished"):
        train.run(place, progress=QUIET)


def test_a_damaged_record_is_refused(make_place):
    place = make_place()
    prepare.run(place, progress=QUIET)
    record = place.folder / "prepare" / "record.json"
    record.write_text(record.read_text()[:-20])
    with pytest.raises(StageError, match="record is not valid"):
        load_record(place.folder / "prepare")


def test_the_same_inputs_write_the_same_bytes(make_place):
    first, second = make_place(name="a"), make_place(name="b")
    for place in (first, second):
        prepare.run(place, progress=QUIET)
        train.run(place, progress=QUIET)
    for stage in ("prepare", "train"):
        for name in ("record.json", "outputs.json"):
            assert (first.folder / stage / name).read_bytes() == (second.folder / stage / name).read_bytes()


def test_volatile_files_stay_out_of_the_outputs(make_place):
    place = make_place()

    def work(frame):
        (frame.folder / "log.txt").write_text("12:00")
        (frame.folder / "result.txt").write_text("1")
        return StageOutcome(volatile_files=("log.txt",), volatile_facts={"seconds": 1.5})

    record = run_stage("prepare", place, work, progress=QUIET, identify=no_run)
    assert list(record.artifacts) == ["result.txt"]
    assert record.volatile == ("log.txt",)
    observed = json.loads((place.folder / "prepare" / "observations.json").read_text())
    assert list(observed["volatile_artifacts"]) == ["log.txt"]
    assert observed["facts"] == {"seconds": 1.5}


def test_a_lane_sees_only_the_tracked_configuration(make_place, monkeypatch):
    import toy_lane.data

    def peek(job):
        return StageOutcome(facts={"steps": job.lane.trainer.steps})

    monkeypatch.setattr(toy_lane.data, "prepare", peek)
    with pytest.raises(AttributeError):
        prepare.run(make_place(), progress=QUIET)


def test_the_run_id_follows_the_body_and_not_the_gates(make_place):
    def run_id(*overrides, name):
        place = make_place(*overrides, name=name)
        prepare.run(place, progress=QUIET)
        return train.run(place, progress=QUIET).run_id

    base = run_id(name="a")
    beside = ("lane.gates.accuracy.target=0.1", "budget.compute_hours_max=9", "experiment.notes=x")
    assert run_id(*beside, name="b") == base
    assert run_id("lane.optimizer.lr=0.4", name="c") != base
    assert run_id("seed=2", name="d") != base
    assert run_id("hardware.threads=1", name="e") != base
    assert run_id("lane.data.count=401", name="f") != base
