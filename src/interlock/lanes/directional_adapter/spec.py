"""The lane as data: names of code, declared artifacts. Imports nothing heavy."""

from interlock.lanes.spec import LaneSpec, Plot

_PACKAGE = "interlock.lanes.directional_adapter"

LANE = LaneSpec(
    kind="directional_adapter",
    config=f"{_PACKAGE}.config:DirectionalAdapter",
    prepare=f"{_PACKAGE}.data:prepare",
    train=f"{_PACKAGE}.train:train",
    evaluate=f"{_PACKAGE}.evaluate:evaluate",
    export=f"{_PACKAGE}.export:export",
    package=_PACKAGE,
    measurements=(
        *("accuracy", "majority.accuracy", "length.accuracy", "bag.accuracy"),
        *("f1", "ece", "ece_uncalibrated", "temperature"),
        *("training_loss_final", "validation_loss_final", "epochs_completed", "early_stopped"),
        *("splits_correct", "training_loss_converged", "no_nan_inf", "checkpoints_saved"),
        *("model_loadable", "inference_test_passed", "onnx_matches_torch", "onnx_difference"),
        *("latency_p50", "latency_p95", "latency_p99"),
    ),
    sources="interlock.lanes.retrieval.datasets.locations:source_paths",
    plots=(
        Plot(file="train/loss.csv", x="epoch", y=("train_loss", "validation_loss"), title="Loss by epoch"),
        Plot(
            file="evaluate/reliability.csv", x="confidence", y=("accuracy", "perfect"),
            title="Reliability: share of right answers by stated confidence",
        ),
    ),
)  # fmt: skip
