"""Tower and reranker through DVC on a little real text: made one from the other, archived, registered."""

import json

# Few texts prove nothing: what is left to block are the checks that must hold for any data.
TOWER_PROVEN_BY_SIZE = ("training_loss_converged", "echo_loop", "echo_lift", "r_at_5", "r_at_5_over_bm25")
PROVEN_BY_SIZE = (
    "training_loss_converged", "r_at_10", "hard_negative_rejection", "r_at_10_over_first_stage",
    "end_to_end_over_first_stage", "negatives_balanced",
)  # fmt: skip
DATA = {"packages": ["rich", "typer", "pydantic"], "max_pairs": 400}


def overrides(gates, **trainer):
    return {"lane": {"data": DATA, "trainer": trainer, "gates": {name: {"severity": "advise"} for name in gates}}}


LANES = {
    "query_tower": overrides(TOWER_PROVEN_BY_SIZE, epochs=3),
    "reranker": overrides(PROVEN_BY_SIZE, epochs=2, batch_size=16),
}


def test_a_reranker_is_made_from_the_tower_of_the_same_pipeline(make_workspace):
    workspace = make_workspace(lanes=("query_tower", "reranker"))
    workspace.edit("params.yaml", "overrides: {}\nlane", f"overrides: {json.dumps({'hardware': {'threads': 1}})}\nlane")
    workspace.edit("params.yaml", "lane_overrides: {}", f"lane_overrides: {json.dumps(LANES)}")
    ran = workspace.repro()
    order = [ran.index(stage) for stage in ("query_tower-train", "reranker-prepare", "reranker-train")]
    assert order == sorted(order)

    lanes = workspace.path / "artifacts/lanes"
    records = {
        lane: json.loads((lanes / lane / "train/record.json").read_text()) for lane in ("query_tower", "reranker")
    }
    prepared = json.loads((lanes / "reranker/prepare/record.json").read_text())
    assert prepared["facts"]["first_stage"] == records["query_tower"]["run_id"]
    assert prepared["facts"]["candidates"]["negatives_distinct"]

    workspace.interlock("sync")
    models = {model["run_id"]: model for model in json.loads(workspace.interlock("registry", "list", "--json"))}
    assert models[records["reranker"]["run_id"]]["verdict"] == "pass"
    folder = workspace.path / "artifacts/runs" / records["reranker"]["run_id"] / "models"
    assert (folder / "model.onnx").is_file()
    report = (folder / "eval_report.md").read_text()
    assert "hard_negative_rejection" in report
    assert "first_stage" in report
    workspace.run("dvc", "plots", "show", "--out", "plots")
    assert workspace.repro() == []
