"""A drive on disk: its journal gives its path, and what was changed afterwards is refused by name."""

import json

import pytest

from interlock.contracts.drive import DriveRecord, DriveState
from interlock.contracts.verdict import Verdict
from interlock.errors import BusyError, ProvenanceError, UsageError
from interlock.runs.drive.folder import DriveFolder, find_drive, list_drives, newest_of_command, path_of_run
from interlock.runs.drive.states import DriveEvent

RUN, NEXT_RUN, JUDGEMENT = "a" * 16, "b" * 16, "1" * 64
GATE = {
    "gate": "accuracy", "severity": "block", "verdict": "fail", "observed": 0.1, "target": 0.8, "comparison": ">=",
    "unit": "ratio", "reason": "accuracy 0.1 < 0.8",
}  # fmt: skip


def begun(home, name="0123456789ab", **changes):
    folder = DriveFolder(home, name)
    values = {"id": name, "name": "default", "lane": "toy", "command": ("lane=toy",), "asked": {"seed": 1},
              "begun_at": "2026-01-01T00:00:00+00:00"}  # fmt: skip
    folder.create(DriveRecord(**values | changes), attempts_max=4, basis="x")
    return folder


def decided(action="retrain", number=1, **changes):
    values = {
        "decision_id": f"{number}" * 64, "action": action, "policy": "rules", "reasons": ["why"], "confidence": "low",
        "overrides": {"lane.optimizer.lr": 0.2}, "usage": {"calls": 1, "usd": 0.5, "tokens_in": 10},
    }  # fmt: skip
    return {"decision": values | changes}


def judge(folder, number=1, run=RUN, verdict="fail"):
    folder.write(
        DriveEvent.JUDGED, attempt=number, run_id=run, judgement_id=JUDGEMENT, verdict=verdict, gates=[GATE],
        seconds=1.5,
    )  # fmt: skip


def start(folder, number=1, parent=None, changes=None, overrides=None):
    folder.write(
        DriveEvent.STARTED, attempt=number, parent_run=parent, changes=changes or {}, overrides=overrides or {}
    )


def one_attempt(folder):
    start(folder)
    judge(folder)
    folder.write(DriveEvent.DECIDED, attempt=1, **decided())


def test_the_journal_gives_the_path(tmp_path):
    folder = begun(tmp_path)
    assert folder.read().state is DriveState.READY
    one_attempt(folder)
    change = {"lane.optimizer.lr": [0.1, 0.2]}
    after = {"attempt": 2, "parent_run": RUN, "changes": change, "overrides": {"lane.optimizer.lr": 0.2}}
    folder.write(DriveEvent.RETRAIN, **after)
    path = folder.read()
    assert path.state is DriveState.READY
    first, second = path.attempts
    assert (first.run_id, first.verdict, first.gates[0].observed) == (RUN, Verdict.FAIL, 0.1)
    assert first.decision.action == "retrain"
    assert second.changes == {"lane.optimizer.lr": (0.1, 0.2)}
    assert second.parent_run == RUN
    assert (path.usage.usd, path.usage.calls, path.attempts_max) == (0.5, 1, 4)
    assert path.compute_hours == pytest.approx(1.5 / 3600)


def test_a_decision_that_is_made_again_is_counted_once(tmp_path):
    folder = begun(tmp_path)
    one_attempt(folder)
    folder.write(DriveEvent.ASKED, attempt=1, why="no", way_out="", asked_run=RUN)
    folder.write(DriveEvent.DECIDED, attempt=1, **decided())
    assert len(folder.read().attempts[0].decisions) == 1
    assert folder.read().usage.usd == 0.5


def test_why_it_ended_outlives_nothing_that_follows(tmp_path):
    folder = begun(tmp_path)
    one_attempt(folder)
    folder.write(DriveEvent.ASKED, attempt=1, why="used up", way_out="approve", asked_run=RUN)
    path = folder.read()
    assert (path.state, path.why, path.asked_run) == (DriveState.WAITING, "used up", RUN)
    folder.write(DriveEvent.APPROVED, attempts_max=6, by="Ada")
    path = folder.read()
    assert (path.state, path.why, path.asked_run, path.attempts_max, path.approved_by) == (
        DriveState.JUDGED, "", None, 6, "Ada",
    )  # fmt: skip


def test_beginning_anew_forgets_the_path_and_keeps_the_journal(tmp_path):
    folder = begun(tmp_path)
    one_attempt(folder)
    folder.write(DriveEvent.REOPENED, attempts_max=3, basis="y")
    path = folder.read()
    assert (path.state, path.attempts, path.attempts_max) == (DriveState.READY, (), 3)
    assert len(folder.entries()) == 5


def test_an_illegal_event_is_refused_and_not_written(tmp_path):
    folder = begun(tmp_path)
    with pytest.raises(ProvenanceError, match="ready cannot be accepted"):
        folder.write(DriveEvent.ACCEPTED, attempt=1)
    assert len(folder.entries()) == 1


@pytest.mark.parametrize("name", ["drive.json", "journal.jsonl"])
def test_a_change_afterwards_is_refused(tmp_path, name):
    folder = begun(tmp_path)
    one_attempt(folder)
    path = folder.path / name
    path.write_text(path.read_text().replace("toy", "sly") if name == "drive.json" else "")
    with pytest.raises(ProvenanceError):
        folder.read()


def test_a_line_that_was_cut_out_is_refused(tmp_path):
    folder = begun(tmp_path)
    one_attempt(folder)
    path = folder.path / "journal.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(lines[0] + lines[2])
    with pytest.raises(ProvenanceError, match="chain is broken"):
        folder.read()


def test_a_torn_last_line_is_passed_over(tmp_path):
    folder = begun(tmp_path)
    one_attempt(folder)
    path = folder.path / "journal.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    assert folder.read().state is DriveState.JUDGED
    folder.write(DriveEvent.DECIDED, attempt=1, **decided())
    assert folder.read().state is DriveState.DECIDED


def test_a_beginning_that_was_cut_short_is_begun_again(tmp_path):
    folder = begun(tmp_path)
    (folder.path / "drive.json").unlink()
    assert not folder.exists
    assert begun(tmp_path).read().state is DriveState.READY


def test_drives_are_found_by_a_beginning_and_by_their_runs(tmp_path):
    first, second = begun(tmp_path), begun(tmp_path, "0199999999ab")
    one_attempt(first)
    assert find_drive(tmp_path, "0123") == first
    assert {drive.id for drive in list_drives(tmp_path)} == {first.id, second.id}
    assert path_of_run(tmp_path, RUN).record.id == first.id
    assert path_of_run(tmp_path, NEXT_RUN) is None
    with pytest.raises(UsageError, match="more than one"):
        find_drive(tmp_path, "01")
    with pytest.raises(UsageError, match="no such drive"):
        find_drive(tmp_path, "7")
    with pytest.raises(UsageError, match="no such drive"):
        DriveFolder(tmp_path, "777777777777").record()


def test_a_run_that_is_only_mentioned_is_no_attempt(tmp_path):
    folder = begun(tmp_path, command=("lane=toy", f"+x={RUN}"))
    start(folder, parent=RUN)
    assert RUN in (folder.path / "journal.jsonl").read_text()
    assert path_of_run(tmp_path, RUN) is None


@pytest.mark.parametrize("journal", ["", "not a chain\n", None])
def test_a_drive_that_was_changed_hides_no_other(tmp_path, journal):
    good, bad = begun(tmp_path), begun(tmp_path, "999999999999", command=("lane=other",))
    one_attempt(good)
    one_attempt(bad)
    path = bad.path / "journal.jsonl"
    path.unlink() if journal is None else path.write_text(journal)
    assert path_of_run(tmp_path, RUN).record.id == good.id
    assert newest_of_command(tmp_path, ("lane=toy",)).id == good.id
    assert newest_of_command(tmp_path, ("lane=other",)) is None
    assert len(list_drives(tmp_path)) == 2
    with pytest.raises(ProvenanceError):
        bad.read()


def test_only_one_drives(tmp_path):
    folder = begun(tmp_path)
    assert not folder.is_driven
    with folder.driving():
        assert folder.is_driven
        with pytest.raises(BusyError), folder.driving():
            pass


def test_the_path_survives_json(tmp_path):
    folder = begun(tmp_path)
    one_attempt(folder)
    path = folder.read()
    assert type(path).model_validate_json(json.dumps(path.model_dump(mode="json"))) == path
