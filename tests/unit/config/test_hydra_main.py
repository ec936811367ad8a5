"""The command line of `interlock run` is refused in Interlock's words before Hydra starts."""

from pathlib import Path

import pytest

from interlock.config import hydra_main
from interlock.config.hydra_main import overrides_of, run_main
from interlock.errors import ConfigError, ExitCode, UsageError

CONF = Path(__file__).resolve().parents[3] / "conf"


@pytest.fixture
def started(monkeypatch):
    """The argument lists with which Hydra was started."""
    import sys

    calls = []
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.setattr(hydra_main.hydra, "main", lambda **_: lambda _task: lambda: calls.append(sys.argv[1:]))
    return calls


def job(number, lane, composition):
    """Never called: Hydra does not start in these tests."""


@pytest.mark.parametrize(
    ("argv", "key", "hint"),
    [
        (["lane=toy", "seed"], "seed", "seed=VALUE"),
        (["-m", "toy", "seed=1,2"], "toy", "toy=VALUE"),
        (["--config-name", "foo"], "--config-name", "hydra.searchpath"),
        (["-cn", "foo"], "--config-name", "hydra.searchpath"),
        (["--config-name=foo"], "--config-name", "hydra.searchpath"),
        (["lane=toy", "--config-path", "a=b"], "--config-path", "hydra.searchpath"),
        (["-cp", "foo"], "--config-path", "hydra.searchpath"),
        (["--config-dir", "foo"], "--config-dir", "hydra.searchpath"),
        (["-cd", "foo"], "--config-dir", "hydra.searchpath"),
        (["lane=toy,query_tower"], "lane=toy,query_tower", "interlock run -m lane=toy,query_tower"),
        (["seed=range(1,3)"], "seed=range(1,3)", "interlock run -m"),
        (["--mutlirun", "seed=1"], "interlock run", "--help"),
        (["--config-nam", "foo"], "interlock run", "--help"),
        (["--cfg", "lane=toy"], "interlock run", "--help"),
        (["--package"], "interlock run", "--help"),
        (["-m", "--cfg", "job", "lane=toy"], "--multirun --cfg", "leave out --cfg"),
        (["-m", "seed=interval(0,1)"], "seed=interval(0,1)", "hydra/sweeper=NAME"),
    ],
)
def test_words_that_lead_nowhere_are_refused_before_hydra(started, argv, key, hint):
    with pytest.raises(UsageError) as caught:
        run_main(CONF, argv, job)
    assert caught.value.key == key
    assert hint in caught.value.hint
    assert caught.value.exit_code == ExitCode.USAGE
    assert not started


@pytest.mark.parametrize(
    ("argv", "overrides"),
    [
        ([], []),
        (["--cfg", "job", "lane=toy"], ["lane=toy"]),
        (["lane=toy", "-c", "job", "-p", "lane.optimizer", "--resolve"], ["lane=toy"]),
        (["lane=toy", "--info", "searchpath"], ["lane=toy"]),
        (["lane=toy", "--package", "a=b", "--info"], ["lane=toy"]),
        (["lane=toy", "--multirun", "seed=1,2"], ["lane=toy", "seed=1,2"]),
        (["hydra.mode=MULTIRUN", "seed=1,2"], ["hydra.mode=MULTIRUN", "seed=1,2"]),
        (["x=[1,2]", "y='a,b'", "~lane.gates"], ["x=[1,2]", "y='a,b'", "~lane.gates"]),
        (["-h"], []),
        (["--version"], []),
    ],
)
def test_flags_and_their_values_are_no_overrides(argv, overrides):
    assert overrides_of(argv) == overrides


def test_hydra_takes_overrides_on_both_sides_of_a_flag(started):
    run_main(CONF, ["lane=toy", "-m", "seed=1,2", "--package", "lane"], job)
    assert started == [["lane=toy", "seed=1,2", "-m", "--package", "lane"]]


@pytest.mark.parametrize(
    ("text", "key", "near"),
    [
        ("lane=toy,query_towr", "lane", "query_tower"),
        ("hardware=choice(cpu,'cpuu')", "hardware", "cpu"),
        ("seed=glob(*)", "seed", ""),
        ("lane=glob(x*)", "lane", ""),
    ],
)
def test_a_sweep_over_an_unknown_choice_is_refused_before_hydra(started, text, key, near):
    with pytest.raises(ConfigError) as caught:
        run_main(CONF, ["-m", text], job)
    (fault,) = caught.value.faults
    assert (fault.key, fault.nearest, bool(fault.allowed)) == (key, near, True)
    assert not started


@pytest.mark.parametrize("text", ["lane=glob(*)", "lane=toy,query_tower", "hardware=cpu,cuda", "seed=1,2"])
def test_sweeps_over_known_choices_start(started, text):
    run_main(CONF, ["-m", text], job)
    assert started == [[text, "-m"]]


def test_an_interval_is_left_to_a_sweeper_that_can_search_it(started, monkeypatch):
    monkeypatch.setattr(hydra_main, "enumerates_sweeps", lambda _conf, _overrides: False)
    run_main(CONF, ["-m", "lane.optimizer.lr=interval(0,1)"], job)
    assert started == [["lane.optimizer.lr=interval(0,1)", "-m"]]


def test_a_pickle_is_never_loaded(started):
    with pytest.raises(UsageError, match="pickle"):
        run_main(CONF, ["--experimental-rerun", "x.pkl"], job)
    assert not started
