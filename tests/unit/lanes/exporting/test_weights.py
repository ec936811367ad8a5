import hashlib
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import interlock
from interlock.errors import DataError, NonFiniteError, StageError
from interlock.lanes.exporting.weights import read_weights, write_weights

METADATA = {"run_id": "r1", "lane": "query_tower", "dimensions": 3, "seed": 0, "nested": {"b": 1, "a": [1.5]}}

WRITE = """
import sys, torch
from pathlib import Path
from interlock.lanes.exporting.weights import write_weights
tensors = {name: torch.full((2, 3), float(i)) for i, name in enumerate(sys.argv[2])}
metadata = {"run_id": "r1", "lane": "query_tower", "dimensions": 3, "seed": 0, "nested": {"b": 1, "a": [1.5]}}
print(write_weights(Path(sys.argv[1]), tensors, metadata))
"""


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NonFiniteError, match=r"head\.bias"):
        write_weights(tmp_path / "w.safetensors", {"head.bias": torch.tensor([0.0, float("nan")])}, {})
    assert list(tmp_path.iterdir()) == []


def test_shared_memory_is_refused(tmp_path: Path) -> None:
    tensor = torch.ones(3)
    with pytest.raises(StageError, match="memory of its own"):
        write_weights(tmp_path / "w.safetensors", {"a": tensor, "b": tensor}, {})


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return (os.mkdir, (str(tmp_path / "exploded"),))

    (tmp_path / "w.safetensors").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(DataError, match="not a readable safetensors"):
        read_weights(tmp_path / "w.safetensors")
    assert not (tmp_path / "exploded").exists()


def test_missing_truncated_and_foreign_files_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "w.safetensors"
    with pytest.raises(DataError, match="not a readable"):
        read_weights(path)
    write_weights(path, {"a": torch.ones(100)}, METADATA)
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(DataError, match="not a readable"):
        read_weights(path)
    save_file({"a": torch.ones(2)}, path)
    with pytest.raises(DataError, match="lacks Interlock's metadata"):
        read_weights(path)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    tensors = {
        "b": torch.arange(6.0).reshape(2, 3).T,
        "a": torch.tensor([1, 2]),
        "c": torch.ones(2, dtype=torch.bfloat16),
    }
    digest = write_weights(tmp_path / "w.safetensors", tensors, METADATA)
    assert digest == hashlib.sha256((tmp_path / "w.safetensors").read_bytes()).hexdigest()
    found, metadata = read_weights(tmp_path / "w.safetensors")
    assert metadata == METADATA
    assert list(found) == ["a", "b", "c"]
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)


def test_exactly_one_metadata_key(tmp_path: Path) -> None:
    write_weights(tmp_path / "w.safetensors", {"a": torch.ones(1)}, METADATA)
    data = (tmp_path / "w.safetensors").read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert list(header["__metadata__"]) == ["interlock"]


def test_equal_bytes_in_processes_hash_seeds_and_orders(tmp_path: Path) -> None:
    tensors = {name: torch.full((2, 3), float("abc".index(name))) for name in "cab"}
    here = write_weights(tmp_path / "here.safetensors", tensors, METADATA)
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(Path(interlock.__file__).parents[1])}
    there = subprocess.run([sys.executable, "-c", WRITE, str(tmp_path / "there.bin"), "abc"], env=environment,
                           capture_output=True, text=True, check=True).stdout.strip()  # fmt: skip
    assert there == here
