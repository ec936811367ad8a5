"""Explain says what a key means and how each door spells an override; the spellings are run in tests/pipeline."""

import shlex
from pathlib import Path

import pytest

from interlock.config.explain import doors, explain
from interlock.errors import ConfigError

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def workspace(tmp_path):
    (tmp_path / "conf").symlink_to(ROOT / "conf")
    text = "experiment: default\nlanes: [toy]\noverrides: {seed: 4}\nlane_overrides: {}\n"
    (tmp_path / "params.yaml").write_text(text)
    return tmp_path


def test_a_key(workspace):
    found = explain(workspace, "lane.trainer.steps")
    assert (found.value, found.meaning, found.type) == (20, "Number of steps.", "int")
    assert found.source.endswith("toy_lane/conf/trainer/steps.yaml")


def test_a_value_from_params_yaml_says_so(workspace):
    assert explain(workspace, "seed").source == "override seed=4"


def test_a_gate_inside_a_union(workspace):
    assert explain(workspace, "lane.gates.accuracy.target").meaning.startswith("The value to reach")


def test_a_group(workspace):
    found = explain(workspace, "hardware")
    assert found.value == "cpu"
    assert found.type == "one of cpu, cuda, mps"
    assert "own processor" in found.meaning


def test_an_unknown_key_names_the_nearest(workspace):
    with pytest.raises(ConfigError) as caught:
        explain(workspace, "lane.trainer.step")
    assert caught.value.faults[0].nearest == "lane.trainer.steps"


def test_a_key_that_only_another_choice_of_its_group_has(workspace):
    with pytest.raises(ConfigError) as caught:
        explain(workspace, "llm.mode")
    assert caught.value.hint == "another choice may have it: interlock explain llm lists them, conf/llm/ holds them"


def test_a_key_that_only_another_lane_of_params_yaml_has(workspace):
    text = "experiment: default\nlanes: [toy, reranker]\noverrides: {}\nlane_overrides: {}\n"
    (workspace / "params.yaml").write_text(text)
    found = explain(workspace, "lane.inputs.first_stage")
    assert (found.lane, found.value, found.type) == ("reranker", "lane:query_tower", "str")
    assert found.meaning.startswith("Other lanes or runs that this one needs")
    assert explain(workspace, "seed").lane == "toy"
    with pytest.raises(ConfigError, match="of toy, reranker is refused") as caught:
        explain(workspace, "lane.inputs.first_stag")
    assert caught.value.faults[0].nearest == "lane.inputs.first_stage"
    with pytest.raises(ConfigError, match="of toy is refused"):
        explain(workspace, "lane.inputs.first_stage", lane="toy")


def test_a_type_is_named_without_the_limits_of_its_parts(workspace):
    assert explain(workspace, "lane.inputs").type == "dict[str, str]"
    assert explain(workspace, "control.quotas.cpu").type == "float | null"


@pytest.mark.parametrize("text", ["{a: 1,b: null}", "'lane:x'", "'a$b`c'", '"x y"', "'it\\'s'", "[1,2]"])
def test_doors_reach_the_program_as_one_word_of_the_shell(text):
    spelled = doors("lane.key", text, lane="toy", several=False)
    assert shlex.split(spelled["one experiment"])[-1] == f"++overrides.lane.key={text}"
    assert shlex.split(spelled["without DVC"])[2:] == ["lane=toy", f"lane.key={text}"]
    assert shlex.split(spelled["sweep"])[-1] == f"lane.key={text},OTHER"


def test_doors_are_spelled_for_pasting():
    assert doors("lane.optimizer.lr", "0.1", lane="toy", several=False) == {
        "params.yaml, then dvc repro": "overrides: {lane: {optimizer: {lr: 0.1}}}",
        "one experiment": "dvc exp run -S '++overrides.lane.optimizer.lr=0.1'",
        "without DVC": "interlock run lane=toy lane.optimizer.lr=0.1",
        "sweep": "interlock run -m lane=toy lane.optimizer.lr=0.1,OTHER",
        "experiment file": "conf/experiment/NAME.yaml: {lane: {optimizer: {lr: 0.1}}}",
    }


def test_of_several_lanes_one_is_overridden():
    spelled = doors("seed", "2", lane="toy", several=True)
    assert spelled["params.yaml, then dvc repro"] == "lane_overrides: {toy: {seed: 2}}"
    assert spelled["one experiment"] == "dvc exp run -S '++lane_overrides.toy.seed=2'"
