"""`interlock run` of a lane that is made from another one: DVC's where it is current, else one of its own."""

import os

import pytest
from toy_pair import STRICT, ToyPair

from interlock.commands.running import run_place
from interlock.contracts.verdict import Verdict
from interlock.errors import ConfigError, UnpassedInputError
from interlock.registry.archive import read_card
from interlock.registry.verify import verify_run
from interlock.runs.runner import needed_folders
from interlock.runs.sweeps.jobs import ComposedJob, context_digest
from interlock.stages.current import why_not_current
from interlock.stages.place import load_record
from interlock.stages.progress import Silent


class Heard(Silent):
    """Keeps what is said, and the curves."""

    def __init__(self):
        self.lines, self.curves = [], []

    def message(self, text):
        self.lines.append(text)

    def curve(self, step, values):
        self.curves.append(step)

    def ran(self):
        return [line.removesuffix(": running") for line in self.lines if line.endswith(": running")]


STAGES = ["prepare", "train", "evaluate", "export", "judge", "decide"]
OF_BASE = [f"base: {stage}" for stage in STAGES]


@pytest.fixture
def pair(tmp_path):
    return ToyPair(tmp_path / "w")


def run(place):
    heard = Heard()
    judgement = run_place(place, progress=heard)
    return judgement, heard


def test_the_other_lane_runs_first_and_once(pair):
    place = pair.place()
    judgement, heard = run(place)
    assert judgement.verdict is Verdict.PASS
    assert heard.ran() == [*OF_BASE, *STAGES]
    assert len(heard.curves) == 20, "the other lane's curves are not this one's"
    assert run(pair.place())[1].ran() == []
    (base,) = needed_folders(place)
    assert base.name.startswith("toy-")
    input_run = load_record(base / "train").run_id
    assert read_card(pair.home, judgement.run_id).inputs["base"].startswith(f"run:{input_run}@sha256:")
    assert read_card(pair.home, input_run).lane == "toy", "it is archived with the run that is made from it"
    found = verify_run(pair.home, judgement.run_id)
    assert found.ok, found.first_broken
    assert [link.state for link in found.links if link.section == "inputs"] == ["holds"] * 7


@pytest.mark.slow
def test_what_dvc_has_is_taken_and_gives_the_same_run(pair):
    own, _ = run(pair.place())
    pair.dvc("toy")
    judgement, heard = run(pair.place())
    assert heard.lines[0] == "base: lane toy as DVC has it"
    assert (judgement.run_id, heard.ran()) == (own.run_id, [])
    assert needed_folders(pair.place()) == [pair.lane("toy").folder]
    pair.dvc("follower")
    assert pair.run_id("follower") == own.run_id


@pytest.mark.slow
def test_what_dvc_has_of_another_configuration_is_not_taken(pair):
    pair.dvc("toy")
    pair.params(toy={"seed": 2})
    place = pair.place()
    _, heard = run(place)
    assert heard.ran() == [*OF_BASE[1:], *STAGES], "its data is the same and is taken over"
    assert why_not_current("train", pair.lane("toy")) == ""  # as it was composed; params.yaml is newer
    assert needed_folders(place) != [pair.lane("toy").folder]


@pytest.mark.slow
def test_what_was_damaged_in_dvcs_folder_is_not_taken(pair):
    pair.dvc("toy")
    os.truncate(pair.lane("toy").folder / "train/model.safetensors", 3)
    _, heard = run(pair.place())
    assert heard.ran() == [*OF_BASE[1:], *STAGES], "what is whole is taken over"


@pytest.mark.slow
def test_other_configurations_of_the_other_lane_never_share_a_folder(pair):
    first = pair.place()
    pair.params(toy={"seed": 2})
    second = pair.place()
    assert first.params.read_text() == second.params.read_text()
    assert first.folder != second.folder
    runs = {run(place)[0].run_id for place in (first, second)}
    assert len(runs) == 2
    prepared = {(place.folder / "prepare").resolve() for place in (first, second)}
    assert len(prepared) == 2, "data that is made from another run is not shared"


@pytest.mark.slow
def test_a_lane_that_fails_stops_the_one_that_is_made_from_it(pair):
    pair.params(toy=STRICT)
    with pytest.raises(UnpassedInputError, match="has the verdict fail"):
        run(pair.place())
    judgement, heard = run(pair.place("lane.allow_unpassed.base=true"))
    assert heard.ran() == STAGES
    assert read_card(pair.home, judgement.run_id).observations.unpassed_inputs == {"base": "fail"}


@pytest.mark.slow
def test_a_chain_of_three(pair):
    pair.lane_file("third", inputs="{base: lane:toy, start: lane:follower}")
    pair.params("[third, follower, toy]")
    place = pair.place(lane="third")
    judgement, heard = run(place)
    assert heard.ran() == [*OF_BASE, *(f"start: {stage}" for stage in STAGES), *STAGES]
    assert [folder.name.split("-")[0] for folder in needed_folders(place)] == ["toy", "follower"]
    assert run(pair.place(lane="third"))[1].ran() == []
    pair.dvc("toy", "follower")
    again, heard = run(pair.place(lane="third"))
    assert (again.run_id, heard.ran()) == (judgement.run_id, [])


def test_a_fault_of_the_other_lane_is_told_before_anything_runs(pair):
    pair.params(toy={"lane": {"optimizer": {"lr": 7}}})
    with pytest.raises(ConfigError, match="lane toy is refused"):
        pair.place()
    assert not (pair.home / "work").exists()


def test_a_sweep_is_another_one_when_the_other_lane_is(pair):
    def context():
        job, other = (pair.composed(lane=lane) for lane in ("follower", "toy"))
        need = ComposedJob(overrides=(), lane="toy", text=toy.params.read_text(), experiment=other)
        job = ComposedJob(overrides=(), lane="follower", text="", experiment=job, needs=(need,))
        return context_digest(pair.path, [job])

    toy = pair.place(lane="toy")
    before = context()
    toy.params.write_text(toy.params.read_text().replace("seed: 1", "seed: 2"))
    assert context() != before
