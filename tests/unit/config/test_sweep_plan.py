"""A sweep is expanded as Hydra does it, and refused as a whole before anything runs."""

from pathlib import Path

import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.config.compose import compose_each, compose_lane
from interlock.config.sweep_plan import SweepSettings, compose_jobs, corners, expand, read_settings, search_space
from interlock.config.sweep_search import axes_of, read_search
from interlock.errors import ConfigError, UsageError
from interlock.runs.sweeps.study import Axis

CONF = Path(__file__).resolve().parents[3] / "conf"
SEARCH = ("lane=toy", "hydra/sweeper=optuna")


def plan(*overrides):
    return expand(CONF, read_settings(CONF, overrides))


def planned_search(*overrides, gates=None):
    found = read_settings(CONF, (*SEARCH, *overrides))
    _, space = search_space(found)
    return read_search(found, space, gates or {}), axes_of(space)


def test_jobs_stand_in_hydras_order():
    jobs = plan("lane=toy", "seed=1,2", "lane.optimizer.lr=0.1,0.2", "hydra/launcher=basic")
    assert [job[1:3] for job in jobs] == [
        ["seed=1", "lane.optimizer.lr=0.1"],
        ["seed=1", "lane.optimizer.lr=0.2"],
        ["seed=2", "lane.optimizer.lr=0.1"],
        ["seed=2", "lane.optimizer.lr=0.2"],
    ]


values = st.lists(st.integers(0, 9).map(str), min_size=1, max_size=3, unique=True).map(",".join)


@settings(max_examples=15)
@given(st.lists(st.tuples(st.sampled_from(["seed", "lane.trainer.steps", "lane.data.count"]), values), max_size=4))
def test_any_sweep_expands_as_hydra_expands_it(pairs):
    overrides = [f"{key}={value}" for key, value in pairs]
    (hydras,) = BasicSweeper.split_arguments(OverridesParser.create().parse_overrides(overrides), None)
    settings = SweepSettings(sweeper="basic", launcher="basic", options={}, overrides=tuple(overrides))
    assert expand(CONF, settings) == hydras


def test_a_glob_knows_its_group():
    names = [job[1] for job in plan("lane=query_tower", "trainer=glob(*)")]
    plug_ins = CONF.parent / "tests" / "plugins"
    found = [*CONF.glob("trainer/*.yaml"), *plug_ins.glob("*_lane/conf/trainer/*.yaml")]
    options = {path.stem for path in found}
    assert {"trainer=default", "trainer=smoke", "trainer=steps"} <= set(names)
    assert names == sorted(f"trainer={name}" for name in options)


def test_composing_many_gives_what_composing_each_gives():
    jobs = [["lane=toy", "seed=2"], ["lane=query_tower", "trainer=smoke"], ["lane=toy", "lane.trainer.steps=3"]]
    many = [found.values for found in compose_each(CONF, [*jobs, *jobs])]
    one = [compose_lane(CONF, job).values for job in jobs]
    assert many == [*one, *one]


def test_jobs_know_lane_and_own_overrides():
    (job,) = compose_jobs(CONF, [["lane=toy", "seed=4", "hydra/launcher=joblib", "hydra.sweep.dir=x"]])
    assert (job.lane, job.overrides, job.experiment.seed) == ("toy", ("lane=toy", "seed=4"), 4)


def test_the_faults_of_all_jobs_are_listed_once():
    jobs = plan("lane=toy", "seed=1,-1,2", "lane.optimizer.lr=0.1,7", "lane.trainer.stps=3")
    with pytest.raises(ConfigError) as caught:
        compose_jobs(CONF, jobs)
    text = str(caught.value)
    assert len(caught.value.faults) == 3
    assert "sweep of 6 jobs is refused: 3 faults" in text
    assert "seed=-1 in jobs 2, 3" in text
    assert "lr=7 in jobs 1, 3, 5" in text
    assert "did you mean: lane.trainer.steps" in text
    assert "nothing has run yet" in text


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("lane=toy", "seed=shuffle(1,2)"), "another order each time"),
        (("lane=toy", "seed=interval(1,2)"), "BasicSweeper does not support"),
    ],
)
def test_sweeps_that_cannot_be_planned_are_refused(overrides, message):
    with pytest.raises((UsageError, ConfigError), match=message):
        plan(*overrides)


def test_a_search_becomes_axes():
    _, axes = planned_search(
        "lane.optimizer.lr=tag(log, interval(0.001, 0.1))",
        "lane.trainer.steps=int(interval(2, 8))",
        "seed=range(1,10,3)",
        "trainer=steps,smoke",
    )
    assert axes == {
        "lane.optimizer.lr": Axis(kind="float", low=0.001, high=0.1, log=True),
        "lane.trainer.steps": Axis(kind="int", low=2, high=8),
        "seed": Axis(kind="int", low=1, high=7, step=3),
        "trainer": Axis(kind="choice", choices=("steps", "smoke")),
    }


def test_the_ends_of_a_search_are_tried_before_it_starts():
    found = read_settings(CONF, (*SEARCH, "lane.optimizer.lr=interval(0.1,2)", "seed=1,2"))
    fixed, space = search_space(found)
    tried = corners(fixed, space)
    assert tried[0][-2:] == ["lane.optimizer.lr=0.1", "seed=1"]
    assert tried[1][-2:] == ["lane.optimizer.lr=2.0", "seed=2"]
    with pytest.raises(ConfigError, match=r"less than or equal to 1 \(got 2.0\)"):
        compose_jobs(CONF, tried, name_jobs=False)


@pytest.fixture(scope="module")
def gates():
    (job,) = compose_jobs(CONF, [["lane=toy"]])
    return job.experiment.lane.gates


@pytest.mark.parametrize(
    ("settings_", "objective"),
    [
        ((), ("validation_loss_best", "minimize")),
        (("hydra.sweeper.metric=accuracy",), ("accuracy", "maximize")),
        (("hydra.sweeper.metric=steps", "hydra.sweeper.direction=minimize"), ("steps", "minimize")),
    ],
)
def test_validation_chooses_unless_told_otherwise(gates, settings_, objective):
    search, _ = planned_search("seed=1,2", *settings_, gates=gates)
    assert (search.objective.metric, search.objective.goal) == objective


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        (("hydra.sweeper.metric=steps",), "no gate says which way"),
        (("hydra.sweeper.metric=accuracy", "hydra.sweeper.direction=minimize"), "contradicts"),
        (("hydra.sweeper.direction=maximize",), "contradicts"),
        (("hydra.sweeper.direction=up",), "no such direction"),
        (("hydra.sweeper.n_trials=0",), "n_trials"),
    ],
)
def test_directions_are_never_guessed(gates, settings_, message):
    with pytest.raises((UsageError, ConfigError), match=message):
        planned_search("seed=1,2", *settings_, gates=gates)


def test_nothing_to_search_is_refused():
    with pytest.raises(UsageError, match="nothing to search"):
        planned_search("seed=1")
