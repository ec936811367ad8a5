"""The local twin: what is written is read back, whatever a kill or a resumption did in between, and without secrets."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.contracts.tracking import Alert, Table, TrackedRun
from interlock.errors import ProvenanceError
from interlock.tracking.jsonl import (
    CURVES,
    FINISHED,
    RUN,
    CurveReader,
    JsonlTracker,
    is_being_written,
    run_tracking,
    writing,
)

NAMES = st.sampled_from(["train/loss", "train/lr", "epoch", "validation/loss"])
VALUES = st.dictionaries(NAMES, st.floats(allow_nan=False, allow_infinity=False), min_size=1)
POINTS = st.dictionaries(st.integers(0, 10**7), VALUES, max_size=12).map(lambda points: sorted(points.items()))
Points = list[tuple[int, dict[str, float]]]


def written(folder: Path, points: Points) -> Path:
    tracker = JsonlTracker(folder)
    for step, values in points:
        tracker.curve(step, values)
    tracker.close()
    return folder / CURVES


def read(folder: Path) -> Points:
    return list(CurveReader(folder).points(ended=True))


@given(points=POINTS)
def test_curves_come_back_as_they_were_told(points: Points, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("run")
    written(folder, points)
    assert read(folder) == points


@given(points=POINTS.filter(bool), data=st.data())
def test_a_kill_costs_at_most_the_torn_line_and_resuming_repeats_it(
    points: Points, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("run")
    path = written(folder, points)
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)), label="bytes that reached the disk")])
    kept = read(folder)
    assert kept == points[: len(kept)]
    resumed_from = data.draw(st.integers(0, len(kept)), label="points before the last saved state")
    written(folder, points[resumed_from:])
    assert read(folder) == points
    if resumed_from < len(points):  # no reader has to know of the kill
        assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [step for step, _ in points]


@given(points=POINTS, cuts=st.lists(st.integers(0, 400), max_size=6))
def test_following_a_growing_file_gives_the_same_points_once(
    points: Points, cuts: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("run")
    path = written(folder, points)
    whole = path.read_bytes() if points else b""
    reader, seen = CurveReader(folder), []
    with path.open("wb") as file:
        for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(whole)], strict=True):
            file.write(whole[start:end])
            file.flush()
            seen += list(reader.points(ended=False))
        seen += list(reader.points(ended=True))
    assert seen == points


def test_two_lines_of_one_step_are_one_point_that_waits_until_it_is_whole(tmp_path: Path) -> None:
    tracker, reader = JsonlTracker(tmp_path), CurveReader(tmp_path)
    tracker.curve(10, {"train/loss": 1.5})
    assert list(reader.points(ended=False)) == []
    tracker.curve(10, {"validation/loss": 2.5})
    tracker.curve(20, {"train/loss": 1.0})
    assert list(reader.points(ended=False)) == [(10, {"train/loss": 1.5, "validation/loss": 2.5})]
    tracker.close()
    assert list(reader.points(ended=True)) == [(20, {"train/loss": 1.0})]


def test_a_reader_goes_on_when_a_resumed_training_replaces_the_file(tmp_path: Path) -> None:
    written(tmp_path, [(10, {"a": 1.0}), (20, {"a": 2.0}), (30, {"a": 3.0})])
    reader = CurveReader(tmp_path)
    assert [step for step, _ in reader.points(ended=False)] == [10, 20]
    written(tmp_path, [(20, {"a": 2.0}), (30, {"a": 3.0}), (40, {"a": 4.0})])
    assert [step for step, _ in reader.points(ended=True)] == [30, 40]


def test_values_that_are_no_numbers_in_json_are_left_out(tmp_path: Path) -> None:
    path = written(tmp_path, [(1, {"loss": math.nan, "lr": 0.5, "grad": math.inf})])
    assert path.read_text() == '{"step": 1, "lr": 0.5}\n'


def test_curves_are_on_disk_while_training_still_runs(tmp_path: Path) -> None:
    tracker = JsonlTracker(tmp_path)
    tracker.curve(1, {"loss": 1.0})
    assert json.loads((tmp_path / CURVES).read_text()) == {"step": 1, "loss": 1.0}
    tracker.close()


def some_run(**changes: object) -> TrackedRun:
    fields: dict[str, object] = {
        "run_id": "0123456789abcdef",
        "name": "n",
        "group": "g",
        "job_type": "train",
        "tags": ["lane:toy"],
        "config": {"seed": 1},
    }
    return TrackedRun.model_validate_json(json.dumps(fields | changes))


@given(secret=st.from_regex(r"[A-Za-z0-9]{20,40}", fullmatch=True))
def test_secrets_reach_no_file(secret: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("run")
    tracker = JsonlTracker(folder)
    config = {"llm": {"api_key": secret, "url": f"https://me:{secret}@host/x"}, "tokens_max": 5}
    tracker.begin(some_run(config=config, notes=f"Bearer {secret}"))
    tracker.table(Table(name="t", columns=("a",), rows=((f"https://host/?token={secret}",),)))
    tracker.alert(Alert(name="a", title="t", text=f"sk-{secret}"))
    texts = [path.read_text() for path in folder.rglob("*.json")]
    assert len(texts) == 3
    assert not any(secret in text for text in texts)
    assert json.loads((folder / RUN).read_text())["config"]["tokens_max"] == 5


def test_a_file_that_says_so_already_is_not_written_again(tmp_path: Path) -> None:
    tracker = JsonlTracker(tmp_path)
    tracker.summary({"r_at_5": 0.5})
    before = (tmp_path / "summary.json").stat().st_ino
    tracker.summary({"r_at_5": 0.5})
    assert (tmp_path / "summary.json").stat().st_ino == before
    tracker.summary({"r_at_5": 0.6})
    assert (tmp_path / "summary.json").stat().st_ino != before


def test_a_run_that_is_taken_up_again_has_not_ended(tmp_path: Path) -> None:
    tracker = JsonlTracker(tmp_path)
    tracker.begin(some_run())
    tracker.finish(exit_code=1)
    assert json.loads((tmp_path / FINISHED).read_text()) == {"exit_code": 1}
    tracker.begin(some_run())
    assert not (tmp_path / FINISHED).exists()


def test_the_writer_is_seen_by_others_and_is_the_only_one(tmp_path: Path) -> None:
    assert not is_being_written(tmp_path)
    with writing(tmp_path):
        assert is_being_written(tmp_path)
        with pytest.raises(BlockingIOError), writing(tmp_path):
            pass
    assert not is_being_written(tmp_path)


@pytest.mark.parametrize("run_id", ["", "..", "../x", "a/b", ".hidden"])
def test_a_run_id_cannot_leave_the_folder(run_id: str, tmp_path: Path) -> None:
    with pytest.raises(ProvenanceError):
        run_tracking(tmp_path, run_id)
