"""Files of several stages share a folder without ever taking each other's names."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lane_folders import LaneFolder

from interlock.errors import ProvenanceError
from interlock.registry.layout import FinishedRun, id_folder, placements, run_folder, safe_name
from interlock.runs.sync import finished_stages


@pytest.mark.parametrize("name", ["/abs", "../x", "a/../b", "a//b", "./a", "a/", "", "a\\b", "a\0b", ".."])
def test_names_that_are_not_plain_are_refused(name):
    with pytest.raises(ProvenanceError):
        safe_name(name, Path("folder"))


@pytest.mark.parametrize("name", ["a", "a/b.c", "checkpoints/epoch_010.safetensors", ".hidden", "ä b"])
def test_plain_names_pass(name):
    assert safe_name(name, Path("folder")) == name


@pytest.mark.parametrize("run_id", ["", "x" * 16, "0" * 15, "0" * 17, "../" + "0" * 13, "0" * 16 + "\n"])
def test_only_run_ids_have_folders(tmp_path, run_id):
    with pytest.raises(ProvenanceError, match="not a run id"):
        run_folder(tmp_path, run_id)


@pytest.mark.parametrize("name", ["", "..", ".", "a/b", "/a", "-a", "a" * 101])
def test_only_plain_ids_have_folders(tmp_path, name):
    with pytest.raises(ProvenanceError):
        id_folder(tmp_path, name)


NAMES = st.sampled_from(
    ["metrics.json", "model.bin", "run_card.json", "records/train.json", "export/metrics.json", "train/x", "a/b"]
)


@settings(max_examples=40)
@given(train=st.sets(NAMES, min_size=1), evaluate=st.sets(NAMES), export=st.sets(NAMES))
def test_no_file_is_lost_or_overwritten(tmp_path_factory, train, evaluate, export):
    lane = LaneFolder(tmp_path_factory.mktemp("lane"))
    lane.prepare()
    for stage, names in (("train", train), ("evaluate", evaluate), ("export", export)):
        lane.stage(stage, {name: stage for name in names})
    run = FinishedRun(run_id=lane.run_id, lane="tower", stages=finished_stages(lane.folder), model_files=())
    placed = placements(run)
    assert len(placed) == len(train) + len(evaluate) + len(export) + 1
    assert not [name for name in placed if name == "run_card.json" or name.startswith("records/")]
    for item in placed.values():
        assert (lane.folder / item.stage / item.name).is_file()


def test_where_a_file_stands_does_not_depend_on_later_stages(tmp_path):
    lane = LaneFolder(tmp_path).finish()
    stages = finished_stages(lane.folder)
    whole = placements(FinishedRun(run_id=lane.run_id, lane="tower", stages=stages, model_files=()))
    for count in range(len(stages)):
        part = dict(list(stages.items())[:count])
        some = placements(FinishedRun(run_id=lane.run_id, lane="tower", stages=part, model_files=()))
        assert some.items() <= whole.items()
