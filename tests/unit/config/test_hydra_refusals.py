"""A mistyped setting of Hydra's own is one fault with the name that was meant, or with what to install."""

from pathlib import Path

import pytest
from hydra.core.config_store import ConfigStore

from interlock.config import hydra_main
from interlock.config.compose import compose_lane
from interlock.config.sweep_plan import read_settings
from interlock.errors import ConfigError, ExitCode

CONF = Path(__file__).resolve().parents[3] / "conf"
OPTUNA = "hydra/sweeper=optuna"


def refusal(*overrides):
    with pytest.raises(ConfigError) as caught:
        read_settings(CONF, ["lane=toy", "seed=1,2", *overrides])
    assert caught.value.exit_code == ExitCode.USAGE
    return caught.value


@pytest.mark.parametrize(
    ("overrides", "key", "near"),
    [
        (["hydra/sweeper=optna"], "hydra/sweeper", "optuna"),
        (["hydra/launcher=jobli"], "hydra/launcher", "joblib"),
        (["hydra/sweepr=optuna"], "hydra/sweepr", "hydra/sweeper"),
        ([OPTUNA, "hydra.sweeper.n_trals=3"], "hydra.sweeper.n_trals", "hydra.sweeper.n_trials"),
        (["hydra/launcher=joblib", "hydra.launcher.n_job=2"], "hydra.launcher.n_job", "hydra.launcher.n_jobs"),
        (["hydra.sweper.n_trials=3", OPTUNA], "hydra.sweper.n_trials", "hydra.sweeper.n_trials"),
    ],
)
def test_a_mistyped_name_meets_the_one_that_was_meant(overrides, key, near):
    (fault,) = refusal(*overrides).faults
    assert (fault.key, fault.nearest) == (key, near)
    assert fault.source == next(f"override {text}" for text in overrides if text.startswith(f"{key}="))


@pytest.mark.parametrize(
    ("override", "problem"),
    [("hydra.sweeper.n_trials=x", "to Integer"), ("hydra.sweeper.batch=[1]", "to Integer"), ("hydra.mode=M", "RUN")],
)
def test_a_wrong_value_says_what_is_expected(override, problem):
    (fault,) = refusal(OPTUNA, override).faults
    key, _, value = override.partition("=")
    assert (fault.key, fault.value) == (key, value)
    assert problem in fault.problem


@pytest.mark.parametrize("name", ["optuna", "optna"])
def test_what_is_not_installed_can_be(monkeypatch, name):
    """As where neither Interlock's plug-in nor Optuna is found."""
    read_settings(CONF, ["lane=toy", OPTUNA])  # Hydra has looked for plug-ins now, which it does once
    monkeypatch.delitem(ConfigStore.instance().repo["hydra"]["sweeper"], "optuna.yaml")
    error = refusal(f"hydra/sweeper={name}")
    assert "pip install 'interlock[optuna]'" in error.hint
    (fault,) = error.faults
    assert fault.nearest == ("" if name == "optuna" else "optuna")


def test_an_interval_does_not_hide_the_mistyped_sweeper():
    with pytest.raises(ConfigError) as caught:
        hydra_main.runnable_overrides(CONF, ["-m", "hydra/sweeper=optna", "lane.optimizer.lr=interval(0.1,0.2)"])
    assert [fault.nearest for fault in caught.value.faults] == ["optuna"]


def test_a_single_run_is_refused_alike():
    with pytest.raises(ConfigError) as caught:
        compose_lane(CONF, ["lane=toy", "hydra.job.nme=x"])
    assert [fault.nearest for fault in caught.value.faults] == ["hydra.job.name"]
