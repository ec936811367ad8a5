"""The home is one for all copies of a project, and code of another checkout never runs unnoticed."""

from pathlib import Path

import pytest

from interlock.errors import StageError, UsageError
from interlock.provenance.workspace import find_workspace, interlock_home, main_checkout, require_workspace_code


@pytest.fixture(autouse=True)
def _no_home(monkeypatch):
    monkeypatch.delenv("INTERLOCK_HOME", raising=False)


def worktree(tmp_path):
    """A main checkout and a linked worktree, as `git worktree add` leaves them."""
    main, linked = tmp_path / "main", tmp_path / "linked"
    git = main / ".git" / "worktrees" / "linked"
    git.mkdir(parents=True)
    linked.mkdir()
    (git / "commondir").write_text("../..\n")
    (linked / ".git").write_text(f"gitdir: {git}\n")
    return main, linked


def test_outside_any_workspace_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no Interlock workspace"):
        find_workspace(tmp_path)


def test_params_without_conf_are_no_workspace(tmp_path):
    (tmp_path / "params.yaml").touch()
    with pytest.raises(UsageError):
        find_workspace(tmp_path)


@pytest.mark.parametrize("names", [("dvc.yaml",), ("params.yaml", "conf/config.yaml")])
def test_the_nearest_workspace_above_is_found(tmp_path, names):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "deep" / "er").mkdir(parents=True)
    assert find_workspace(tmp_path / "deep" / "er") == tmp_path


def test_the_home_of_a_plain_folder_is_its_own(tmp_path):
    assert interlock_home(tmp_path) == tmp_path / "artifacts"


def test_the_variable_wins_and_counts_from_the_workspace(tmp_path, monkeypatch):
    monkeypatch.setenv("INTERLOCK_HOME", "kept")
    monkeypatch.chdir("/")
    assert interlock_home(tmp_path) == tmp_path / "kept"
    monkeypatch.setenv("INTERLOCK_HOME", str(tmp_path / "elsewhere"))
    assert interlock_home(tmp_path) == tmp_path / "elsewhere"


def test_an_empty_variable_is_no_choice(tmp_path, monkeypatch):
    monkeypatch.setenv("INTERLOCK_HOME", "  ")
    assert interlock_home(tmp_path) == tmp_path / "artifacts"


@pytest.mark.parametrize("inside", [".dvc/tmp/exps/tmpabc", ".dvc/tmp/exps/standalone/tmpabc/sub"])
def test_a_temporary_experiment_uses_the_main_home(tmp_path, inside):
    (tmp_path / inside).mkdir(parents=True)
    assert interlock_home(tmp_path / inside) == tmp_path / "artifacts"


def test_a_worktree_uses_the_main_home(tmp_path):
    main, linked = worktree(tmp_path)
    assert main_checkout(linked) == main
    (linked / "sub").mkdir()
    assert main_checkout(linked / "sub") == main / "sub"


def test_an_experiment_inside_a_worktree_uses_the_main_home(tmp_path):
    main, linked = worktree(tmp_path)
    inside = linked / ".dvc" / "tmp" / "exps" / "tmpabc"
    (inside / ".git").mkdir(parents=True)
    assert main_checkout(inside) == main


@pytest.mark.parametrize("text", ["gitdir: ../.git/modules/sub\n", "", "nonsense", "gitdir:"])
def test_a_submodule_or_a_broken_pointer_stays_its_own(tmp_path, text):
    (tmp_path / ".git").write_text(text)
    assert main_checkout(tmp_path) == tmp_path


def test_this_checkouts_code_may_run_here_and_nowhere_else(tmp_path):
    here = Path(__file__).resolve().parents[3]
    require_workspace_code(here)
    with pytest.raises(StageError, match="imported from") as caught:
        require_workspace_code(tmp_path)
    assert f"PYTHONPATH={tmp_path / 'src'}" in str(caught.value)
