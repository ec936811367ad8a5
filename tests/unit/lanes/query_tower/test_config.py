import json
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

import interlock
from interlock.lanes.query_tower.config import QueryTower

NPZ = {"kind": "npz", "path": "points.npz", "name": "points"}


def test_the_tiny_body_is_valid_and_frozen(tiny):
    lane = tiny.body()
    with pytest.raises(ValidationError, match="frozen"):
        lane.kind = "other"


def test_vectors_need_a_vectors_encoder(tiny):
    with pytest.raises(
        ValidationError, match=r"data of kind npz cannot be read by an encoder of kind hashed: set .* to vectors"
    ):
        tiny.body(data=NPZ)


@pytest.mark.parametrize("encoder", ["vectors"])
def test_texts_need_a_text_encoder(tiny, encoder):
    with pytest.raises(ValidationError, match="data of kind beir cannot be read by an encoder of kind vectors"):
        tiny.body(model__encoder={"kind": encoder})


def test_inputs_are_refused_by_name(tiny):
    with pytest.raises(ValidationError, match="takes no inputs, but first is set"):
        tiny.body(inputs={"first": "lane:other"})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("trainer__epochs", 0),
        ("trainer__batch_size", 1),
        ("trainer__temperature", 0.0),
        ("trainer__epochs", True),
        ("trainer__unknown", 1),
        ("optimizer__lr", -1.0),
        ("optimizer__lr", "fast"),
        ("model__encoder__char_ngrams", [4, 3]),
        ("model__encoder__semantic__dropout", 1.0),
        ("model__encoder__lexical__own_share", 1.0),
        ("model__encoder__lexical__gain_epochs", -1),
        ("model__encoder__kind", "hasched"),
        ("model__echo__ridge", 0.0),
    ],
)
def test_values_out_of_range_are_refused(tiny, key, value):
    with pytest.raises(ValidationError):
        tiny.body(**{key: value})


@pytest.mark.parametrize("text", ["NaN", "Infinity"])
def test_numbers_that_are_not_finite_are_refused(tiny, text):
    values = json.dumps(tiny.body_values()).replace('"lr": 0.01', f'"lr": {text}')
    assert text in values
    with pytest.raises(ValidationError):
        QueryTower.model_validate_json(values)


def test_every_field_says_what_it_is():
    seen = []

    def walk(schema):
        for name, field in schema.get("properties", {}).items():
            if "const" not in field:
                seen.append(name)
                assert field.get("description") or "$ref" in field, name
        for part in schema.get("$defs", {}).values():
            walk(part)

    walk(QueryTower.model_json_schema())
    assert len(seen) > 60


def test_configuration_and_lane_spec_do_not_import_torch():
    program = (
        "import sys; from interlock.lanes.query_tower import config, spec, data;"
        "sys.exit('torch' in sys.modules or 'lightning' in sys.modules)"
    )
    source = str(Path(interlock.__file__).parents[1])
    assert subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": source}).returncode == 0
