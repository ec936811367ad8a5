"""Lists of runs and models in terminals of several widths: what is for copying is never cut."""

from pathlib import Path

import pytest
from toy_homes import toy_run
from typer.testing import CliRunner

from interlock.cli.main import app
from interlock.registry.queries import list_models

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    toy_run(folder / "home", folder / "work")
    return folder / "home"


@pytest.fixture
def printed(home, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("INTERLOCK_HOME", str(home))

    def run(*words, columns):
        monkeypatch.setenv("COLUMNS", str(columns))
        done = CliRunner().invoke(app, list(words))
        assert done.exit_code == 0, done.output
        assert max(len(line) for line in done.output.splitlines()) <= columns
        return done.output

    return run


def test_a_narrow_list_of_runs_does_without_whole_columns(printed):
    wide, narrow = printed("runs", "list", columns=150), printed("runs", "list", columns=70)
    assert all(name in wide for name in ("decision", "dataset", "seed", "trained", "state"))
    assert "decision" not in narrow
    assert "dataset" not in narrow
    assert "decided" in narrow
    assert "pass" in narrow


@pytest.mark.parametrize("columns", [40, 60, 80, 110, 150])
def test_the_id_of_a_model_and_its_stage_are_whole_in_every_width(home, printed, columns):
    out = printed("registry", "list", columns=columns)
    model = list_models(home)[0]
    id_pieces = [line.split()[0] for line in out.splitlines()[3:] if line.strip()]
    assert "".join(id_pieces) == model.id
    assert "candidate" in out
    assert ("sha256" in out) == (columns == 150)


def test_a_run_is_shown_with_the_reason_for_every_gate(home, printed):
    run = list_models(home)[0].run_id
    out = printed("runs", "show", run, columns=150)
    assert "accuracy" in out
    assert "reason" in out
    assert "95 % bound" in out


def test_a_narrow_history_does_without_the_machine(home, printed):
    model = list_models(home)[0].id
    assert " on " in printed("registry", "history", model, columns=150)
    assert " on " not in printed("registry", "history", model, columns=60)
