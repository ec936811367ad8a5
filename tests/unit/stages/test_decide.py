"""Decide believes no judgement that is not one."""

import json

import pytest

from interlock.errors import StageError
from interlock.provenance.digest import sha256_file
from interlock.stages import decide, evaluate, export, judge, prepare, train
from interlock.stages.progress import Silent


@pytest.fixture
def judged(make_place):
    place = make_place()
    for stage in (prepare, train, evaluate, export, judge):
        stage.run(place, progress=Silent())
    return place


def rewrite(place, text):
    """Write the judgement, and its digest into the record, so that only its content is wrong."""
    folder = place.folder / "judge"
    (folder / "judgement.json").write_text(text)
    for name in ("record.json", "outputs.json"):
        said = json.loads((folder / name).read_text())
        found = {"sha256": sha256_file(folder / "judgement.json"), "size_bytes": len(text)}
        said["artifacts"]["judgement.json"] = found
        (folder / name).write_text(json.dumps(said))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda text: text[:-20], "Invalid JSON"),
        (lambda text: text.replace('"verdict": "pass"', '"verdict": "fail"', 1), "the rows fold to fail"),
        (lambda text: "{}", "Field required"),
    ],
)
def test_a_judgement_that_is_not_valid_is_named(judged, change, problem):
    path = judged.folder / "judge" / "judgement.json"
    rewrite(judged, change(path.read_text()))
    with pytest.raises(StageError, match="the judgement is not valid") as refused:
        decide.run(judged, progress=Silent())
    assert problem in refused.value.message
    assert refused.value.path == path
    assert refused.value.hint == f"delete {path.parent} and run dvc repro"
    assert not (judged.folder / "decide" / "record.json").exists()


def test_a_valid_one_is_decided_about(judged):
    assert decide.run(judged, progress=Silent()).facts["action"] == "accept"
