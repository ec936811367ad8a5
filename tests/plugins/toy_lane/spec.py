"""The toy lane as data."""

from interlock.lanes.spec import LaneSpec, Plot

LANE = LaneSpec(
    kind="toy",
    config="toy_lane.config:Toy",
    prepare="toy_lane.data:prepare",
    train="toy_lane.train:train",
    evaluate="toy_lane.evaluate:evaluate",
    export="toy_lane.export:export",
    package="toy_lane",
    measurements=("accuracy", "base.accuracy", "converged", "loads"),
    conf="pkg://toy_lane.conf",
    plots=(Plot(file="train/loss.csv", x="step", y=("loss",), title="loss"),),
    model_files=("train/model.safetensors", "export/model.json"),
)
