"""The optimiser's memory: the same trials after a kill, one answer per trial, and losses that count the right way."""

import pytest

from interlock.contracts.sweep import Objective, Search, SweepJob
from interlock.errors import ConfigError, PrunedError, UsageError
from interlock.runs.sweeps import study as module
from interlock.runs.sweeps.study import Axis, check_search, open_study, require_optuna
from interlock.stages.progress import Silent

SPACE = {
    "lr": Axis(kind="float", low=0.001, high=1.0, log=True),
    "steps": Axis(kind="int", low=1, high=9, step=2),
    "model": Axis(kind="choice", choices=("small", "'1e3'")),
}


def search(*, goal="minimize", seed=0, **changes):
    said = {
        "space": {key: "interval(1,2)" for key in SPACE},
        "n_trials": 6,
        "batch": 1,
        "sampler": "tpe",
        "pruner": "median",
        "pruner_options": {"n_startup_trials": 1},
    }
    return Search(objective=Objective(metric="loss", goal=goal), seed=seed, **{**said, **changes})


def reopened(folder, wanted):
    module._opened.cache_clear()  # as another process would
    return open_study(folder, wanted)


def result(number, value=None, status="finished"):
    return SweepJob(
        number=number, overrides=(), lane="toy", params_sha256="0" * 64, status=status, objective=value, duration_s=1.0
    )


def value_of(texts):
    return abs(float(texts[0].split("=")[1]) - 0.05)


def run_all(folder, wanted, *, killed_at=()):
    """Propose and tell every trial; at `killed_at` the process ends between proposing and telling."""
    folder.mkdir(exist_ok=True)
    study, seen = reopened(folder, wanted), []
    for number in range(wanted.n_trials):
        texts = study.propose(number, SPACE)
        if number in killed_at:
            study = reopened(folder, wanted)
            assert study.propose(number, SPACE) == texts
        study.tell(number, result(number, value_of(texts)))
        seen.append(texts)
    return seen


def test_the_same_seed_gives_the_same_trials_also_after_kills(tmp_path):
    plain = run_all(tmp_path / "a", search())
    assert run_all(tmp_path / "b", search(), killed_at=(0, 3, 5)) == plain
    assert run_all(tmp_path / "c", search(seed=1)) != plain
    assert len({tuple(texts) for texts in plain}) == len(plain)  # no seed is used twice


def test_values_are_spelled_as_overrides(tmp_path):
    for texts in run_all(tmp_path / "a", search(sampler="random")):
        keys, values = zip(*(text.split("=", 1) for text in texts), strict=True)
        assert keys == ("lr", "steps", "model")
        assert 0.001 <= float(values[0]) <= 1.0
        assert int(values[1]) in (1, 3, 5, 7, 9)
        assert values[2] in ("small", "'1e3'")


def test_a_finished_trial_is_what_it_was(tmp_path):
    seen = run_all(tmp_path / "a", search())
    study = reopened(tmp_path / "a", search())
    assert [study.propose(number, SPACE) for number in range(6)] == seen
    study.tell(2, result(2, 99.0))
    assert study._study.trials[2].value == value_of(seen[2])


def test_failed_and_missing_results_leave_a_trial_open(tmp_path):
    study = reopened(tmp_path, search())
    study.propose(0, SPACE)
    study.tell(0, None)
    study.tell(0, result(0, status="failed"))
    assert not study.is_told(0)
    assert not study.is_told(1)
    study.tell(0, result(0, status="pruned"))
    assert study.is_told(0)


@pytest.mark.parametrize("goal", ["minimize", "maximize"])
def test_the_worse_loss_is_given_up_whichever_way_the_objective_points(tmp_path, goal):
    wanted = search(goal=goal)
    study = reopened(tmp_path, wanted)

    def train(number, losses):
        study.propose(number, SPACE)
        progress = study.watching(number, Silent())
        for epoch, loss in enumerate(losses, start=1):
            progress.curve(epoch * 10, {"train/loss": 0.0})
            progress.curve(epoch * 10, {"epoch": epoch, "validation/loss": loss})
        study.tell(number, result(number, losses[-1] if goal == "minimize" else 1 - losses[-1]))

    train(0, [1.0, 0.5])
    train(1, [0.9, 0.4])
    with pytest.raises(PrunedError, match=r"epoch 1: validation loss 2\.0000"):
        train(2, [2.0, 0.1])


def test_a_resumed_training_may_repeat_what_it_told(tmp_path):
    study = reopened(tmp_path, search())
    study.propose(0, SPACE)
    for _ in range(2):
        study.watching(0, Silent()).curve(10, {"epoch": 1, "validation/loss": 1.0})
    assert study._study.trials[0].intermediate_values == {1: 1.0}


def test_without_a_pruner_nothing_is_watched(tmp_path):
    study, silent = reopened(tmp_path, search(pruner="none", pruner_options={})), Silent()
    study.propose(0, SPACE)
    assert study.watching(0, silent) is silent


@pytest.mark.parametrize(
    ("changes", "space", "message"),
    [
        ({"sampler": "tpee"}, {}, "hydra.sweeper.sampler: there is no such choice"),
        ({"pruner_options": {"x": 1}}, {}, "unexpected keyword argument 'x'"),
        ({"pruner_options": {"n_startup_trials": -1}}, {}, "pruner_options: median"),
        ({}, {"lr": Axis(kind="float", low=2.0, high=1.0)}, "end lies under its start"),
        ({}, {"lr": Axis(kind="float", low=0.0, high=1.0, log=True)}, "start above 0"),
    ],
)
def test_settings_are_checked_before_anything_runs(changes, space, message):
    with pytest.raises(ConfigError, match=message):
        check_search(search(**changes), space)


def test_without_optuna_the_way_to_install_it_is_told(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'interlock\[optuna\]'"):
        require_optuna()


def test_a_training_that_was_killed_while_it_was_given_up_is_given_up_again(tmp_path):
    study = reopened(tmp_path, search())
    for number in range(2):
        study.propose(number, SPACE)
    study.watching(0, Silent()).curve(10, {"epoch": 1, "validation/loss": 1.0})
    study.tell(0, result(0, 1.0))
    for _ in range(2):
        with pytest.raises(PrunedError):
            reopened(tmp_path, search()).watching(1, Silent()).curve(10, {"epoch": 1, "validation/loss": 2.0})
