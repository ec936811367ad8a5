import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.contracts.measurement import Bins, Measurement, Measurements
from interlock.errors import DataError, ProvenanceError
from interlock.lanes.measuring import (
    SCORES_FILE,
    Subject,
    Value,
    evidence_pointer,
    from_ratio,
    from_scores,
    read_scores,
    split_digest,
    write_measurements,
    write_scores,
)
from interlock.provenance.digest import sha256_file

QUERIES = ["q3", "q1", "q2"]
HITS = np.array([1.0, 0.0, 1.0])
COSINES = np.array([0.5, 0.25, 0.75])


def subject(folder: Path) -> Subject:
    return Subject(
        folder=folder, stage="evaluate", run_id="run-1", evaluator_sha256="e" * 64, split="test", split_sha256="5" * 64
    )


def written(folder: Path) -> Measurements:
    digest = write_scores(folder / SCORES_FILE, QUERIES, {"r_at_5": HITS, "echo_cosine": COSINES})
    values = [from_scores("r_at_5", HITS), from_scores("echo_cosine", COSINES, unit="cosine")]
    return write_measurements(subject(folder), values, scores_sha256=digest)


def named(measurements: Measurements, name: str) -> Measurement:
    return next(item for item in measurements.items if item.name == name)


@pytest.mark.parametrize(
    ("ids", "scores", "message"),
    [
        (["a", "a"], [1, 2], "scored twice"),
        (["a", "b"], [1], "one finite score for each of the 2"),
        (["a", "b"], [1, math.nan], "1 not finite"),
        (["a", "b"], [math.inf, 0], "1 not finite"),
    ],
)
def test_bad_scores_are_refused_and_nothing_is_left(
    tmp_path: Path, ids: list[str], scores: list[float], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        write_scores(tmp_path / SCORES_FILE, ids, {"x": scores})
    assert list(tmp_path.iterdir()) == []


def test_a_changed_score_file_is_refused(tmp_path: Path) -> None:
    measurement = named(written(tmp_path), "r_at_5")
    write_scores(tmp_path / SCORES_FILE, QUERIES, {"r_at_5": [1, 1, 1], "echo_cosine": COSINES})
    with pytest.raises(ProvenanceError, match="differ from their recorded digest"):
        read_scores(measurement, tmp_path)
    (tmp_path / SCORES_FILE).unlink()
    with pytest.raises(ProvenanceError, match="missing"):
        read_scores(measurement, tmp_path)


def test_a_torn_file_that_was_described_afterwards_is_refused_by_name(tmp_path: Path) -> None:
    found = named(written(tmp_path), "r_at_5")
    path = tmp_path / SCORES_FILE
    path.write_bytes(path.read_bytes()[:-8])
    assert found.scores
    described = found.scores.model_copy(update={"sha256": sha256_file(path)})
    with pytest.raises(ProvenanceError, match="not a readable Parquet file"):
        read_scores(found.model_copy(update={"scores": described}), tmp_path)


def test_a_missing_column_and_a_path_outside_are_refused(tmp_path: Path) -> None:
    measurement = named(written(tmp_path), "r_at_5")
    assert measurement.scores is not None
    for change, message in (({"column": "r_at_9"}, "lack a column"), ({"file": "../x.parquet"}, "leaves its root")):
        changed = measurement.model_copy(update={"scores": measurement.scores.model_copy(update=change)})
        with pytest.raises(ProvenanceError, match=message):
            read_scores(changed, tmp_path)


def test_values_without_items_have_none_to_read(tmp_path: Path) -> None:
    measurements = write_measurements(subject(tmp_path), [Value(name="loss", value=0.5, unit="nats")])
    with pytest.raises(DataError, match="no per-item scores"):
        read_scores(measurements.items[0], tmp_path)


def test_contradictory_values_are_refused(tmp_path: Path) -> None:
    loss = Value(name="loss", value=0.5, unit="nats")
    with pytest.raises(DataError, match="measured twice"):
        write_measurements(subject(tmp_path), [loss, loss])
    with pytest.raises(DataError, match="no scores were written"):
        write_measurements(subject(tmp_path), [from_scores("r_at_5", HITS)])


def test_scores_come_back_sorted_by_item(tmp_path: Path) -> None:
    ids, scores = read_scores(named(written(tmp_path), "echo_cosine"), tmp_path)
    assert ids == ["q1", "q2", "q3"]
    assert scores.tolist() == [0.25, 0.75, 0.5]


def two_columns(folder: Path) -> Measurements:
    columns = {"tokens": [30, 10, 20], "seconds": [3, 2, 1], "correct": HITS, "p": COSINES}
    digest = write_scores(folder / SCORES_FILE, QUERIES, columns)
    speed = from_ratio("speed", np.array([30.0, 10, 20]), np.array([3.0, 2, 1]), unit="tokens/s",
                       columns=("tokens", "seconds"))  # fmt: skip
    error = Value(name="ece", value=0.5, unit="ratio", n=3, estimator="calibration", column="correct", confidence="p",
                  bins=Bins(count=1))  # fmt: skip
    return write_measurements(subject(folder), [speed, error], scores_sha256=digest)


def test_a_ratio_and_a_calibration_come_back_with_both_columns(tmp_path: Path) -> None:
    measurements = two_columns(tmp_path)
    ids, scores = read_scores(named(measurements, "speed"), tmp_path)
    assert (ids, scores.tolist()) == (["q1", "q2", "q3"], [[10, 2], [20, 1], [30, 3]])
    assert named(measurements, "speed").value == 10.0
    assert read_scores(named(measurements, "ece"), tmp_path)[1].tolist() == [[0, 0.25], [1, 0.75], [1, 0.5]]
    assert named(measurements, "ece").bins == Bins(count=1)


def test_a_missing_second_column_is_refused(tmp_path: Path) -> None:
    measurement = named(two_columns(tmp_path), "speed")
    assert measurement.scores is not None
    other = measurement.model_copy(update={"scores": measurement.scores.model_copy(update={"denominator": "minutes"})})
    with pytest.raises(ProvenanceError, match="lack a column"):
        read_scores(other, tmp_path)


@pytest.mark.parametrize("denominators", [[0.0, 0.0], [2.0, -1.0]])
def test_a_ratio_without_a_denominator_has_no_value_and_says_why(denominators: list[float]) -> None:
    value = from_ratio("speed", np.ones(2), np.array(denominators), unit="tokens/s", columns=("tokens", "seconds"))
    assert value.value is None
    assert "denominators" in value.reason


def test_bytes_do_not_depend_on_order_or_folder(tmp_path: Path) -> None:
    first = write_scores(tmp_path / "a" / SCORES_FILE, QUERIES, {"x": HITS, "y": COSINES})
    second = write_scores(tmp_path / "b.parquet", QUERIES[::-1], {"y": COSINES[::-1], "x": HITS[::-1]})
    assert first == second


def test_measurements_point_at_their_evidence(tmp_path: Path) -> None:
    measurements = written(tmp_path)
    recall = named(measurements, "r_at_5")
    assert (recall.estimator, recall.n, recall.unit) == ("rate", 3, "ratio")
    assert recall.value == pytest.approx(2 / 3)
    assert named(measurements, "echo_cosine").estimator == "mean"
    assert recall.evidence == f"evaluate/metrics.json#/r_at_5@sha256:{sha256_file(tmp_path / 'metrics.json')}"
    assert json.loads((tmp_path / "metrics.json").read_text()) == {"echo_cosine": 0.5, "r_at_5": recall.value}
    text = (tmp_path / "measurements.json").read_text()
    assert Measurements.model_validate_json(text) == measurements


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_value_that_is_not_finite_is_recorded_as_none(tmp_path: Path, value: float) -> None:
    (item,) = write_measurements(subject(tmp_path), [Value(name="loss", value=value, unit="nats")]).items
    assert item.value is None
    assert item.reason.startswith("not finite")
    assert json.loads((tmp_path / "metrics.json").read_text()) == {"loss": None}


def test_pointers_escape_names() -> None:
    assert evidence_pointer("m.json", "a/b~c", "0" * 64) == f"m.json#/a~1b~0c@sha256:{'0' * 64}"


@given(st.permutations(["q1", "q2", "q3"]))
def test_split_digest_ignores_order(order: list[str]) -> None:
    texts = {"q1": "one", "q2": "two", "q3": "three"}
    relevant = {"q1": {"a": 1, "b": 2}, "q2": {"c": 1}, "q3": {"a": 1}}
    expected = split_digest(texts, relevant, corpus_sha256="c")
    shuffled = {query: dict(reversed(relevant[query].items())) for query in order}
    assert split_digest({query: texts[query] for query in order}, shuffled, corpus_sha256="c") == expected


def test_split_digest_sees_every_change() -> None:
    digests = {
        split_digest(texts, relevant, corpus_sha256=corpus)
        for texts, relevant, corpus in [
            ({"q": "text"}, {"q": {"d": 1}}, "c"),
            ({"q": "texts"}, {"q": {"d": 1}}, "c"),
            ({"p": "text"}, {"p": {"d": 1}}, "c"),
            ({"q": "text"}, {"q": {"d": 2}}, "c"),
            ({"q": "text"}, {"q": {"e": 1}}, "c"),
            ({"q": "text"}, {"q": {"d": 1}}, "other"),
        ]
    }
    assert len(digests) == 6


def test_reading_does_not_import_torch(tmp_path: Path) -> None:
    written(tmp_path)
    code = (
        "import sys, pathlib\n"
        "from interlock.contracts.measurement import Measurements\n"
        "from interlock.lanes.measuring import read_scores\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "items = Measurements.model_validate_json((folder / 'measurements.json').read_text()).items\n"
        "read_scores(items[0], folder)\n"
        "print(sorted({'torch', 'pandas', 'sklearn', 'faiss'} & set(sys.modules)))\n"
    )
    said = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True,
                          env={"PYTHONPATH": str(Path(__file__).parents[3] / "src")})  # fmt: skip
    assert said.stdout.strip() == "[]"
