import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from interlock.errors import StageError
from interlock.lanes.exporting.answering import ExportedEncoder
from interlock.lanes.exporting.fresh_process import Parity, _run, answers, parity

TEXTS = ["", "csv", "read_csv into a DataFrame", "sort the rows of a table " * 30]
REQUESTS = [{"role": "document", "text": text} for text in TEXTS]


def test_fresh_process_answers_like_the_model(exported: SimpleNamespace, tower: ModuleType) -> None:
    answered_SND = answers(exported.path, REQUESTS, opener=ExportedEncoder, batch_sizes=(1, 3))
    assert answered_SND.shape == (2, 4, 16)
    found = parity(answered_SND, tower.torch_vectors(TEXTS, "document").numpy())
    assert found.holds
    assert not parity(answered_SND, tower.torch_vectors(TEXTS, "query").numpy()).holds


def test_a_broken_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"not onnx")
    with pytest.raises(StageError, match=r"m\.onnx: exported model does not answer[\s\S]*not a loadable ONNX model"):
        answers(tmp_path / "m.onnx", REQUESTS, opener=ExportedEncoder)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "killed by signal 9"),
        ("raise SystemExit(3)", "exit code 3"),
        ("pass", "does not answer"),
        ("import time; time.sleep(60)", "did not answer in time"),
    ],
)
def test_crash_silence_and_hang_are_told_apart(tmp_path: Path, code: str, message: str) -> None:
    with pytest.raises(StageError, match=message):
        _run([sys.executable, "-c", code], tmp_path, Path("m.onnx"), timeout_s=1.0)


def test_parity_by_hand() -> None:
    expected = np.array([[1, 0], [0, 0]], np.float32)
    answered = np.stack([expected, np.array([[0.6, 0.8], [0, 0]], np.float32)])
    found = parity(answered, expected)
    assert found.difference == pytest.approx(0.8)
    assert found.cosine == pytest.approx(0.6)
    assert parity(expected[None], expected) == Parity(difference=0.0, cosine=1.0)
    with pytest.raises(StageError, match="different shapes"):
        parity(answered, expected[:1])


@pytest.mark.parametrize(
    ("found", "holds"),
    [
        (Parity(1e-6, 1.0), True),
        (Parity(2e-4, 1.0), False),
        (Parity(1e-6, 0.9999), False),
        (Parity(float("nan"), 1.0), False),
        (Parity(0.0, float("nan")), False),
    ],
)
def test_both_tolerances_must_be_met(found: Parity, holds: bool) -> None:
    assert found.holds is holds


def test_nan_answers_never_hold() -> None:
    expected = np.ones((2, 3), np.float32)
    answered = expected[None].copy()
    answered[0, 1, 2] = np.nan
    assert not parity(answered, expected).holds
