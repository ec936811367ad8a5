"""The lane as data. Code is named by dotted strings, so that looking the lane up imports none of it."""

from interlock.lanes.spec import LaneSpec, Plot

LANE = LaneSpec(
    kind="digits",
    config="digits_lane.config:DigitsLane",
    prepare="digits_lane.data:prepare",
    train="digits_lane.train:train",
    evaluate="digits_lane.evaluate:evaluate",
    export="digits_lane.export:export",
    package="digits_lane",
    measurements=(
        "accuracy",
        "centroids.accuracy",
        "splits_correct",
        "converged",
        "model_loadable",
        "onnx_matches_torch",
    ),
    conf="pkg://digits_lane.conf",
    metrics=("evaluate/metrics.json",),
    plots=(Plot(file="train/loss.csv", x="epoch", y=("train", "validation"), title="loss in nats"),),
    model_files=("train/model.safetensors", "export/model.onnx"),
)
