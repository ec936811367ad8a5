"""The mirror process: a real offline W&B run read back, and every way in which W&B can fail."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from offline_wandb import points, read_run, read_table
from tracked_world import FAULTS, POINTS, RECORDING, RUN_ID, fake_wandb, files_of, settings, some_run, track

from interlock.tracking import launch
from interlock.tracking.jsonl import CURVES, JsonlTracker, writing
from interlock.tracking.replay import read_state
from interlock.tracking.wandb_mode import mirror_environment

KEY = "0123456789abcdef0123456789abcdef01234567"  # pragma: allowlist secret
OFFLINE = "tracking/wandb/runs/wandb"


_USER = psutil.Process().username()


def offline_runs(home: Path) -> list[Path]:
    return sorted((home / OFFLINE).glob("offline-run-*"))


@pytest.fixture(autouse=True)
def _nothing_is_left_running() -> Iterator[None]:
    """No mirror and no service of W&B outlives its test."""
    yield
    wait_until_gone(deadline_s=5.0)


def wait_until_gone(*, deadline_s: float) -> None:
    until = time.monotonic() + deadline_s
    while left := [process for process in psutil.process_iter(["cmdline"]) if _is_ours(process)]:
        assert time.monotonic() < until, [process.info["cmdline"] for process in left]
        time.sleep(0.02)


def _is_ours(process: psutil.Process) -> bool:
    """A mirror of this test's run, or a service that W&B started for one."""
    try:
        words, status = process.info["cmdline"] or [], process.status()
    except psutil.Error:
        return False
    is_mirror = "interlock.tracking.mirror" in words and RUN_ID in words
    is_service = any(word.endswith("wandb-core") for word in words[:1]) and process.username() == _USER
    return (is_mirror or is_service) and status != psutil.STATUS_ZOMBIE


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose run was sent to a real, offline W&B."""
    home = tmp_path_factory.mktemp("home")
    track(home)
    assert launch.complete(home, RUN_ID, settings())[0], (home / "tracking" / RUN_ID / launch.LOG).read_text()
    return home


@pytest.fixture(scope="module")
def told(mirrored: Path) -> dict[str, Any]:
    (folder,) = offline_runs(mirrored)
    return read_run(folder)


def test_there_is_one_run_under_the_run_id(mirrored: Path, told: dict[str, Any]) -> None:
    assert [folder.name.rpartition("-")[2] for folder in offline_runs(mirrored)] == [RUN_ID]
    assert (told["id"], told["project"], told["group"], told["job_type"]) == (RUN_ID, "p", "sweep-1", "sweep")
    assert (told["name"], told["notes"], told["tags"]) == ("default-toy", "it learns", ["lane:toy", "verdict:fail"])
    assert told["exit"] == 0


def test_the_config_is_nested_as_in_the_file(told: dict[str, Any]) -> None:
    assert told["config"]["lane"] == {"optimizer": {"lr": 0.1}}
    assert told["config"]["interlock"] == {"run_id": RUN_ID, "dvc_experiment": "bony"}


def test_the_curves_stand_at_their_own_steps(told: dict[str, Any]) -> None:
    assert points(told) == [(step, {**values, "step": step}) for step, values in POINTS.items()]
    steps = [row["_step"] for row in told["history"]]
    assert steps == sorted(set(steps))


def test_results_tables_and_charts_are_there(mirrored: Path, told: dict[str, Any]) -> None:
    assert told["summary"]["r_at_5"] == 0.6
    assert told["summary"]["verdict"] == "fail"
    (row,) = [row for row in told["history"] if "gates" in row]
    (folder,) = offline_runs(mirrored)
    table = read_table(folder, row["gates"])
    assert (table["columns"], table["data"]) == (["gate", "verdict"], [["r_at_5", "fail"], ["loads", "pass"]])
    drawn = read_table(folder, row["r_at_k_table"])
    assert [1.0, "model", 0.4] in drawn["data"]


def test_artifacts_are_named_by_digest_and_the_model_names_its_data(mirrored: Path, told: dict[str, Any]) -> None:
    data, model = told["artifacts"]["data"], told["artifacts"]["toy"]
    assert (data["type"], model["type"]) == ("dataset", "model")
    assert set(model["aliases"]) == {"v-1", "candidate", "latest"}
    assert model["metadata"] == {"k": 1, "inputs": [f"data:{data['digest']}"]}
    assert told["config"]["lineage"] == {"inputs": [{"name": "data", "type": "dataset", "digest": data["digest"]}]}
    assert model["files"] == {"toy.bin": str(mirrored / "runs" / RUN_ID / "toy.bin")}  # sent from the archive, no copy


def test_a_person_is_told_of_the_failed_gate(told: dict[str, Any]) -> None:
    assert told["alerts"] == [{"title": "fail: toy", "text": "r_at_5: 0.6 < 0.7", "level": "WARN"}]


def test_everything_stays_inside_the_home(mirrored: Path) -> None:
    assert {path.name for path in (mirrored / "tracking").iterdir()} == {RUN_ID, "wandb"}
    outside = Path(os.environ["HOME"])
    assert not [path for path in outside.rglob("*") if "wandb" in path.name and path != outside / ".netrc"]


def test_a_second_sync_starts_nothing_and_a_third_sends_only_news(
    mirrored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = read_state(mirrored / "tracking" / RUN_ID).destinations["offline"].where
    with monkeypatch.context() as patched:
        patched.setattr(launch, "_start", lambda *_, **__: pytest.fail("there is nothing to send"))
        assert launch.complete(mirrored, RUN_ID, settings()) == (True, f"W&B: {where}")
    JsonlTracker(mirrored / "tracking" / RUN_ID).summary({"verdict": "pass"})
    assert launch.complete(mirrored, RUN_ID, settings())[0]
    _, news = (read_run(folder) for folder in offline_runs(mirrored))
    assert news["id"] == RUN_ID
    assert news["summary"]["verdict"] == "pass"
    assert (points(news), news["alerts"], news["artifacts"]) == ([], [], {})


@pytest.mark.slow
def test_a_try_that_was_killed_is_made_again_as_a_whole(tmp_path: Path) -> None:
    folder = track(tmp_path)
    process = launch._start(tmp_path, RUN_ID, settings(), mode="offline")
    while not (begun := read_state(folder).destinations.get("offline")) or not begun.begun:
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert launch.complete(tmp_path, RUN_ID, settings())[0]
    (kept,) = offline_runs(tmp_path)
    assert [step for step, _ in points(read_run(kept))] == list(POINTS)


_QUICK = ("raises at init", "hangs")


@pytest.mark.parametrize(
    "fault", [fault if fault in _QUICK else pytest.param(fault, marks=pytest.mark.slow) for fault in FAULTS]
)
def test_a_failing_wandb_costs_bounded_time_and_no_file(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = track(tmp_path)
    before = files_of(folder)
    monkeypatch.setenv("PYTHONPATH", fake_wandb(tmp_path, FAULTS[fault]))
    wait_s = 0.5 if fault.startswith("hangs") else 10.0
    started = time.monotonic()
    done, said = launch.complete(tmp_path, RUN_ID, settings(wait_s=wait_s, timeout_s=1.0))
    assert not done
    assert "interlock track sync" in said
    assert time.monotonic() - started < wait_s + 1.0
    assert files_of(folder) == before
    assert not any(sent.files for sent in read_state(folder).destinations.values())
    if fault.startswith("hangs"):
        assert "not done after 0.5 s" in said
        wait_until_gone(deadline_s=3.0)  # the mirror ends itself


@pytest.mark.slow
def test_what_failed_is_sent_by_the_next_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = track(tmp_path)
    with monkeypatch.context() as patched:
        patched.setenv("PYTHONPATH", fake_wandb(tmp_path, FAULTS["raises at init"]))
        done, said = launch.complete(tmp_path, RUN_ID, settings())
        assert (done, "RuntimeError: refused" in said) == (False, True)
    assert launch.complete(tmp_path, RUN_ID, settings())[0]
    assert read_state(folder).destinations["offline"].error == ""


@pytest.mark.slow
def test_a_server_that_does_not_answer_is_left_alone_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    track(tmp_path)
    monkeypatch.setenv("PYTHONPATH", fake_wandb(tmp_path, FAULTS["hangs"]))
    patient = settings(wait_s=0.2, timeout_s=0.5)
    assert "not done after 0.2 s" in launch.complete(tmp_path, RUN_ID, patient)[1]
    started = time.monotonic()
    assert "left alone" in launch.complete(tmp_path, RUN_ID, patient)[1]
    assert time.monotonic() - started < 0.1
    wait_until_gone(deadline_s=5.0)
    assert "not done after 0.3 s" in launch.complete(tmp_path, RUN_ID, patient, wait_s=0.3)[1]  # asked for by a person
    wait_until_gone(deadline_s=5.0)


@pytest.mark.slow
def test_a_key_and_no_server_leave_everything_pending_and_the_key_in_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = track(tmp_path)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    started = time.monotonic()
    chosen = settings(mode="auto", base_url="http://127.0.0.1:9", wait_s=1.5, timeout_s=2.0)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    done, said = launch.complete(tmp_path, RUN_ID, chosen)
    assert (done, KEY in said) == (False, False)
    assert time.monotonic() - started < 2.5
    wait_until_gone(deadline_s=5.0)
    assert list(read_state(folder).destinations) in ([], ["127.0.0.1:9/own/p"])
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


def test_disabled_starts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    track(tmp_path)
    monkeypatch.setattr(launch, "_start", lambda *_, **__: pytest.fail("tracking is disabled"))
    assert launch.complete(tmp_path, RUN_ID, settings(mode="disabled")) == (True, "")


@pytest.fixture
def recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes the mirror talk to a W&B that writes down what it is told; returns its log."""
    monkeypatch.setenv("PYTHONPATH", fake_wandb(tmp_path, RECORDING))
    monkeypatch.setenv("TOLD", str(tmp_path / "told.jsonl"))
    return tmp_path / "told.jsonl"


def heard(log: Path, what: str) -> list[Any]:
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.is_file() else []
    return [line[1:] for line in lines if line[0] == what]


def test_online_inputs_are_used_and_outputs_are_made(tmp_path: Path, recorder: Path) -> None:
    track(tmp_path)
    assert launch.complete(tmp_path, RUN_ID, settings(mode="online")) == (True, "W&B: http://127.0.0.1:9/run")
    assert heard(recorder, "use") == [["data", ["v-1", "candidate"], {}]]
    (made,) = heard(recorder, "made")
    assert made[:2] == ["toy", ["v-1", "candidate"]]
    assert made[2]["inputs"] == ["data:d-data"]


def test_steps_that_the_server_has_are_not_sent_again(
    tmp_path: Path, recorder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    track(tmp_path)
    monkeypatch.setenv("HAS_STEPS", "21")  # an earlier mirror was killed after step 20
    assert launch.complete(tmp_path, RUN_ID, settings(mode="online"))[0]
    assert [step for step, *_ in heard(recorder, "log")] == [30, 40, 41, 41]


def test_a_training_is_shown_while_it_runs_and_the_rest_follows(tmp_path: Path, recorder: Path) -> None:
    folder = tmp_path / "tracking" / RUN_ID
    tracker = JsonlTracker(folder)
    with writing(folder):
        tracker.begin(some_run())
        launch.follow(tmp_path, RUN_ID, settings(mode="online"))
        tracker.curve(10, {"train/loss": 1.0})
        tracker.curve(20, {"train/loss": 0.5})
        _wait_for(lambda: [step for step, *_ in heard(recorder, "log")] == [10])
        tracker.curve(20, {"validation/loss": 0.7})
        tracker.finish(exit_code=0)
    _wait_for(lambda: heard(recorder, "finish") == [[0, {}]])
    assert heard(recorder, "log")[1:] == [[20, {"train/loss": 0.5, "validation/loss": 0.7, "step": 20}, {}]]
    assert launch.complete(tmp_path, RUN_ID, settings(mode="online"))[0]  # run and curves are there: nothing new
    assert len(heard(recorder, "init")) == 1


@pytest.mark.slow
def test_a_training_that_vanished_did_not_end_well(tmp_path: Path, recorder: Path) -> None:
    folder = tmp_path / "tracking" / RUN_ID
    tracker = JsonlTracker(folder)
    with writing(folder):
        tracker.begin(some_run())
        launch.follow(tmp_path, RUN_ID, settings(mode="online"))
        tracker.curve(10, {"train/loss": 1.0})
        tracker.curve(20, {"train/loss": 0.5})
        _wait_for(lambda: bool(heard(recorder, "log")))
        tracker.close()
    _wait_for(lambda: heard(recorder, "finish") == [[1, {}]])
    assert [step for step, *_ in heard(recorder, "log")] == [10]  # step 20 may lack what its epoch's end adds


@pytest.mark.slow
def test_only_one_mirror_writes_a_run(tmp_path: Path, recorder: Path) -> None:
    folder = track(tmp_path)
    with writing(folder):
        launch.follow(tmp_path, RUN_ID, settings(mode="online"))
        _wait_for(lambda: bool(heard(recorder, "log")))
        done, said = launch.complete(tmp_path, RUN_ID, settings(mode="online", timeout_s=1.0))
        assert (done, "another process" in said) == (False, True)
    _wait_for(lambda: bool(heard(recorder, "finish")))
    assert len(heard(recorder, "init")) == 1


def _wait_for(condition: Any, *, deadline_s: float = 10.0) -> None:
    until = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_the_mirror_has_no_terminal_to_ask_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    track(tmp_path)
    monkeypatch.setenv(
        "PYTHONPATH", fake_wandb(tmp_path, "import sys, os; print(sys.stdin.isatty(), os.getsid(0) == os.getpid())")
    )
    launch.complete(tmp_path, RUN_ID, settings())
    assert "False True" in (tmp_path / "tracking" / RUN_ID / launch.LOG).read_text()


def test_the_rest_of_interlock_never_loads_wandb(tmp_path: Path) -> None:
    code = "import sys, interlock.tracking.launch, interlock.tracking.mirror, interlock.runs.tracked.results\n"
    code += "import interlock.runs.tracked.progress\nassert 'wandb' not in sys.modules"
    subprocess.run(
        [sys.executable, "-c", code], check=True, env=mirror_environment(settings(), "offline", home=tmp_path)
    )


def test_the_curves_file_is_named_in_one_place() -> None:
    assert CURVES == "curves.jsonl"
