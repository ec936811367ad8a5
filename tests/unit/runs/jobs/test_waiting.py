"""What a job waits for, and what the rules for approvals are told."""

import json

import pytest

from interlock.runs.jobs.folder import DemandRecord, JobRecord, PlaceRecord
from interlock.runs.jobs.waiting import missing_work, resources_of, training_facts


@pytest.fixture
def prepared(make_place):
    def make(card, *overrides):
        place = make_place(*overrides)
        (place.folder / "prepare").mkdir(exist_ok=True)
        (place.folder / "prepare" / "dataset_card.json").write_text(json.dumps(card))
        return place

    return make


@pytest.mark.parametrize(
    ("card", "samples"),
    [
        ({"name": "a", "documents": 150_000}, 150_000),
        ({"documents": 10, "splits": {"train": {"queries": 90_000, "pairs": 95_000}, "test": {"pairs": 9}}}, 95_009),
        ({"name": "a", "splits": {"train": 70_000, "test": 40_000}}, 110_000),
        ({"name": "a", "documents": "many", "splits": {"train": True}}, None),
        ({"name": "a"}, None),
    ],
)  # fmt: skip
def test_samples_are_counted_by_what_the_card_says(prepared, card, samples):
    assert training_facts(prepared({"name": "a", **card}))["samples"] == samples


def test_production_data_is_what_the_configuration_lists(prepared):
    place = prepared({"name": "orders"}, "control.production_datasets=[orders]", "hardware=cuda")
    facts = training_facts(place)
    assert (facts["is_production_data"], facts["is_gpu"], facts["estimated_hours"]) == (True, True, 4.0)
    assert not training_facts(prepared({"name": "other"}, "control.production_datasets=[orders]"))["is_production_data"]


def test_a_prerequisite_is_there_or_names_its_director(tmp_path):
    record = JobRecord(
        id="jc-1", card_sha256="0" * 64, place=PlaceRecord(lane="toy", work="work/x", params="params.yaml"),
        demands=(DemandRecord(check="a", gate=None),), expected_artifacts=(),
        prerequisites=(("dir_devsecops", "handed/over"), ("Dir-Data", "here")),
    )  # fmt: skip
    (tmp_path / "here").write_text("")
    (wait,) = missing_work(record, tmp_path)
    assert wait.kind == "director"
    assert "Dir-DevSecOps has not made handed/over yet" in str(wait)


def test_resources_follow_from_the_hardware():
    assert resources_of({"hardware": {"kind": "cpu", "threads": 2}}) == {"cpu": 2.0}
    assert resources_of({"hardware": {"kind": "cuda", "threads": 4}}) == {"cpu": 4.0, "cuda": 1.0}
    assert resources_of({"hardware": {"kind": "mps", "threads": 1}}) == {"cpu": 1.0, "mps": 1.0}
