"""Broken files and odd overrides are refused by name before anything runs; sweeps are checked by their first values."""

import shutil
from pathlib import Path

import pytest

from interlock.config.compose import compose_lane, first_values
from interlock.config.validate import validate
from interlock.errors import ConfigError

CONF = Path(__file__).resolve().parents[3] / "conf"
HEAD = b"# @package _global_\nexperiment: {name: odd}\n"


@pytest.fixture
def conf(tmp_path):
    shutil.copytree(CONF, tmp_path / "conf")
    return tmp_path / "conf"


def refusal(conf, *overrides):
    with pytest.raises(ConfigError) as caught:
        validate(compose_lane(conf, ["lane=toy", *overrides]), subject="lane toy")
    return caught.value


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        ("experiment/odd.yaml", b"a: [\n", "line 2, column 1"),
        ("experiment/odd.yaml", b"a: \xff\n", "'utf-8' codec can't decode"),
        ("experiment/odd.yaml", b"a: \x00\n", "special characters"),
        ("experiment/odd.yaml", b"a: 1\na: 2\n", "duplicate key a"),
        ("experiment/odd.yaml", b"3\n", "Invalid loaded object type"),
        ("hardware/odd.yaml", b"a: [\n", "line 2, column 1"),
        ("hardware/odd.yaml", b"a: \xff\n", "'utf-8' codec can't decode"),
    ],
)
def test_a_broken_file_is_named(conf, file, text, problem):
    (conf / file).write_bytes(text)
    error = refusal(conf, f"{Path(file).parent}=odd")
    (fault,) = error.faults
    assert fault.key == str(conf / file)
    assert problem in fault.problem
    assert "UTF-8" in error.hint


def test_a_broken_root_is_named(conf):
    (conf / "config.yaml").write_text("a: [\n")
    assert refusal(conf).faults[0].key == str(conf / "config.yaml")


def test_a_broken_file_that_nobody_chose_does_not_matter(conf):
    (conf / "experiment" / "odd.yaml").write_text("a: [\n")
    assert validate(compose_lane(conf, ["lane=toy"]), subject="toy").experiment.name == "default"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"defaults: 3\n", "'experiment/odd', defaults must be a list"),
        (b"defaults: [3]\n", "Unsupported type in defaults"),
        (b"seed: ${\n", "no viable alternative"),
        (b"lane: {null: 3}\n", "Incompatible key type"),
        (b"seed: !!binary aGk=\n", "bytes is not JSON serializable"),
        (b"lane: &again {x: *again}\n", "recursion"),
    ],
)
def test_readable_yaml_that_is_no_configuration(conf, text, problem):
    (conf / "experiment" / "odd.yaml").write_bytes(HEAD + text)
    assert problem in str(refusal(conf, "experiment=odd"))


def test_hydras_own_refusals_say_what_was_composed(conf):
    (conf / "experiment" / "odd.yaml").write_bytes(HEAD + b"defaults: [3]\n")
    assert refusal(conf, "experiment=odd").faults[0].source == f"{conf} with lane=toy experiment=odd"


def test_an_experiment_that_does_not_exist_names_those_that_do(conf):
    (conf / "experiment" / "quick.yaml").write_bytes(HEAD)
    (fault,) = refusal(conf, "experiment=quik").faults
    assert (fault.key, fault.nearest, fault.allowed) == ("experiment", "quick", ("default", "quick"))


@pytest.mark.parametrize("value", ["3", "null", "true", "1.5", ""])
def test_a_choice_is_a_name(conf, value):
    (fault,) = refusal(conf, f"experiment={value}").faults
    assert (fault.key, fault.problem, fault.allowed) == ("experiment", "there is no such choice", ("default",))


def test_keys_that_yaml_reads_as_numbers_are_named(conf):
    (conf / "experiment" / "odd.yaml").write_bytes(HEAD + b"lane: {search_space: {1: {low: 0.0, high: 1.0}}}\n")
    assert [fault.key for fault in refusal(conf, "experiment=odd").faults] == ["lane.search_space.1"]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("seed=1,2", ["seed=1"]),
        ("seed=range(3,9)", ["seed=3"]),
        ("lane=choice(toy,query_tower)", ["lane=toy"]),
        ("+a.b='x y',z", ["+a.b='x y'"]),
        ("lr=[1,2]", ["lr=[1,2]"]),
        ("~lane.gates", ["~lane.gates"]),
        ("seed=glob(*)", []),
        ("lane.optimizer.lr=interval(0,1)", []),
        ("lane.optimizer.lr=tag(log,interval(0,1))", []),
    ],
)
def test_first_values(text, first):
    assert first_values([text]) == first


def test_a_sweep_over_nothing_is_refused():
    with pytest.raises(ConfigError, match="sweeps over no value at all"):
        first_values(["seed=range(3,1)"])
