"""Cache hits, temporary experiments, a deleted registry and another machine lose nothing."""

import json
import shutil

import pytest


def runs(workspace):
    return {run["run_id"]: run["verdict"] for run in json.loads(workspace.interlock("runs", "list", "--json"))}


def models(workspace):
    return json.loads(workspace.interlock("registry", "list", "--json"))


def test_sync_twice_changes_nothing(ran_workspace):
    workspace = ran_workspace
    workspace.interlock("sync")
    before = {path: path.read_bytes() for path in (workspace.path / "artifacts").rglob("*.json*")}
    assert "unchanged" in workspace.interlock("sync")
    after = {path: path.read_bytes() for path in (workspace.path / "artifacts").rglob("*.json*")}
    assert before == after
    assert list(runs(workspace).values()) == ["pass"]


def test_a_cache_hit_is_archived_like_a_run(ran_workspace):
    workspace = ran_workspace
    shutil.rmtree(workspace.path / "artifacts")
    assert workspace.repro() == []
    workspace.interlock("sync")
    assert list(runs(workspace).values()) == ["pass"]


def test_a_temporary_experiment_is_archived_in_the_main_checkout(ran_workspace):
    workspace = ran_workspace
    workspace.interlock("sync")
    workspace.run("git", "add", "--all")
    workspace.run("git", "commit", "--quiet", "--message", "lock")
    workspace.run("dvc", "exp", "run", "--temp", "--name", "other", "-S", "++overrides.lane.optimizer.lr=0.3")
    assert len(runs(workspace)) == 2, "its attempts are known although its workspace is gone"
    workspace.run("dvc", "exp", "apply", "other")
    workspace.interlock("sync")
    assert sorted(map(str, runs(workspace).values())) == ["pass", "pass"]


@pytest.mark.parametrize(
    "gone", [pytest.param("registry/models.db", marks=pytest.mark.slow), "registry/events.jsonl", "registry"]
)
def test_a_deleted_registry_comes_back(ran_workspace, gone):
    workspace = ran_workspace
    workspace.interlock("sync")
    before = models(workspace)
    path = workspace.path / "artifacts" / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    workspace.interlock("registry", "rebuild")
    assert models(workspace) == before
    assert len(before) == 1


def test_another_machine_pulls_and_syncs(make_workspace, tmp_path):
    first = make_workspace("first")
    remote = tmp_path / "remote"
    first.run("dvc", "remote", "add", "--default", "shared", str(remote))
    first.repro()
    first.interlock("sync")
    first.run("git", "add", "--all")
    first.run("git", "commit", "--quiet", "--message", "results")
    first.run("dvc", "push")

    path = tmp_path / "second"
    first.run("git", "clone", "--quiet", str(first.path), str(path))
    second = type(first)(path, first.env | {"PYTHONPATH": first.env["PYTHONPATH"].replace(str(first.path), str(path))})
    second.run("dvc", "pull")
    assert second.repro() == []
    second.interlock("sync")
    assert runs(second) == runs(first)
    assert [model["sha256"] for model in models(second)] == [model["sha256"] for model in models(first)]


def test_judging_an_archived_run_again_never_trains(ran_workspace):
    workspace = ran_workspace
    workspace.interlock("sync")
    (run_id,) = runs(workspace)
    shutil.rmtree(workspace.path / "artifacts" / "lanes")
    before = workspace.interlock("runs", "list", "--json")
    events = (workspace.path / "artifacts" / "registry" / "events.jsonl").read_bytes()
    assert "not kept" in workspace.interlock("judge", run_id[:6], "--set", "lane.gates.accuracy.target=0.99", code=3)
    assert workspace.interlock("runs", "list", "--json") == before
    assert (workspace.path / "artifacts" / "registry" / "events.jsonl").read_bytes() == events
    workspace.interlock("judge", run_id[:6], "--set", "lane.optimizer.lr=0.1", code=2)

    lower, higher = "overrides: {}\nlane", "overrides: {lane: {gates: {accuracy: {target: 0.99}}}}\nlane"
    workspace.edit("params.yaml", lower, higher)
    workspace.interlock("judge", run_id[:6], code=3)
    assert runs(workspace) == {run_id: "fail"}
    workspace.edit("params.yaml", higher, lower)
    workspace.interlock("judge", run_id[:6])
    assert runs(workspace) == {run_id: "pass"}
