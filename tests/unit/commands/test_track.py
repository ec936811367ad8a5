"""`interlock track`: refusals that say the way out, and nothing that is sent twice."""

import json
from pathlib import Path
from typing import Any

import pytest
from tracked_world import RUN_ID
from tracked_world import track as tracked

from interlock.commands import track
from interlock.errors import ConfigError, ExitCode, RegistryError, UsageError
from interlock.tracking import launch

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INTERLOCK_HOME", str(tmp_path))
    return tmp_path


def sync(run: str | None = None, overrides: tuple[str, ...] = ("tracking=wandb",)) -> ExitCode:
    return track.sync(ROOT, run, overrides, wait_s=5.0, as_json=True)


def test_local_files_alone_cannot_be_sent(home: Path) -> None:
    with pytest.raises(UsageError, match="--set tracking=wandb"):
        sync(overrides=())


@pytest.mark.parametrize("override", ["seed=2", "lane.optimizer.lr=1.0", "trackings=wandb", "+lane=toy"])
def test_only_tracking_can_be_overridden(override: str, home: Path) -> None:
    with pytest.raises(UsageError, match="only tracking"):
        sync(overrides=("tracking=wandb", override))


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("tracking=wandbb", "wandb"),
        ("tracking.projet=x", "project"),
        ("tracking.mode=onlin", "mode"),
        ("tracking.project=a/b", "project"),
        ("tracking.wait_s=-1", "wait_s"),
        ("tracking.base_url=https://me:secret@host", "base_url"),  # pragma: allowlist secret
    ],
)
def test_a_wrong_setting_is_refused_by_name(override: str, said: str, home: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        sync(overrides=("tracking=wandb", override))


def test_what_was_sent_is_not_sent_again_and_failure_is_an_error(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tracked(home)
    asked: list[Any] = []

    def complete(home: Path, run_id: str, settings: Any, *, wait_s: float | None) -> tuple[bool, str]:
        asked.append((run_id, wait_s))
        return len(asked) > 1, "W&B: somewhere"

    monkeypatch.setattr("interlock.runs.tracked.results.complete", complete)
    assert sync() is ExitCode.ERROR
    assert sync(RUN_ID[:4]) is ExitCode.PASS
    assert asked == [(RUN_ID, 5.0)] * 2
    first, _ = capsys.readouterr().out.split("}\n}\n")[:2]
    assert json.loads(first + "}\n}") == {RUN_ID: {"up_to_date": False, "said": "W&B: somewhere"}}


def test_an_unknown_run_is_refused(home: Path) -> None:
    with pytest.raises(UsageError, match="no such run"):
        sync("ffff")


def test_status_says_what_is_pending(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    track.status(ROOT, as_json=False)
    assert "nothing is tracked yet" in capsys.readouterr().out
    folder = tracked(home)
    track.status(ROOT, as_json=False)
    assert "local files only" in capsys.readouterr().out
    launch.write_json(folder / "mirror.json", {"destinations": {"offline": {"error": "OSError: full"}}})
    track.status(ROOT, as_json=True)
    (row,) = json.loads(capsys.readouterr().out)
    assert row["destinations"]["offline"]["error"] == "OSError: full"
    assert {"run.json", "curves.jsonl", "tables/gates.json"} <= set(row["destinations"]["offline"]["pending"])


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RegistryError("the run card is not valid", path="card.json"), "is not tracked: card.json: the run card"),
        (
            PermissionError(13, "Permission denied", "run.json"),
            "is not tracked: run.json: Permission denied\n  way out",
        ),
        (ValueError("odd"), "is not tracked: ValueError: odd"),
    ],
)
def test_our_own_errors_are_told_without_their_class(
    error: Exception, said: str, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(*args: Any, **kept: Any) -> None:
        raise error

    tracked(home)
    monkeypatch.setattr("interlock.runs.tracked.results.write_local", failing)
    assert sync() is ExitCode.ERROR
    assert said in json.loads(capsys.readouterr().out)[RUN_ID]["said"]
