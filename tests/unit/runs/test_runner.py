"""The runner repeats nothing that is current and everything that is not."""

import json

import pytest

from interlock.contracts.stage import STAGES
from interlock.runs.runner import run_lane
from interlock.stages import prepare
from interlock.stages.current import why_not_current
from interlock.stages.place import load_record
from interlock.stages.progress import Silent


class Heard(Silent):
    def __init__(self):
        self.lines = []

    def message(self, text):
        self.lines.append(text)

    def ran(self):
        return [line.split(":")[0] for line in self.lines if line.endswith(": running")]


def run(place):
    heard = Heard()
    run_lane(place, progress=heard)
    return heard.ran()


def test_all_stages_then_none(make_place):
    place = make_place()
    assert run(place) == list(STAGES)
    assert run(place) == []


@pytest.mark.parametrize(
    ("override", "stages"),
    [
        ("lane.gates.accuracy.target=0.7", ["export", "judge", "decide"]),
        ("lane.optimizer.lr=0.4", ["train", "evaluate", "export", "judge", "decide"]),
        ("max_attempts=3", ["decide"]),
        ("budget.compute_hours_max=1", []),
        pytest.param("experiment.notes=hello", [], marks=pytest.mark.slow),
    ],
)
def test_a_change_runs_what_it_touches(make_place, override, stages):
    run(make_place())
    assert run(make_place(override)) == stages


def test_a_tampered_artifact_runs_again(make_place):
    place = make_place()
    run(place)
    (place.folder / "train" / "model.safetensors").write_bytes(b"other")
    assert "differs from its recorded digest" in why_not_current("train", place)
    assert "train" in run(place)


def test_a_failed_gate_skips_the_export_and_is_a_result(make_place):
    place = make_place("lane.gates.accuracy.target=0.99")
    run(place)
    record = load_record(place.folder / "export")
    assert record.status == "skipped"
    assert "accuracy 0.900" in record.reason
    assert json.loads((place.folder / "judge" / "judgement.json").read_text())["verdict"] == "fail"
    decision = json.loads((place.folder / "decide" / "decision.json").read_text())
    assert decision["action"] in ("retrain", "escalate")
    assert run(place) == []


def test_what_dvc_prepared_is_taken_over(make_place, tmp_path, monkeypatch):
    place = make_place()
    monkeypatch.setattr("interlock.stages.place.Place.of_workspace", lambda workspace, lane: make_place(name="dvc"))
    prepare.run(make_place(name="dvc"), progress=Heard())
    assert run(place) == ["train", "evaluate", "export", "judge", "decide"]
    other = make_place("lane.data.count=401", name="other")
    assert run(other)[0] == "prepare"


def test_prepared_data_is_shared_between_jobs(make_place):
    first, second = make_place(name="a"), make_place("lane.optimizer.lr=0.3", name="b")
    run(first)
    assert run(second) == ["train", "evaluate", "export", "judge", "decide"]
    assert (first.folder / "prepare").resolve() == (second.folder / "prepare").resolve()
