"""The lane as data: names of code, declared artifacts. Imports nothing heavy."""

from interlock.lanes.spec import LaneSpec, Plot

_PACKAGE = "interlock.lanes.query_tower"

LANE = LaneSpec(
    kind="query_tower",
    config=f"{_PACKAGE}.config:QueryTower",
    prepare=f"{_PACKAGE}.data:prepare",
    train=f"{_PACKAGE}.train:train",
    evaluate=f"{_PACKAGE}.evaluate:evaluate",
    export=f"{_PACKAGE}.export:export",
    package=_PACKAGE,
    plots=(
        Plot(file="train/loss.csv", x="epoch", y=("train_loss", "validation_loss"), title="Loss by epoch"),
        Plot(file="evaluate/recall.csv", x="k", y=("tower", "bm25", "chance"), title="Recall at k"),
    ),
)
