"""The lane as data: names of code, declared artifacts. Imports nothing heavy."""

from interlock.lanes.spec import InputSpec, LaneSpec, Plot

_PACKAGE = "interlock.lanes.reranker"
_RETRIEVAL = ("r_at_1", "r_at_5", "r_at_10", "ndcg_at_10", "mrr_at_10")
_SYSTEMS = ("", "first_stage.", "bm25.")

LANE = LaneSpec(
    kind="reranker",
    config=f"{_PACKAGE}.config:Reranker",
    prepare=f"{_PACKAGE}.data:prepare",
    train=f"{_PACKAGE}.train:train",
    evaluate=f"{_PACKAGE}.evaluate:evaluate",
    export=f"{_PACKAGE}.export:export",
    package=_PACKAGE,
    inputs=(
        InputSpec(name="first_stage", kinds=("query_tower",)),
        InputSpec(name="baseline_model", kinds=("reranker",), required=False),
    ),
    measurements=(
        *(f"{system}{lists}{name}" for system in _SYSTEMS for lists in ("", "end_to_end_") for name in _RETRIEVAL),
        *(f"chance.r_at_{k}" for k in (1, 5, 10)),
        *(
            f"{system}hard_negative_rejection{name}"
            for system in _SYSTEMS
            for name in ("", "_strict", "_below_answer")
        ),
        *("chance.hard_negative_rejection", "answers_retrieved", "false_negatives_left_out"),
        *("negatives_distinct", "negatives_balanced"),
        *("training_loss_final", "validation_loss_final", "epochs_completed", "early_stopped"),
        *("splits_correct", "training_loss_converged", "no_nan_inf", "checkpoints_saved"),
        *("model_loadable", "inference_test_passed", "onnx_matches_torch", "onnx_difference"),
        *("latency_p50", "latency_p95", "latency_p99"),
    ),
    sources="interlock.lanes.retrieval.datasets.locations:source_paths",
    plots=(
        Plot(file="train/loss.csv", x="epoch", y=("train_loss", "validation_loss"), title="Loss by epoch"),
        Plot(
            file="evaluate/recall.csv", x="k", y=("reranker", "first_stage", "bm25", "chance"),
            title="Recall at k on lists that hold the answer",
        ),
        Plot(
            file="evaluate/recall.csv", x="k", y=("reranker_end_to_end", "first_stage_end_to_end", "bm25_end_to_end"),
            title="Recall at k on the first stage's own results",
        ),
        Plot(
            file="prepare/quality.csv", x="rank", y=("answer", "soft", "hard"),
            title="What stands at each rank of the first stage",
        ),
    ),
)  # fmt: skip
