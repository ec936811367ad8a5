"""Does the shipped file answer, in a process that knows nothing but the file, as the trained model does?

`answers` starts `python -m interlock.lanes.exporting.fresh_process request.json` in an empty folder; that process opens
the model without torch and encodes the texts at several batch sizes. `parity` compares its vectors with the trained
model's. A crash, a hang or a wrong shape is a StageError with the last lines of what the process said.

Shapes: S batch sizes, N texts, D dimensions.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import interlock
from interlock.errors import StageError
from interlock.lanes.exporting.answering import ExportedEncoder

BATCH_SIZES = (1, 2, 7, 64)
"""1 is how a service asks and what a careless export gets wrong; the others cover other shapes of the graph."""

DIFFERENCE_MAX = 1e-4
"""Largest difference of any component of two unit vectors that counts as equal."""

COSINE_MIN = 1.0 - 1e-5
"""Smallest cosine between the two vectors of one text that counts as equal."""

ANSWER_FILE = "vectors.npy"


@dataclass(frozen=True)
class Parity:
    """How far two sets of vectors of the same texts are apart, over all batch sizes."""

    difference: float
    """Largest absolute difference of a component."""
    cosine: float
    """Smallest cosine of a pair; pairs of zero vectors count as 1."""

    @property
    def holds(self) -> bool:
        """True when both tolerances are met; NaN never does."""
        return self.difference <= DIFFERENCE_MAX and self.cosine >= COSINE_MIN


def answers(
    model: Path, texts: Sequence[str], *, role: str, timeout_s: float = 120.0, batch_sizes: Sequence[int] = BATCH_SIZES
) -> NDArray[np.float32]:
    """[S, N, D] vectors of the texts as a fresh process encodes them, once for each batch size. Raises StageError."""
    with tempfile.TemporaryDirectory(prefix="interlock-fresh-") as name:
        folder = Path(name)
        request = folder / "request.json"
        request.write_text(
            json.dumps(
                {"model": str(model.resolve()), "role": role, "texts": list(texts), "batch_sizes": list(batch_sizes)}
            )
        )
        _run([sys.executable, "-m", "interlock.lanes.exporting.fresh_process", str(request)], folder, model, timeout_s)
        vectors_SND: NDArray[np.float32] = np.load(folder / ANSWER_FILE, allow_pickle=False)
    if vectors_SND.ndim != 3 or vectors_SND.shape[:2] != (len(batch_sizes), len(texts)):
        raise StageError("fresh process answered with a wrong shape", path=model, value=vectors_SND.shape)
    return vectors_SND


def parity(answered_SND: NDArray[np.float32], expected_ND: NDArray[np.float32]) -> Parity:
    """Compare every batch size with the trained model's vectors. Raises StageError for another shape."""
    if answered_SND.shape[1:] != expected_ND.shape:
        raise StageError(
            "model and exported file answer with different shapes",
            value=f"{answered_SND.shape[1:]}, {expected_ND.shape}",
        )
    answered, expected = answered_SND.astype(np.float64), expected_ND.astype(np.float64)
    norms = np.linalg.norm(answered, axis=-1) * np.linalg.norm(expected, axis=-1)
    cosine = np.where(norms == 0, 1.0, np.einsum("snd,nd->sn", answered, expected) / np.where(norms == 0, 1.0, norms))
    return Parity(difference=float(np.abs(answered - expected).max()), cosine=float(cosine.min()))


def _run(command: list[str], folder: Path, model: Path, timeout_s: float) -> None:
    source = str(Path(interlock.__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH", "")]))
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
    encoder, texts = ExportedEncoder.open(Path(request["model"])), request["texts"]
    blocks = [
        np.concatenate([encoder.encode(texts[i : i + size], role=request["role"]) for i in range(0, len(texts), size)])
        for size in request["batch_sizes"]
    ]
    assert "torch" not in sys.modules, "the consumer's side must not need torch"
    np.save(request_file.parent / ANSWER_FILE, np.stack(blocks), allow_pickle=False)


if __name__ == "__main__":
    _answer(Path(sys.argv[1]))
