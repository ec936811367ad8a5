"""`interlock drive`: refusals before anything runs, exit codes, and what the screen says."""

from pathlib import Path

import pytest

from interlock.commands.drive import drive
from interlock.commands.drive_screen import next_lines, show_drives, show_path
from interlock.commands.drives import exit_code, list_all, show
from interlock.contracts.decision import Action
from interlock.contracts.drive import (
    DrivenAttempt,
    DrivenDecision,
    DrivenGate,
    DrivePath,
    DriveRecord,
    DriveState,
)
from interlock.contracts.verdict import Verdict
from interlock.errors import ConfigError, ExitCode, UsageError
from interlock.reports.driven import gate_text

ROOT = Path(__file__).resolve().parents[3]
FIRST, SECOND = "a" * 16, "b" * 16


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("INTERLOCK_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["-m", "lane=toy"], "interlock run -m"),
        (["--multirun", "lane=toy"], "interlock run -m"),
        (["--cfg", "job"], "interlock run --cfg job"),
        (["--force"], "takes overrides alone"),
        (["toy"], "write toy=VALUE"),
        (["seed=1,2"], "is a sweep"),
        (["lane=toyy"], "did you mean: toy"),
        (["lane=toy", "max_attempts=0"], "max_attempts"),
        (["lane=toy", "max_attempts=101"], "max_attempts"),
        (["lane=toy", "budget.usd=-1"], "budget.usd"),
        (["lane=toy", "budget.usdd=1"], "did you mean: budget.usd"),
        (["lane=toy", "lineage.attempt=2"], "filled in by the drive"),
        (["lane=toy", "~lane.search_space"], "could never change anything"),
    ],
)
def test_refused_before_anything_is_written(home, argv, says):
    with pytest.raises((UsageError, ConfigError)) as caught:
        drive(ROOT, argv)
    assert says in str(caught.value)
    assert caught.value.exit_code == ExitCode.USAGE
    assert not (home / "drives").exists()


def gate(verdict=Verdict.FAIL, **changes):
    values = {"gate": "accuracy", "severity": "block", "verdict": verdict, "observed": 0.1, "target": 0.8,
              "comparison": ">=", "unit": "ratio", "reason": "accuracy 0.1 < 0.8"}  # fmt: skip
    return DrivenGate(**values | changes)


def decision(action=Action.RETRAIN, **changes):
    values = {"decision_id": "0" * 64, "action": action, "policy": "rules", "reasons": ("accuracy 0.1 < 0.8: gently",),
              "confidence": "low"}  # fmt: skip
    return DrivenDecision(**values | changes)


def path(state=DriveState.WAITING, *, verdict=Verdict.FAIL, **changes):
    record = DriveRecord(
        id="0123456789ab", name="default", lane="toy", command=("lane=toy", "+prices.x=[a, b]"), asked={},
        begun_at="2026-01-01T00:00:00+00:00",
    )  # fmt: skip
    first = DrivenAttempt(
        attempt=1, run_id=FIRST, verdict=Verdict.FAIL, gates=(gate(),), decisions=(decision(),), judgement_id="0" * 64
    )
    second = DrivenAttempt(
        attempt=2, run_id=SECOND, parent_run=FIRST, changes={"lane.optimizer.lr": (0.1, 0.2)}, verdict=verdict,
        gates=(gate(verdict),), decisions=(decision(Action.ESCALATE, told=("action: not allowed",)),),
        judgement_id="0" * 64,
    )  # fmt: skip
    values = {"record": record, "state": state, "attempts": (first, second), "attempts_max": 2,
              "why": "attempt 2 of 2 did not pass", "asked_run": FIRST,
              "updated_at": "2026-01-01T00:00:00+00:00"}  # fmt: skip
    return DrivePath(**values | changes)


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (path(DriveState.ACCEPTED, verdict=Verdict.PASS), 0),
        (path(DriveState.WAITING), 3),
        (path(DriveState.STOPPED, verdict=Verdict.INCONCLUSIVE), 4),
        (path(DriveState.WAITING, verdict=Verdict.BLOCKED), 5),
        (path(DriveState.WAITING, verdict=Verdict.PASS), 4),
        (path(DriveState.FAILED, exit_code=1), 1),
        (path(DriveState.FAILED, exit_code=5), 5),
        (path(DriveState.STOPPED, attempts=()), 1),
    ],
)
def test_only_an_accepted_run_ends_with_zero(found, code):
    assert exit_code(found) == code


@pytest.mark.parametrize("columns", ["60", "100", "150"])
def test_the_path_holds_everything_at_every_width(monkeypatch, capsys, columns):
    monkeypatch.setenv("COLUMNS", columns)
    show_path(path())
    said = " ".join(capsys.readouterr().out.split())
    for words in (
        FIRST[:8],
        SECOND[:8],
        "0.100 <",
        "0.800",
        "retrain",
        "escalate",
        "action: not",
        "waits for a person",
    ):
        assert words in said


def test_what_to_type_next_can_be_typed():
    lines = "\n".join(next_lines(path()))
    assert f"interlock approve {FIRST} --for more_attempts --attempts 3" in lines
    assert "interlock drive lane=toy '+prices.x=[a, b]'" in lines
    assert f"interlock decide {SECOND} --as NAME" in lines
    assert f"interlock report {SECOND}" in "\n".join(next_lines(path(DriveState.ACCEPTED)))


def test_the_list_says_whether_anybody_is_at_work(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "150")
    running = path(DriveState.RUNNING, why="", asked_run=None)
    show_drives([(running, True), (running, False)])
    said = capsys.readouterr().out
    assert "at work on attempt 2" in said
    assert "interrupted at attempt 2" in said


@pytest.mark.parametrize("columns", ["80", "100", "150"])
def test_the_list_holds_the_whole_command_at_every_width(monkeypatch, capsys, columns):
    monkeypatch.setenv("COLUMNS", columns)
    show_drives([(path(), False)])
    said = capsys.readouterr().out
    assert "…" not in said
    for word in ("lane=toy", "+prices.x=[a,", path().record.id):
        assert word in said


def test_without_any_drive(home, capsys):
    list_all(ROOT, as_json=False)
    assert "no drives yet" in capsys.readouterr().out
    with pytest.raises(UsageError, match="there is no such drive"):
        show(ROOT, "abc", as_json=False)


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (gate(), "accuracy 0.100 < 0.800"),
        (gate(observed=0.9), "accuracy 0.900 >= 0.800"),
        (gate(comparison="<=", observed=0.9), "accuracy 0.900 > 0.800"),
        (gate(Verdict.INCONCLUSIVE, observed=0.81), "accuracy 0.810 >= 0.800 (undecided)"),
        (gate(target=None, comparison="is", unit="bool", observed=0.0), "accuracy no"),
        (gate(Verdict.BLOCKED, observed=None), "accuracy not judged"),
    ],
)
def test_a_gate_in_a_few_words(shown, text):
    assert gate_text(shown) == text
