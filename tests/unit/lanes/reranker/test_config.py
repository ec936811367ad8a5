import json
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

import interlock
from interlock.lanes.reranker.config import Reranker


def test_a_first_stage_is_required(tiny_reranker):
    with pytest.raises(ValidationError, match=r"lane.inputs.first_stage is missing: name the query tower"):
        tiny_reranker.body(inputs={})


def test_unknown_inputs_are_refused_by_name(tiny_reranker):
    with pytest.raises(ValidationError, match="holds second_stage; this lane knows first_stage and baseline_model"):
        tiny_reranker.body(inputs={"first_stage": "lane:query_tower", "second_stage": "lane:other"})


def test_a_baseline_is_allowed(tiny_reranker):
    inputs = {"first_stage": "lane:query_tower", "baseline_model": f"run:{16 * '0'}@sha256:{64 * '0'}"}
    assert tiny_reranker.body(inputs=inputs).inputs == inputs


def test_vectors_have_no_words_to_match(tiny_reranker):
    with pytest.raises(ValidationError, match="docstrings"):
        tiny_reranker.body(data={"kind": "npz", "path": "points.npz", "name": "points"})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("trainer__epochs", 0),
        ("trainer__soft_weight", -1.0),
        ("trainer__candidates_per_step", 1),
        ("trainer__unknown", 1),
        ("model__heads", 0),
        ("model__dropout", 1.0),
        ("model__kind", "interactions"),
        ("data__candidates__size", 10),
        ("data__candidates__false_negative_similarity", 0.0),
    ],
)
def test_values_out_of_range_are_refused(tiny_reranker, key, value):
    with pytest.raises(ValidationError):
        tiny_reranker.body(**{key: value})


@pytest.mark.parametrize("text", ["NaN", "Infinity"])
def test_numbers_that_are_not_finite_are_refused(tiny_reranker, text):
    values = json.dumps(tiny_reranker.body_values()).replace('"lr": 0.01', f'"lr": {text}')
    assert text in values
    with pytest.raises(ValidationError):
        Reranker.model_validate_json(values)


def test_every_field_says_what_it_is():
    seen = []

    def walk(schema):
        for name, field in schema.get("properties", {}).items():
            if "const" not in field:
                seen.append(name)
                assert field.get("description") or "$ref" in field, name
        for part in schema.get("$defs", {}).values():
            walk(part)

    walk(Reranker.model_json_schema())
    assert len(seen) > 50


def test_configuration_lane_spec_and_the_consumers_side_do_not_import_torch():
    program = (
        "import sys; from interlock.lanes.reranker import config, spec, answering, lists;"
        "sys.exit('torch' in sys.modules or 'lightning' in sys.modules)"
    )
    source = str(Path(interlock.__file__).parents[1])
    assert subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": source}).returncode == 0
