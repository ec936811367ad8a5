"""Tracking hangs on training and never the other way round: nothing that goes wrong here reaches the training."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from interlock.errors import PrunedError
from interlock.stages import progress as progress_module
from interlock.stages.progress import Silent, tracked
from interlock.tracking.jsonl import JsonlTracker, is_being_written, writing

RUN_ID = "0123456789abcdef"


class Watched(Silent):
    """Keeps what it is told."""

    def __init__(self, pruned_at: int | None = None) -> None:
        self.said: list[str] = []
        self.steps: list[int] = []
        self.stages: list[str] = []
        self._pruned_at = pruned_at

    def message(self, text: str) -> None:
        self.said.append(text)

    def stage_begins(self, stage: Any, run_id: str | None) -> None:
        self.stages.append(stage)

    def curve(self, step: int, values: Any) -> None:
        self.steps.append(step)
        if step == self._pruned_at:
            raise PrunedError("given up")


def tracking(place: Any) -> Path:
    return Path(place.folder).parent / "home" / "tracking" / RUN_ID


def steps_of(place: Any) -> list[int]:
    return [json.loads(line)["step"] for line in (tracking(place) / "curves.jsonl").read_text().splitlines()]


def test_the_curves_and_what_the_run_is_stand_in_files(make_place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    place, inner = make_place(), Watched()
    monkeypatch.setenv("INTERLOCK_SWEEP", "sweep-7")
    monkeypatch.setenv("DVC_EXP_NAME", "bony-hare")
    with tracked(place, inner) as watched:
        watched.stage_begins("train", RUN_ID)
        watched.curve(1, {"loss": 0.5})
        assert is_being_written(tracking(place))
        watched.stage_begins("evaluate", RUN_ID)
        assert not is_being_written(tracking(place))
        assert json.loads((tracking(place) / "finished.json").read_text()) == {"exit_code": 0}
    run = json.loads((tracking(place) / "run.json").read_text())
    assert (run["group"], run["job_type"], run["config"]["seed"]) == ("sweep-7", "sweep", 1)
    assert run["config"]["interlock"] == {"run_id": RUN_ID, "sweep": "sweep-7", "dvc_experiment": "bony-hare"}
    assert "tracking" not in run["config"]
    assert (inner.stages, inner.steps, inner.said, steps_of(place)) == (["train", "evaluate"], [1], [], [1])


def test_other_stages_are_not_tracked(make_place: Any) -> None:
    place = make_place()
    with tracked(place, Watched()) as watched:
        watched.stage_begins("prepare", None)
        watched.stage_begins("evaluate", RUN_ID)
        watched.curve(1, {"loss": 0.5})
    assert not tracking(place).exists()


def trained(place: Any, inner: Watched, *, steps: int) -> None:
    with tracked(place, inner) as watched:
        watched.stage_begins("train", RUN_ID)
        for step in range(1, steps + 1):
            watched.curve(step, {"loss": 1 / step})


def test_a_training_that_is_given_up_passes_through_with_its_last_point(make_place: Any) -> None:
    place = make_place()
    with pytest.raises(PrunedError):
        trained(place, Watched(pruned_at=2), steps=5)
    assert steps_of(place) == [1, 2]
    assert json.loads((tracking(place) / "finished.json").read_text()) == {"exit_code": 1}


@pytest.mark.parametrize("method", ["begin", "curve", "finish"])
@pytest.mark.parametrize(
    "error",
    [RuntimeError("a defect"), *(pytest.param(e, marks=pytest.mark.slow) for e in (OSError("full"), RecursionError()))],
)
def test_whatever_tracking_raises_is_said_once(
    method: str, error: Exception, make_place: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise error

    place, inner = make_place(), Watched()
    monkeypatch.setattr(JsonlTracker, method, failing)
    with tracked(place, inner) as watched:
        watched.stage_begins("train", RUN_ID)
        for step in range(5):
            watched.curve(step, {"loss": 0.5})
    assert inner.steps == [0, 1, 2, 3, 4]
    assert len(inner.said) == 1
    assert type(error).__name__ in inner.said[0]
    assert not is_being_written(tracking(place))


def test_a_second_writer_trains_untracked(make_place: Any) -> None:
    place, inner = make_place(), Watched()
    with writing(tracking(place)), tracked(place, inner) as watched:
        watched.stage_begins("train", RUN_ID)
        watched.curve(1, {"loss": 0.5})
    assert (inner.steps, len(inner.said)) == ([1], 1)


def test_tracking_that_cannot_even_be_loaded_is_no_reason_not_to_train(
    make_place: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = Watched()
    name = "interlock.stages.no_such_module:tracked"
    monkeypatch.setattr(progress_module, "_WRAPPERS", {name: "the curves are not tracked"})
    with tracked(make_place(), inner) as watched:
        watched.stage_begins("train", RUN_ID)
        watched.curve(1, {"loss": 0.5})
    assert (inner.steps, len(inner.said)) == ([1], 1)


def test_wandb_is_started_for_an_online_run_and_a_failing_start_costs_nothing(
    make_place: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, inner = make_place("tracking=wandb", "tracking.mode=online"), Watched()
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with tracked(place, inner) as watched:
        watched.stage_begins("train", RUN_ID)
        watched.curve(1, {"loss": 0.5})
    assert inner.steps == [1]
    assert len(inner.said) == 1
    assert steps_of(place) == [1]  # the files go on without W&B


@pytest.mark.parametrize("stage", ["prepare", "train", "evaluate", "export", "judge", "decide"])
def test_no_stage_knows_the_trackers(stage: Any, make_place: Any) -> None:
    """Neither the code digest nor DVC's dependencies of a stage hold them, so showing a run never runs it again."""
    from interlock.contracts.stage import STAGE_PARAMS
    from interlock.lanes.catalog import find_lane
    from interlock.stages.code import stage_code

    names = [path.name for path in stage_code(stage, find_lane("toy"), make_place().workspace)]
    assert not [name for name in names if "track" in name or "wandb" in name]
    assert not [key for key in STAGE_PARAMS[stage] if key.startswith("tracking")]
