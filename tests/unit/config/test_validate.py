"""Whatever is wrong with a configuration is refused by name, all of it at once, by whichever door it came."""

import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.config.compose import compose_lane
from interlock.config.validate import validate
from interlock.errors import ConfigError

CONF = Path(__file__).resolve().parents[3] / "conf"


def compose(*overrides):
    return validate(compose_lane(CONF, ["lane=toy", *overrides]), subject="lane toy")


def faults(*overrides):
    with pytest.raises(ConfigError) as caught:
        compose(*overrides)
    return {fault.key: fault for fault in caught.value.faults}


@pytest.mark.parametrize("prefix", ["", "+", "++"])
def test_an_unknown_key_names_the_nearest_one(prefix):
    fault = faults(f"{prefix}lane.optimizer.lrr=0.1")["lane.optimizer.lrr"]
    assert fault.nearest == "lane.optimizer.lr"
    assert fault.allowed == ("kind", "lr")
    assert fault.source == f"override {prefix}lane.optimizer.lrr=0.1"


def test_every_fault_is_listed_at_once():
    found = faults(
        "lane.optimizer.lrr=1",
        "seed=true",
        "lane.gates.accuracy.target=nan",
        "+foo=1",
        "trainr=steps",
        "lane.model.value=???",
        "lane.gates.accuracy.metric=acuracy",
    )
    assert sorted(found) == [
        "foo",
        "lane.gates.accuracy.metric",
        "lane.gates.accuracy.target",
        "lane.model.value",
        "lane.optimizer.lrr",
        "seed",
        "trainr",
    ]
    assert found["trainr"].nearest == "trainer"
    assert found["lane.gates.accuracy.metric"].nearest == "accuracy"
    assert found["lane.model.value"].problem == "must be set, it has no default"


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("seed=true", "Input should be a valid integer"),
        ("seed=1.5", "Input should be a valid integer"),
        ("seed='1'", "Input should be a valid integer"),
        ("seed=-1", "Input should be greater than or equal to 0"),
        ("lane.optimizer.lr=inf", "Input should be a finite number"),
        ("lane.model.value=inf", "Input should be a finite number"),
        ("lane.model.value=nan", "Input should be a finite number"),
        ("lane.model.value=-inf", "Input should be a finite number"),
        ("lane.model.value=null", "Input should be a valid number"),
        ("lane.data=3", "Input should be an object"),
        ("~lane.gates", "is required"),
    ],
)
def test_wrong_values(override, problem):
    found = faults(override)
    assert any(problem in fault.problem for fault in found.values()), found


def test_gates_that_only_advise_prove_nothing():
    advice = [f"lane.gates.{name}.severity=advise" for name in ("accuracy", "over_base", "converged", "loads")]
    assert "at least one gate must have severity block or halt" in faults(*advice)["lane"].problem


def test_an_unknown_key_inside_an_experiment_file_is_refused(tmp_path):
    import shutil

    conf = tmp_path / "conf"
    shutil.copytree(CONF, conf)
    (conf / "experiment" / "odd.yaml").write_text(
        "# @package _global_\nexperiment: {name: odd}\nlane: {trainer: {stepz: 3}}\n"
    )
    with pytest.raises(ConfigError) as caught:
        validate(compose_lane(conf, ["lane=toy", "experiment=odd"]), subject="lane toy")
    (fault,) = caught.value.faults
    assert (fault.key, fault.nearest) == ("lane.trainer.stepz", "lane.trainer.steps")
    assert fault.source == str(conf / "experiment" / "odd.yaml")


@pytest.mark.parametrize(
    ("override", "key", "near"),
    [("trainer=stepz", "trainer", "steps"), ("lane=toyy", "lane", "toy"), ("hardware=cpuu", "hardware", "cpu")],
)
def test_an_unknown_choice_names_the_choices(override, key, near):
    fault = faults(override)[key]
    assert fault.nearest == near
    assert near in fault.allowed


def test_a_missing_environment_variable_is_a_fault():
    assert "NO_SUCH_VARIABLE" in faults("lane.model.value=${oc.env:NO_SUCH_VARIABLE}")["lane.model.value"].problem


def test_an_unknown_lane_kind_lists_the_kinds():
    fault = faults("lane.kind=tyo")["lane.kind"]
    assert (fault.nearest, "query_tower" in fault.allowed) == ("toy", True)


def test_inputs_that_the_lane_does_not_have_are_refused():
    assert "lane.inputs.base" in faults("+lane.inputs.base=run:abc")


def test_a_search_space_must_name_numbers():
    assert "lane.search_space.lane.optimizer.kind" in faults(
        "+lane.search_space={lane.optimizer.kind: {low: 0.0, high: 1.0}}"
    )


def test_a_wrong_number_is_not_blamed_on_the_search_space_too():
    assert list(faults("lane.optimizer.lr=fast")) == ["lane.optimizer.lr"]
    assert list(faults("lane.optimizer.lr=???")) == ["lane.optimizer.lr"]


def test_text_of_the_error_reads_well():
    with pytest.raises(ConfigError) as caught:
        compose("lane.optimizer.lrr=1")
    assert str(caught.value) == (
        "lane toy is refused: 1 fault\n"
        "  lane.optimizer.lrr: is not a key of this configuration (got 1)\n"
        "    set in:  override lane.optimizer.lrr=1\n"
        "    did you mean: lane.optimizer.lr\n"
        "    allowed: kind, lr"
    )


KEYS = ["lane.optimizer.lr", "lane.trainer.steps", "lane.data.count", "hardware.threads", "budget.compute_hours_max"]


TYPOS = {"key": st.sampled_from(KEYS), "letter": st.sampled_from(string.ascii_lowercase), "where": st.integers(1, 4)}


@settings(max_examples=4)
@given(**TYPOS)
def test_a_mistyped_key_is_refused_with_the_right_name(key, letter, where):
    refused_with_the_right_name(key, letter, where)


@pytest.mark.slow
@settings(max_examples=30)
@given(**TYPOS)
def test_a_mistyped_key_is_always_refused_with_the_right_name(key, letter, where):
    refused_with_the_right_name(key, letter, where)


def refused_with_the_right_name(key, letter, where):
    *parents, last = key.split(".")
    where = min(where, len(last))
    typo = ".".join([*parents, last[:where] + letter + last[where:]])
    fault = faults(f"{typo}=1")[typo]
    assert fault.nearest == key


@pytest.mark.parametrize("key", ["sk-ant-api03-" + "a1B2" * 8, "AIza" + "a1B2" * 8])
def test_a_key_pasted_where_the_name_of_its_variable_belongs_is_not_shown(key):
    with pytest.raises(ConfigError) as refused:
        compose("llm=anthropic", f"llm.models.sonnet.key_env={key}")
    assert "llm.models.sonnet.key_env" in str(refused.value)
    assert "a1B2" not in str(refused.value)
