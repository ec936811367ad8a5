"""Does the shipped file answer, in a process that knows nothing but the file, as the trained model does?

`answers` starts `python -m interlock.lanes.exporting.fresh_process request.json` in an empty folder; that process opens
the model without torch and answers the requests at several batch sizes. `parity` compares its answers with the trained
model's. A crash, a hang or a wrong shape is a StageError with the last lines of what the process said.

Shapes: S batch sizes, N requests.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import interlock
from interlock.errors import StageError
from interlock.lanes.exporting.opening import ExportedModel

BATCH_SIZES = (1, 2, 7, 64)
"""1 is how a service asks and what a careless export gets wrong; the others cover other shapes of the graph."""

DIFFERENCE_MAX = 1e-4
"""Largest difference of any number of two answers that counts as equal, see `Parity.difference`."""

COSINE_MIN = 1.0 - 1e-5
"""Smallest cosine between the two vectors answered to one request that counts as equal."""

ANSWER_FILE = "answers.npy"


@dataclass(frozen=True)
class Parity:
    """How far two sets of answers to the same requests are apart, over all batch sizes."""

    difference: float
    """Largest absolute difference, as a share of the largest expected number where that is above 1."""
    cosine: float = 1.0
    """Smallest cosine of a pair of vectors; 1 for pairs of zero vectors, and where an answer is one number."""

    @property
    def holds(self) -> bool:
        """True when both tolerances are met; NaN never does."""
        return self.difference <= DIFFERENCE_MAX and self.cosine >= COSINE_MIN


def answers(
    model: Path,
    requests: Sequence[Any],
    *,
    opener: type[ExportedModel],
    timeout_s: float = 120.0,
    batch_sizes: Sequence[int] = BATCH_SIZES,
) -> NDArray[np.float32]:
    """[S, N, ...] answers of a fresh process to the requests, once for each batch size. Raises StageError."""
    with tempfile.TemporaryDirectory(prefix="interlock-fresh-") as name:
        folder = Path(name)
        request_file = folder / "request.json"
        request_file.write_text(
            json.dumps(
                {
                    "model": str(model.resolve()),
                    "opener": [opener.__module__, opener.__qualname__],
                    "requests": list(requests),
                    "batch_sizes": list(batch_sizes),
                }
            )
        )
        command = [sys.executable, "-m", "interlock.lanes.exporting.fresh_process", str(request_file)]
        _run(command, folder, model, timeout_s)
        answered: NDArray[np.float32] = np.load(folder / ANSWER_FILE, allow_pickle=False)
    if answered.shape[:2] != (len(batch_sizes), len(requests)):
        raise StageError("fresh process answered with a wrong shape", path=model, value=answered.shape)
    return answered


def parity(answered_SN: NDArray[np.float32], expected_N: NDArray[np.float32]) -> Parity:
    """Compare the answers [S, N, ...] of every batch size with the model's [N, ...].

    Raises StageError for answers of another shape.
    """
    if answered_SN.shape[1:] != expected_N.shape:
        raise StageError(
            "model and exported file answer with different shapes",
            value=f"{answered_SN.shape[1:]}, {expected_N.shape}",
        )
    answered = answered_SN.astype(np.float64).reshape(*answered_SN.shape[:2], -1)
    expected = expected_N.astype(np.float64).reshape(len(expected_N), -1)
    difference = float(np.abs(answered - expected).max() / max(1.0, np.abs(expected).max()))
    if expected.shape[1] == 1:
        return Parity(difference)
    norms = np.linalg.norm(answered, axis=-1) * np.linalg.norm(expected, axis=-1)
    cosine = np.where(norms == 0, 1.0, np.einsum("snd,nd->sn", answered, expected) / np.where(norms == 0, 1.0, norms))
    return Parity(difference, float(cosine.min()))


def _run(command: list[str], folder: Path, model: Path, timeout_s: float) -> None:
    source = str(Path(interlock.__file__).resolve().parents[1])
    path = os.pathsep.join([source, *filter(os.path.isabs, sys.path)])  # so that it finds the code that is running here
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "random"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise StageError(
            "fresh process did not answer in time",
            path=model,
            value=f"{timeout_s:g} s",
            hint="is the machine overloaded, or the model too large?",
        ) from error
    if done.returncode != 0 or not (folder / ANSWER_FILE).is_file():
        said = "\n    ".join((done.stderr or done.stdout).strip().splitlines()[-5:]) or "nothing"
        ended = f"exit code {done.returncode}" if done.returncode >= 0 else f"killed by signal {-done.returncode}"
        raise StageError(
            "exported model does not answer in a fresh process", path=model, value=ended, hint=f"it said:\n    {said}"
        )


def _answer(request_file: Path) -> None:
    """What the fresh process does."""
    request = json.loads(request_file.read_text())
    module, name = request["opener"]
    model: ExportedModel = getattr(import_module(module), name).open(Path(request["model"]))
    asked = request["requests"]
    blocks = [
        np.concatenate([model.answer(asked[i : i + size]) for i in range(0, len(asked), size)])
        for size in request["batch_sizes"]
    ]
    if "torch" in sys.modules:
        raise SystemExit(f"{module} imports torch: a model that is served must not need it")
    np.save(request_file.parent / ANSWER_FILE, np.stack(blocks), allow_pickle=False)


if __name__ == "__main__":
    _answer(Path(sys.argv[1]))
