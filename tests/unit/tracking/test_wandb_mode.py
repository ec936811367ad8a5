"""Where W&B runs go is chosen by us, from settings and environment alone, and never by a prompt."""

import os
from pathlib import Path
from typing import Any

import pytest

from interlock.contracts.tracking import WandbTracking
from interlock.tracking.wandb_mode import destination, has_key, mirror_environment, resolved_mode, without_secrets

KEY = "0123456789abcdef0123456789abcdef01234567"  # pragma: allowlist secret


def settings(**changes: Any) -> WandbTracking:
    return WandbTracking(kind="wandb", project="p", **changes)


@pytest.mark.parametrize(
    ("mode", "environment", "expected"),
    [
        ("auto", {}, "offline"),
        ("auto", {"WANDB_API_KEY": KEY}, "online"),
        ("auto", {"WANDB_API_KEY": KEY, "WANDB_MODE": "offline"}, "offline"),
        ("auto", {"WANDB_API_KEY": KEY, "WANDB_MODE": "disabled"}, "disabled"),
        ("auto", {"WANDB_MODE": "online"}, "online"),
        ("auto", {"WANDB_API_KEY": KEY, "WANDB_MODE": "nonsense"}, "online"),
        ("auto", {"WANDB_API_KEY": ""}, "offline"),
        ("offline", {"WANDB_API_KEY": KEY, "WANDB_MODE": "online"}, "offline"),
        ("online", {"WANDB_MODE": "disabled"}, "online"),
        ("disabled", {"WANDB_API_KEY": KEY}, "disabled"),
    ],
)
def test_the_mode(mode: str, environment: dict[str, str], expected: str, tmp_path: Path) -> None:
    assert resolved_mode(settings(mode=mode), environment | {"NETRC": str(tmp_path / "none")}) == expected


@pytest.mark.parametrize(
    ("machine", "base_url", "expected"),
    [
        ("api.wandb.ai", None, True),
        ("api.forge.coreweave.com", None, True),
        ("example.org", None, False),
        ("wandb.example.org", "https://wandb.example.org", True),
        ("api.wandb.ai", "https://wandb.example.org", False),
    ],
)
def test_a_netrc_file_counts_for_its_own_server(
    machine: str, base_url: str | None, expected: bool, tmp_path: Path
) -> None:
    file = tmp_path / "netrc"
    file.write_text(f"machine {machine}\n  login user\n  password {KEY}\n")
    assert has_key(settings(base_url=base_url), {"NETRC": str(file)}) is expected


def test_a_broken_netrc_file_is_no_key(tmp_path: Path) -> None:
    file = tmp_path / "netrc"
    file.write_text("machine\nwhat is this")
    assert not has_key(settings(), {"NETRC": str(file)})


def test_destinations_differ_by_server_entity_and_project() -> None:
    assert destination(settings(), "offline", {}) == "offline"
    places = {
        destination(settings(), "online", {}),
        destination(settings(entity="team"), "online", {}),
        destination(settings(base_url="https://w.example.org"), "online", {}),
        destination(WandbTracking(kind="wandb", project="q"), "online", {}),
    }
    assert places == {"public/own/p", "public/team/p", "w.example.org/own/p", "public/own/q"}
    assert KEY not in destination(settings(), "online", {"WANDB_BASE_URL": f"https://user:{KEY}@w.example.org"})


def test_another_runs_settings_do_not_reach_the_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_RUN_ID", "WANDB_SERVICE", "WANDB_RESUME", "WANDB_SWEEP_ID", "WANDB_RUN_GROUP", "WANDB_TAGS"):
        monkeypatch.setenv(name, "someone else's")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_DIR", "/somewhere/else")
    found = mirror_environment(settings(base_url="http://127.0.0.1:9"), "online", home=tmp_path)
    assert not any(value == "someone else's" for value in found.values())
    assert found["WANDB_API_KEY"] == KEY
    assert found["WANDB_BASE_URL"] == "http://127.0.0.1:9"
    folders = [found[f"WANDB_{name}"] for name in ("DIR", "DATA_DIR", "CACHE_DIR", "CONFIG_DIR", "ARTIFACT_DIR")]
    assert all(Path(folder).is_relative_to(tmp_path / "tracking" / "wandb") for folder in folders)


def test_the_mirror_finds_the_same_interlock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/first")
    first, own = mirror_environment(settings(), "offline", home=tmp_path)["PYTHONPATH"].split(os.pathsep)
    assert first == "/first"
    assert (Path(own) / "interlock" / "tracking" / "mirror.py").is_file()


def test_the_key_itself_is_taken_out_of_what_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert KEY not in without_secrets(f"refused: {KEY} is not valid")
