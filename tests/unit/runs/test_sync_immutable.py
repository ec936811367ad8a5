"""A complete model never changes: what would change it is refused by name, what may differ is kept beside it."""

import stat

import pytest
from lane_folders import RUN, LaneFolder, tree

from interlock.errors import ProvenanceError, RegistryError
from interlock.registry.archive import read_card
from interlock.registry.events import read_events
from interlock.runs.sync import sync_lane


@pytest.fixture
def archived(tmp_path):
    """A lane that has been archived, and a function that archives it again."""
    lane, home = LaneFolder(tmp_path / "lane").finish(), tmp_path / "home"

    def again():
        return sync_lane(lane.folder, workspace=tmp_path, home=home)

    again()
    return lane, home, again


def test_other_weights_under_the_same_run_id_are_refused(archived):
    lane, home, again = archived
    before = tree(home)
    lane.train(weights="forged")
    lane.evaluate()
    lane.export()
    with pytest.raises(RegistryError, match="now gives other bytes") as caught:
        again()
    assert caught.value.path.name == "best.safetensors"
    assert tree(home / "runs" / RUN / "models") == {
        name.removeprefix(f"runs/{RUN}/models/"): data
        for name, data in before.items()
        if name.startswith(f"runs/{RUN}/models/")
    }


def test_another_exported_file_is_refused_even_from_other_code(archived):
    lane, _, again = archived
    lane.export(onnx="other", code="changed exporter")
    with pytest.raises(RegistryError, match=r"model\.onnx"):
        again()


def test_a_skipped_export_cannot_be_completed_with_other_weights(tmp_path):
    lane, home = LaneFolder(tmp_path / "lane").finish(export="skipped", verdict="fail"), tmp_path / "home"
    sync_lane(lane.folder, workspace=tmp_path, home=home)
    lane.train(weights="forged")
    lane.evaluate()
    lane.export()
    with pytest.raises(RegistryError, match="now gives other bytes"):
        sync_lane(lane.folder, workspace=tmp_path, home=home)
    assert read_card(home, RUN, verify=True).export == "skipped"


def test_other_numbers_from_the_same_evaluator_are_refused(archived):
    lane, _, again = archived
    lane.evaluate(r_at_5=0.9)
    with pytest.raises(RegistryError, match="gave other bytes from the same code"):
        again()


def test_numbers_of_another_evaluator_are_kept_beside_the_model(archived):
    lane, home, again = archived
    before = tree(home / "runs" / RUN / "models")
    lane.evaluate(r_at_5=0.9, code="changed evaluator")
    lane.export()
    lane.judge(gates="gates", words="re-measured")
    lane.decide()
    assert again().change == "revised"
    assert tree(home / "runs" / RUN / "models") == before
    kept = tree(home / "runs" / RUN / "revisions")
    assert {name.split("/", 1)[1] for name in kept} >= {"evaluate/metrics.json", "evaluate/record.json"}
    again()
    assert tree(home / "runs" / RUN / "revisions") == kept


def test_changed_code_that_gives_the_same_bytes_is_fine(archived):
    lane, home, again = archived
    lane.export(code="a comment")
    assert again().change == "revised"
    assert [event.kind for event, _ in read_events(home)].count("model_registered") == 1


def test_archived_files_cannot_be_written(archived):
    _, home, _ = archived
    models = home / "runs" / RUN / "models"
    assert {stat.S_IMODE((models / name).stat().st_mode) for name in tree(models)} == {0o444}


def test_a_changed_archive_is_noticed_on_reading(archived):
    _, home, _ = archived
    path = home / "runs" / RUN / "models" / "model.safetensors"
    path.chmod(0o644)
    path.write_bytes(b"forged!")
    with pytest.raises(ProvenanceError, match=r"model\.safetensors"):
        read_card(home, RUN, verify=True)


@pytest.mark.parametrize("text", ["", "{}", '{"run_id": "x"}', "[]"])
def test_a_damaged_card_is_refused(archived, text):
    _, home, again = archived
    path = home / "runs" / RUN / "models" / "run_card.json"
    path.chmod(0o644)
    path.write_text(text)
    with pytest.raises(RegistryError, match="not valid"):
        again()


def test_a_card_of_another_run_is_refused(archived):
    _, home, _ = archived
    other = home / "runs" / ("d" * 16) / "models"
    other.mkdir(parents=True)
    (other / "run_card.json").write_bytes((home / "runs" / RUN / "models" / "run_card.json").read_bytes())
    with pytest.raises(RegistryError, match="belongs to another run"):
        read_card(home, "d" * 16)
