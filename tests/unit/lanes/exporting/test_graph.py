import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import onnx
import pytest
import torch
from torch import Tensor, nn

import interlock
from interlock.errors import StageError
from interlock.lanes.exporting.graph import _canonical_bytes, export_onnx


def test_a_sample_of_one_is_refused_before_anything_is_written(tower: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(StageError, match="too short along 'batch'"):
        tower.export(tmp_path / "m.onnx", sample=1)
    assert list(tmp_path.iterdir()) == []


def test_axes_of_unknown_inputs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"do not exist.*xx"):
        export_onnx(nn.Identity(), tmp_path / "m.onnx", inputs={"x": torch.ones(2)}, outputs=("y",),
                    axes={"xx": ("batch",)}, metadata={})  # fmt: skip


def test_a_model_that_cannot_be_exported_is_refused_by_name(tmp_path: Path) -> None:
    class Branching(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if float(x.sum()) > 0 else -x

    with pytest.raises(StageError, match=r"m\.onnx: model cannot be exported"):
        export_onnx(Branching(), tmp_path / "m.onnx", inputs={"x": torch.ones(2, 2)}, outputs=("y",),
                    axes={"x": ("batch", None)}, metadata={})  # fmt: skip


def test_file_holds_one_metadata_entry_and_no_trace_of_its_source(exported: SimpleNamespace) -> None:
    model = onnx.load(exported.path)
    assert [entry.key for entry in model.metadata_props] == ["interlock"]
    text = model.metadata_props[0].value
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
    assert b"stack_trace" not in exported.path.read_bytes()
    assert str(Path(__file__).parent).encode() not in exported.path.read_bytes()


def test_axes_vary_by_name(exported: SimpleNamespace) -> None:
    graph = onnx.load(exported.path).graph
    shapes = {value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
              for value in (*graph.input, *graph.output)}  # fmt: skip
    assert shapes == {
        "ids": ["batch", "length"],
        "weights": ["batch", "length"],
        "side": ["batch"],
        "vectors": ["batch", 16],
    }


def test_equal_digest_in_another_folder(tower: ModuleType, exported: SimpleNamespace, tmp_path: Path) -> None:
    assert tower.export(tmp_path / "another.onnx") == exported.sha256


@pytest.mark.slow
def test_equal_digest_in_other_processes_folders_and_hash_seeds(exported: SimpleNamespace, tmp_path: Path) -> None:
    running = []
    for seed in ("1", "2", "99"):
        folder = tmp_path / f"checkout-{seed}"
        folder.mkdir()
        shutil.copy(Path(__file__).with_name("tower.py"), folder)
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(interlock.__file__).parents[1])}
        command = [sys.executable, "tower.py", f"model-{seed}.onnx"]
        running.append(subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True))
    assert [process.communicate(timeout=120)[0].strip() for process in running] == [exported.sha256] * 3


def test_canonical_form_looks_into_subgraphs_and_functions() -> None:
    """What torch writes today has neither; a loop or a function must not bring paths back."""
    identity = onnx.helper.make_node("Identity", ["c"], ["d"], doc_string="/home/a.py")
    identity.metadata_props.add(key="stack_trace", value="/home/a.py")
    output = onnx.helper.make_tensor_value_info("d", onnx.TensorProto.FLOAT, [1], doc_string="/home/a.py")
    branch = onnx.helper.make_graph([identity], "branch", [], [output])
    choice = onnx.helper.make_node("If", ["b"], ["e"], then_branch=branch, else_branch=branch)
    graph = onnx.helper.make_graph(
        [choice], "g",
        [onnx.helper.make_tensor_value_info("b", onnx.TensorProto.BOOL, []),
         onnx.helper.make_tensor_value_info("c", onnx.TensorProto.FLOAT, [1])],
        [onnx.helper.make_tensor_value_info("e", onnx.TensorProto.FLOAT, [1])],
    )  # fmt: skip
    opset = onnx.helper.make_opsetid("", 20)
    function = onnx.helper.make_function("own", "f", ["x"], ["d"], [identity], [opset])
    function.node[0].input[0] = "x"
    model = onnx.helper.make_model(
        graph, functions=[function], opset_imports=[opset, onnx.helper.make_opsetid("own", 1)]
    )
    data = _canonical_bytes(model, {"a": 1}, Path("m.onnx"))
    assert b"/home" not in data
    assert b'{"a":1}' in data
