"""The faulty lane as data."""

from interlock.lanes.spec import LaneSpec

LANE = LaneSpec(
    kind="faulty",
    config="faulty_lane.config:Faulty",
    prepare="faulty_lane.data:prepare",
    train="faulty_lane.train:train",
    evaluate="faulty_lane.evaluate:evaluate",
    export="faulty_lane.export:export",
    package="faulty_lane",
    conf="pkg://faulty_lane.conf",
    model_files=("train/model.safetensors", "export/model.json"),
)
