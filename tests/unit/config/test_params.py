"""params.yaml, spelling of overrides, and composed files."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.config.compose import compose_lane
from interlock.config.params import compose_workspace, composed_text, write_composed
from interlock.config.params_file import flatten, lane_overrides, read_params, spell
from interlock.config.validate import validate
from interlock.errors import ConfigError

ROOT = Path(__file__).resolve().parents[3]
TOP = "experiment: default\nlanes: [toy]\n"


@pytest.fixture
def workspace(tmp_path):
    (tmp_path / "conf").symlink_to(ROOT / "conf")
    (tmp_path / "params.yaml").write_text("experiment: default\nlanes: [toy]\noverrides: {}\nlane_overrides: {}\n")
    return tmp_path


@pytest.mark.parametrize(
    ("text", "key", "problem"),
    [
        ("lanes: [toy]\n", "experiment", "must name a file"),
        ("experiment: default\nlanes: []\n", "lanes", "at least one lane"),
        ("experiment: default\nlanes: [tyo]\n", "lanes", "no such lane"),
        ("experiment: default\nlanes: [toy]\noverride: {}\n", "override", "is not a key of params.yaml"),
        (
            "experiment: default\nlanes: [toy]\nlane_overrides: {query_tower: {}}\n",
            "lane_overrides.query_tower",
            "not run",
        ),
        ("- 1\n", "params.yaml", "must be a mapping"),
        ("a: [\n", "params.yaml", "cannot be read"),
        ("", "params.yaml", "is empty"),
        ("3\n", "params.yaml", "must be a mapping"),
        ("experiment: default\nlanes: toy\n", "lanes", "at least one lane"),
        (f"{TOP}overrides: [1]\n", "overrides", "must be a mapping"),
        (f"{TOP}overrides: seed=1\n", "overrides", "must be a mapping"),
        (f"{TOP}lane_overrides: [toy]\n", "lane_overrides", "must be a mapping"),
        (f"{TOP}lane_overrides: {{toy: 3}}\n", "lane_overrides.toy", "must be a mapping"),
        (f"{TOP}overrides: {{seed: 3, lane: query_tower}}\n", "overrides.lane", "another lane"),
        (f"{TOP}overrides: {{lane: [query_tower]}}\n", "overrides.lane", "another lane"),
        (f"{TOP}overrides: {{++lane: query_tower}}\n", "overrides.++lane", "another lane"),
        (f"{TOP}overrides: {{experiment: other}}\n", "overrides.experiment", "another experiment"),
        (f"{TOP}lane_overrides: {{toy: {{lane: query_tower}}}}\n", "lane_overrides.toy.lane", "another lane"),
    ],
)
def test_params_yaml_is_checked(workspace, text, key, problem):
    (workspace / "params.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_params(workspace / "params.yaml")
    assert any(fault.key == key and problem in fault.problem for fault in caught.value.faults), caught.value


def test_params_yaml_must_be_utf8(workspace):
    (workspace / "params.yaml").write_bytes(b"experiment: \xff\n")
    with pytest.raises(ConfigError, match=r"params\.yaml: cannot be read: 'utf-8'"):
        read_params(workspace / "params.yaml")


@pytest.mark.parametrize("empty", ["overrides:\n", "lane_overrides:\n", "lane_overrides: {toy: }\n"])
def test_null_overrides_are_no_overrides(workspace, empty):
    (workspace / "params.yaml").write_text(TOP + empty)
    assert lane_overrides(read_params(workspace / "params.yaml"), "toy") == ["lane=toy", "experiment=default"]


def test_keys_below_lane_and_experiment_may_be_overridden(workspace):
    (workspace / "params.yaml").write_text(
        f"{TOP}overrides: {{lane: {{trainer: {{steps: 7}}}}, experiment: {{notes: short}}, lane.optimizer.lr: 0.5}}\n"
    )
    experiment = compose_workspace(workspace)["toy"]
    found = (experiment.lane.trainer.steps, experiment.lane.optimizer.lr, experiment.experiment.notes)
    assert found == (7, 0.5, "short")


def test_a_missing_params_yaml_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"params\.yaml: cannot be read"):
        read_params(tmp_path / "params.yaml")


def test_faults_of_all_lanes_come_together(workspace):
    (workspace / "params.yaml").write_text(
        "experiment: default\nlanes: [toy]\noverrides: {seed: x}\n"
        "lane_overrides: {toy: {lane: {trainer: {stepz: 1}}}}\n"
    )
    with pytest.raises(ConfigError) as caught:
        compose_workspace(workspace)
    assert [fault.key for fault in caught.value.faults] == ["lane.trainer.stepz", "seed"]


def test_lane_overrides_come_last_and_win():
    params = {"experiment": "default", "overrides": {"seed": 1}, "lane_overrides": {"toy": {"seed": 2}}}
    assert lane_overrides(params, "toy") == ["lane=toy", "experiment=default", "seed=1", "seed=2"]
    assert validate(compose_lane(ROOT / "conf", lane_overrides(params, "toy")), subject="toy").seed == 2


def test_flatten():
    assert flatten({"lane": {"optimizer": {"lr": 1e-05}}, "trainer": "smoke", "x": [1, "a b"], "empty": {}}) == [
        "lane.optimizer.lr=1e-05",
        "trainer=smoke",
        "x=[1,'a b']",
        "empty={}",
    ]


@given(
    value=st.one_of(
        st.integers(-(2**40), 2**40),
        st.booleans(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=20),
    )
)
def test_a_spelled_value_comes_back_as_it_was(value):
    from hydra.core.override_parser.overrides_parser import OverridesParser

    override = OverridesParser.create().parse_override(f"key={spell(value)}")
    back = override.value()
    back = getattr(back, "text", back)
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize("word", ["nan", "inf", "null", "true", "False", "1e3", "???", "a=b", "", "it's", "x\\"])
def test_words_that_mean_something_else_stay_words(word):
    from hydra.core.override_parser.overrides_parser import OverridesParser

    value = OverridesParser.create().parse_override(f"key={spell(word)}").value()
    assert getattr(value, "text", value) == word


def test_composed_text_is_canonical_and_reads_back(workspace):
    import yaml

    experiment = compose_workspace(workspace)["toy"]
    text = composed_text(experiment)
    assert yaml.safe_load(text) == json.loads(experiment.model_dump_json())
    assert composed_text(type(experiment).model_validate_json(json.dumps(yaml.safe_load(text)))) == text


def test_files_are_written_only_when_their_text_changed(workspace):
    experiments = compose_workspace(workspace)
    assert write_composed(workspace, experiments) == ["toy"]
    stamp = (workspace / "params" / "toy.yaml").stat().st_mtime_ns
    assert write_composed(workspace, experiments) == []
    assert (workspace / "params" / "toy.yaml").stat().st_mtime_ns == stamp
