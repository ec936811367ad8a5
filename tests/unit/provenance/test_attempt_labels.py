"""What an execution was started for is written down with it, and only that."""

from pathlib import Path

import pytest

from interlock.provenance.attempts import attempt, labels, list_attempts

NAMES = {"INTERLOCK_SWEEP": "sweep", "DVC_EXP_NAME": "dvc_experiment", "INTERLOCK_PURPOSE": "purpose"}


@pytest.mark.parametrize(("variable", "name"), NAMES.items())
def test_labels_come_from_the_environment(variable: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, " bony-hare ")
    assert labels() == {name: "bony-hare"}
    monkeypatch.setenv(variable, " ")
    assert labels() == {}


def test_an_attempt_keeps_its_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERLOCK_SWEEP", "sweep-7")
    with attempt(tmp_path, lane="toy", stage="train", run_id="r", params_sha256="0" * 64):
        monkeypatch.setenv("INTERLOCK_SWEEP", "sweep-8")
    (files,) = list_attempts(tmp_path)
    assert files.start.labels == {"sweep": "sweep-7"}
