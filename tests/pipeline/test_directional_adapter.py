"""The lane on a little real documentation: through DVC to a registered model that answers, with its plots."""

import json

# Few texts prove nothing: what is left to block are the checks that must hold for any data.
PROVEN_BY_SIZE = (
    "training_loss_converged", "accuracy", "f1", "ece", "accuracy_over_majority", "accuracy_over_length",
)  # fmt: skip
OVERRIDES = {
    "hardware": {"threads": 1},
    "lane": {
        "data": {"packages": ["fonttools", "pydantic"]},
        "trainer": {"epochs": 2},
        "gates": {name: {"severity": "advise"} for name in PROVEN_BY_SIZE},
    },
}


def test_the_order_of_passages_goes_from_documentation_to_a_registered_model(make_workspace):
    workspace = make_workspace(lanes=("directional_adapter",))
    workspace.edit("params.yaml", "overrides: {}\nlane", f"overrides: {json.dumps(OVERRIDES)}\nlane")
    workspace.repro()
    assert workspace.repro() == []
    workspace.interlock("sync")
    (model,) = json.loads(workspace.interlock("registry", "list", "--json"))
    assert model["verdict"] == "pass"
    folder = workspace.path / "artifacts/runs" / model["run_id"] / "models"
    kept = ("run_card.json", "model.safetensors", "model.onnx", "metrics.json", "eval_report.md", "train_log.jsonl")
    assert [name for name in kept if not (folder / name).is_file()] == []
    assert "| metric | this run | bag | length | majority |" in (folder / "eval_report.md").read_text()
    workspace.run("dvc", "plots", "show", "--out", "plots")

    from interlock.lanes.directional_adapter.answering import OrderModel

    texts = ["Return the name of the glyph", "This is the one that stands in the table, if there is any"]
    there, back = OrderModel.open(folder / "model.onnx").answer([texts, texts[::-1]])
    assert abs(there + back - 1.0) < 1e-5
