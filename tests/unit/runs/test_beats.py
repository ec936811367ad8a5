"""Heartbeats of a stage: what they say, that they never disturb the work, and that they cost nothing."""

import time

import pytest

from interlock.registry.control.heartbeats import history, newest
from interlock.registry.control.store import ControlStore
from interlock.runs.beats import beating
from interlock.runs.runner import run_lane
from interlock.stages.progress import Silent, tracked


class Heard(Silent):
    def __init__(self):
        self.lines = []

    def message(self, text):
        self.lines.append(text)


@pytest.fixture
def beats(tmp_path, monkeypatch):
    monkeypatch.setenv("INTERLOCK_JOB", "jc-1")

    def read():
        with ControlStore(tmp_path / "home") as store:
            return history(store, job="jc-1")

    return read


def test_a_stage_says_who_it_is_how_far_it_is_and_how_it_ended(make_place, beats):
    place = make_place("control.heartbeat_s=0.02")
    with beating(place, Silent()) as progress:
        progress.stage_begins("train", "0" * 16)
        progress.message("epoch 1/4")
        for step in progress.track(range(10, 30), "training", total=20):
            if step == 15:
                progress.curve(16, {"epoch": 2.0, "train/loss": 0.25})
            time.sleep(0.01)
    found = beats()
    assert {item.agent for item in found} == {"Mgr-Models-02"}
    first, last = found[0], found[-1]
    assert (first.state, last.state) == ("training", "completed")
    assert (first.parent_agent, first.run_id, first.stage, first.lane) == ("Dir-Models", "0" * 16, "train", "toy")
    assert (last.step, last.steps, last.epoch, last.loss, last.message) == (30, 30, 2, 0.25, "epoch 1/4")
    middle = found[len(found) // 2]
    assert 10 <= (middle.step or 0) <= 30
    assert (middle.time_remaining_s or 0.0) < 5
    assert len(found) >= 4
    assert last.pid
    assert (last.memory_bytes or 0) > 1e6


@pytest.mark.parametrize(
    ("overrides", "model"),
    [
        ([], None),
        (["llm=anthropic"], "anthropic/claude-sonnet-4-5"),
        (["llm=fallback", "agents.dir_models.policy.proposal.models=[nobody,local]"],
         "openai_compatible/deepseek-r1:7b-q4_k_m"),
    ],
)  # fmt: skip
def test_an_agent_names_the_model_that_it_would_ask_first(make_place, beats, overrides, model):
    place = make_place(*overrides)
    with beating(place, Silent()) as progress:
        progress.stage_begins("decide", "0" * 16)
    assert {item.llm_model for item in beats()} == {model}
    with beating(place, Silent()) as progress:
        progress.stage_begins("train", "0" * 16)
    assert beats()[-1].llm_model is None, "managers decide by rules"


def test_every_stage_has_its_own_and_the_director_names_its_managers(make_place, beats):
    run_lane(make_place(), progress=Silent())
    ended = [item for item in beats() if item.state == "completed"]
    assert [item.stage for item in ended] == ["prepare", "train", "evaluate", "export", "judge", "decide"]
    assert ended[-1].agent == "Dir-Models"
    assert ended[-1].children_agents == tuple(f"Mgr-Models-0{number}" for number in (1, 2, 3, 4))
    assert ended[0].run_id is None
    assert ended[1].run_id == ended[-1].run_id


@pytest.mark.parametrize(("error", "state"), [(ValueError("x"), "failed"), (KeyboardInterrupt(), "interrupted")])
def test_an_end_by_an_error_is_said_and_the_error_goes_on(make_place, beats, error, state):
    def work():
        with beating(make_place(), Silent()) as progress:
            progress.stage_begins("train", "r")
            raise error

    with pytest.raises(type(error)):
        work()
    assert beats()[-1].state == state


def test_a_store_that_cannot_be_written_is_said_once_and_costs_nothing(make_place, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "state").write_text("in the way")
    heard = Heard()
    with beating(make_place("control.heartbeat_s=0.01"), heard) as progress:
        progress.stage_begins("train", "r")
        assert list(progress.track(range(3), "x")) == [0, 1, 2]
        time.sleep(0.1)
    assert len([line for line in heard.lines if line.startswith("heartbeats cannot be written")]) == 1


def test_before_any_stage_everything_is_passed_on(make_place):
    heard = Heard()
    with beating(make_place(), heard) as progress:
        assert list(progress.track(iter("ab"), "x")) == ["a", "b"]
        progress.message("hello")
        progress.curve(1, {"loss": 1.0})
    assert heard.lines == ["hello"]


def test_counting_a_step_costs_less_than_a_microsecond_or_two(make_place):
    """A training step takes milliseconds; a thousandth of that is the budget."""
    with tracked(make_place(), Silent()) as progress:
        progress.stage_begins("evaluate", "r")
        started = time.process_time()
        for _ in progress.track(range(100_000), "x"):
            pass
        assert (time.process_time() - started) / 100_000 < 5e-6


def test_newest_reads_back_what_a_stage_wrote(make_place, tmp_path, beats):
    with beating(make_place(), Silent()) as progress:
        progress.stage_begins("prepare", None)
    with ControlStore(tmp_path / "home") as store:
        assert newest(store, agent="Mgr-Models-01") == beats()[-1:]


def test_a_stage_that_begins_again_had_failed(make_place, beats):
    with beating(make_place(), Silent()) as progress:
        for run_id in ("a", "b"):
            progress.stage_begins("train", run_id)
    ended = [(item.run_id, item.state) for item in beats() if item.state != "training"]
    assert ended == [("a", "failed"), ("b", "completed")]
