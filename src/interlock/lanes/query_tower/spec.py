"""The lane as data: names of code, declared artifacts. Imports nothing heavy."""

from interlock.lanes.spec import LaneSpec, Plot

_PACKAGE = "interlock.lanes.query_tower"
_RETRIEVAL = ("r_at_1", "r_at_5", "r_at_10", "ndcg_at_10", "mrr_at_10")

LANE = LaneSpec(
    kind="query_tower",
    config=f"{_PACKAGE}.config:QueryTower",
    prepare=f"{_PACKAGE}.data:prepare",
    train=f"{_PACKAGE}.train:train",
    evaluate=f"{_PACKAGE}.evaluate:evaluate",
    export=f"{_PACKAGE}.export:export",
    package=_PACKAGE,
    measurements=(
        *(f"{system}{name}" for system in ("", "bm25.", "bm25_stems.") for name in _RETRIEVAL),
        *(f"chance.r_at_{k}" for k in (1, 5, 10)),
        *(f"{text}echo_{name}" for text in ("", "query_") for name in ("loop", "chance", "lift", "r_at_1")),
        *("training_loss_final", "validation_loss_final", "epochs_completed", "early_stopped"),
        *("splits_correct", "training_loss_converged", "no_nan_inf", "checkpoints_saved"),
        *("model_loadable", "inference_test_passed", "onnx_matches_torch", "onnx_difference"),
        *("latency_p50", "latency_p95", "latency_p99"),
    ),
    sources="interlock.lanes.retrieval.datasets.locations:source_paths",
    plots=(
        Plot(file="train/loss.csv", x="epoch", y=("train_loss", "validation_loss"), title="Loss by epoch"),
        Plot(file="evaluate/recall.csv", x="k", y=("tower", "bm25", "bm25_stems", "chance"), title="Recall at k"),
    ),
)
