"""What is sent follows from digests: everything once, then nothing, then only what changed."""

import contextlib
from pathlib import Path

import pytest
from tracked_world import POINTS, files_of, track

from interlock.contracts.tracking import Sent
from interlock.errors import ProvenanceError
from interlock.tracking.jsonl import CURVES, RUN, JsonlTracker
from interlock.tracking.replay import STATE, pending, read_run, read_state, replay, write_sent


def test_replaying_to_the_local_twin_gives_the_same_files(tmp_path: Path) -> None:
    folder, copy = track(tmp_path / "home"), tmp_path / "copy"
    twin = JsonlTracker(copy)
    twin.begin(read_run(folder))
    replay(folder, twin, list(pending(folder, Sent())))
    twin.finish(exit_code=0)
    assert files_of(copy) == files_of(folder)


def test_nothing_is_pending_once_everything_was_sent(tmp_path: Path) -> None:
    folder = track(tmp_path)
    wanted = pending(folder, Sent())
    assert {RUN, CURVES, "summary.json", "lineage.json", "tables/gates.json"} < wanted.keys()
    sent = Sent(files={name: digest for name, digest in wanted.items() if digest}, last_step=max(POINTS))
    assert pending(folder, sent) == {}
    tracker = JsonlTracker(folder)
    tracker.summary({"r_at_5": 0.7})
    assert list(pending(folder, sent)) == ["summary.json"]
    tracker.curve(max(POINTS) + 1, {"train/loss": 0.1})
    tracker.close()
    assert set(pending(folder, sent)) == {"summary.json", CURVES}


@pytest.mark.parametrize(
    "text", ["", "{", '{"destinations": 3}', '{"destinations": {"offline": {"files": {"a": "b"}}}}']
)
def test_a_damaged_note_means_that_everything_is_sent_again(text: str, tmp_path: Path) -> None:
    folder = track(tmp_path)
    write_sent(folder, "offline", Sent(last_step=40))
    assert read_state(folder).destinations["offline"].last_step == 40
    (folder / STATE).write_text(text)
    assert read_state(folder).destinations == {}


def test_what_one_destination_has_says_nothing_of_another(tmp_path: Path) -> None:
    folder = track(tmp_path)
    write_sent(folder, "offline", Sent(last_step=40))
    write_sent(folder, "public/own/p", Sent(last_step=10))
    assert {name: sent.last_step for name, sent in read_state(folder).destinations.items()} == {
        "offline": 40,
        "public/own/p": 10,
    }


@pytest.mark.parametrize("name", ["tables/gates.json", "summary.json", "lineage.json"])
def test_a_damaged_file_is_refused_by_name(name: str, tmp_path: Path) -> None:
    folder = track(tmp_path)
    (folder / name).write_text("[1")
    with (
        contextlib.closing(JsonlTracker(tmp_path / "copy")) as twin,
        pytest.raises(ProvenanceError, match=name.rpartition("/")[2]),
    ):
        replay(folder, twin, [name])


def test_a_run_that_says_nothing_of_itself_is_refused(tmp_path: Path) -> None:
    folder = track(tmp_path)
    (folder / RUN).unlink()
    with pytest.raises(ProvenanceError, match="interlock track sync"):
        read_run(folder)
