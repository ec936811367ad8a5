"""Judging again: from the archived scores and gates the same values and verdicts must come."""

import json
import shutil
from pathlib import Path

import pytest
from forger import Forger
from honest_runs import HonestRuns

from interlock.errors import UsageError
from interlock.runs.proof.prove import find_run_id, prove_run

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("proof")
    maker = HonestRuns(folder, workspace=ROOT)
    return folder / "home", maker.run(folder / "home", seed=1, variety="judged again by hand")


@pytest.fixture
def forger(made, tmp_path):
    return Forger(shutil.copytree(made[0], tmp_path / "home"), made[1])


def links(forger, state, section=None):
    found = prove_run(forger.home, forger.run_id).links
    return [link for link in found if link.state == state and section in (None, link.section)]


def by_pipeline(forger):
    return forger.one("judgements/*/record.json").rpartition("/")[0]


def test_every_judgement_is_made_again(forger):
    again = [link for link in links(forger, "holds", "judgements") if link.name.endswith("judged again")]
    assert sorted(link.detail for link in again) == ["fail, 4 gates", "pass, 4 gates"]
    values = {link.name: link.detail for link in links(forger, "holds", "measurements")}
    assert values["models/measurements.json -> scores"] == "2 values computed again from their items"
    assert values["models/measurements.json -> stated values"] == "held by digest alone: converged"


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"observed": 0.95}, "observed comes out as 0.9, the judgement says 0.95"),
        ({"n": 999}, "n comes out as 400, the judgement says 999"),
        ({"bound": 0.89}, "bound comes out as "),
        ({"target": 0.1}, "target comes out as 0.8, the judgement says 0.1"),
        ({"severity": "advise"}, "severity comes out as block, the judgement says advise"),
    ],
)
def test_a_row_that_does_not_come_out_is_found_although_every_digest_fits(forger, change, detail):
    def edit(judgement):
        next(row for row in judgement["rows"] if row["gate"] == "accuracy").update(change)

    forger.change(f"{by_pipeline(forger)}/judgement.json", edit)
    forger.reseal(rejudge=False)
    first = links(forger, "broken")[0]
    assert first.name.endswith("judged again: accuracy")
    assert first.detail.startswith(detail)


def test_a_row_too_few_is_found(forger):
    forger.change(f"{by_pipeline(forger)}/judgement.json", lambda judgement: judgement["rows"].pop(0))
    forger.reseal(rejudge=False)
    assert links(forger, "broken")[0].detail == "the judgement does not answer it"


def broken_but_for_evidence(forger):
    """A decision cites the words of its judgement: that they are others now is found there."""
    broken = links(forger, "broken")
    assert {link.name.partition(" -> ")[2] for link in broken} == {"its evidence"}
    return [link for link in broken if not link.name.endswith("its evidence")]


def test_other_words_for_the_same_numbers_are_no_break(forger):
    def edit(judgement):
        for row in judgement["rows"]:
            row["reason"] = "said otherwise by an earlier version"

    forger.change(f"{by_pipeline(forger)}/judgement.json", edit)
    forger.reseal(rejudge=False)
    assert broken_but_for_evidence(forger) == []


def test_bounds_of_another_method_are_told(forger):
    def edit(judgement):
        judgement["rows"][0].update(method="of an earlier version", bound=0.87)

    forger.change(f"{by_pipeline(forger)}/judgement.json", edit)
    forger.reseal(rejudge=False)
    assert broken_but_for_evidence(forger) == []
    assert any("came from of an earlier version then" in link.detail for link in links(forger, "unchecked"))


def test_a_judgement_without_its_gates_is_told(forger):
    name = forger.one("judgements/*/gates.json")
    forger.remove(name)
    forger.relog()
    assert any("its gates were not kept" in link.detail for link in links(forger, "unchecked", "judgements"))


def test_a_value_that_its_scores_do_not_give_is_found(forger):
    def edit(file):
        next(item for item in file["items"] if item["name"] == "accuracy").update(value=0.91)

    forger.change("models/measurements.json", edit)
    forger.change("models/metrics.json", lambda file: file.update(accuracy=0.91))
    forger.reseal(rejudge=False)
    first = links(forger, "broken")[0]
    assert first.name == "models/measurements.json -> scores"
    assert "0.91 is stated, its 400 scores give 0.9" in first.detail


def test_a_metric_that_no_measurement_gave_is_found(forger):
    forger.change("models/metrics.json", lambda file: file.update(converged=0.5))
    forger.reseal(rejudge=False)
    first = links(forger, "broken", "measurements")[0]
    assert first.name == "models/measurements.json -> metrics.json: converged"
    assert first.detail == "the file says 0.5, the measurement says 1.0"


def test_scores_that_are_gone_are_found(forger):
    forger.remove("models/per_query.parquet")
    assert any("the archive holds no per_query.parquet" in link.detail for link in links(forger, "broken"))


def test_a_run_is_found_by_its_beginning_even_when_its_folder_is_gone(forger):
    shutil.rmtree(forger.home / "runs")
    assert find_run_id(forger.home, forger.run_id[:5]) == forger.run_id
    with pytest.raises(UsageError, match="no such run") as caught:
        find_run_id(forger.home, "zzz")
    assert json.dumps(caught.value.value) == '"zzz"'
    with pytest.raises(UsageError):
        find_run_id(forger.home, "")
