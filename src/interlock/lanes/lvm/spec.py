"""The lane as data: names of code, declared artifacts. Imports nothing heavy."""

from interlock.lanes.spec import LaneSpec, Plot

_PACKAGE = "interlock.lanes.lvm"
_SYSTEMS = ("", "copy_last.", "history_mean.", "training_mean.")

LANE = LaneSpec(
    kind="lvm",
    config=f"{_PACKAGE}.config:Lvm",
    prepare=f"{_PACKAGE}.data:prepare",
    train=f"{_PACKAGE}.train:train",
    evaluate=f"{_PACKAGE}.evaluate:evaluate",
    export=f"{_PACKAGE}.export:export",
    package=_PACKAGE,
    measurements=(
        *(f"{system}{name}" for system in _SYSTEMS for name in ("next_vector_cosine", "r_at_5")),
        *("chance.r_at_5", "predictions"),
        *("training_loss_final", "validation_loss_final", "epochs_completed", "early_stopped"),
        *("splits_correct", "training_loss_converged", "no_nan_inf", "checkpoints_saved"),
        *("model_loadable", "inference_test_passed", "onnx_matches_torch", "onnx_difference"),
        *("latency_p50", "latency_p95", "latency_p99"),
    ),
    sources="interlock.lanes.retrieval.datasets.locations:source_paths",
    plots=(Plot(file="train/loss.csv", x="epoch", y=("train_loss", "validation_loss"), title="Loss by epoch"),),
    model_files=(
        "train/model.safetensors",
        "train/reference.safetensors",
        "train/reference.json",
        "export/model.onnx",
    ),
)
