"""A gate pinned to another run, through every command that judges: pass, fail and blocked, and what the shell says."""

import json

import pytest

GATE = "lane.gates.over_base"
ABSENT = "f" * 16


def overrides(workspace, *, seed, **gate):
    """Write them into params.yaml."""
    path = workspace.path / "params.yaml"
    head, _, tail = path.read_text().partition("overrides:")
    body = json.dumps({"seed": seed, "lane": {"gates": {"over_base": gate}}})
    path.write_text(f"{head}overrides: {body}\nlane_overrides:{tail.rpartition('lane_overrides:')[2]}")


def judgement(workspace):
    return json.loads((workspace.path / "artifacts/lanes/toy/judge/judgement.json").read_text())


def row(said):
    return next(found for found in said["rows"] if found["gate"] == "over_base")


@pytest.fixture
def pair(workspace):
    """Two seeds; the second one is judged against the first one: no more than 0.02 worse."""
    workspace.repro()
    workspace.interlock("sync")
    first = judgement(workspace)["run_id"]
    overrides(workspace, seed=2, baseline="accuracy", baseline_run=first, margin=-0.02)
    workspace.repro()
    workspace.interlock("sync")
    return first, judgement(workspace)["run_id"]


def test_pass_fail_and_blocked(workspace, pair):
    first, second = pair
    found = row(judgement(workspace))
    assert (judgement(workspace)["verdict"], found["verdict"], found["method"]) == ("pass", "pass", "tango")
    assert found["reason"].startswith(f"accuracy - run:{first}/accuracy 0.000")

    worse = workspace.interlock("judge", second, "--set", f"{GATE}.margin=0.1", code=3)
    assert "not kept" in worse
    itself = workspace.interlock("judge", second, "--json", "--set", f"{GATE}.baseline_run=run:{second}", code=5)
    assert "the very run that is judged" in itself
    absent = workspace.interlock("judge", second, "--json", "--set", f"{GATE}.baseline_run={ABSENT}", code=5)
    assert f"run {ABSENT} is not in the archive; interlock pull brings it" in absent
    # The first run was judged by its own baseline; from the shell it is judged by the second one.
    workspace.interlock("judge", first, "--set", f"{GATE}.baseline_run=run:{second}")
    workspace.interlock("judge", second)
    workspace.interlock("verify", "--all")


@pytest.mark.slow
def test_a_run_that_is_missing_blocks_until_it_arrives(workspace, pair):
    first, _ = pair
    home, away = workspace.path / "artifacts/runs" / first, workspace.path / "away"
    assert workspace.repro() == []
    home.rename(away)
    workspace.interlock("compose")
    assert workspace.repro() == ["compose", "toy-export", "toy-judge", "toy-decide"]
    assert (judgement(workspace)["verdict"], row(judgement(workspace))["cause"]) == ("blocked", "missing")
    away.rename(home)
    workspace.interlock("compose")
    assert workspace.repro() == ["compose"]  # DVC knows what the others give with the run at hand
    assert judgement(workspace)["verdict"] == "pass"
    workspace.interlock("sync")
    workspace.interlock("verify", "--all")

    scores = home / "models/per_query.parquet"
    scores.chmod(0o644)
    scores.write_bytes(scores.read_bytes()[:-1] + b"x")
    refused = workspace.interlock("judge", judgement(workspace)["run_id"], code=1)
    assert f"pinned to run {first}, which was changed" in refused


@pytest.mark.slow
def test_the_production_model_is_pinned_while_composing(workspace, pair):
    first, second = pair
    composed = workspace.path / "params/toy.yaml"
    before, pointer = composed.read_bytes(), f"{GATE}.baseline_run=registry:toy@production"
    refused = workspace.interlock("judge", second, "--set", pointer, code=2)
    assert "no model of toy is in production" in refused
    overrides(workspace, seed=1)
    models = json.loads(workspace.interlock("registry", "list", "--json"))
    name = next(model["id"] for model in models if model["run_id"] == first)
    for stage in ("staging", "production"):
        workspace.interlock("judge", first)
        if stage == "production":
            workspace.interlock("approve", name, "--for", "first_release", "--by", "Ada", "--reason", "seen in staging")
        workspace.interlock("registry", "promote", name, "--to", stage, "--by", "Ada", "--reason", "first")

    overrides(workspace, seed=2, baseline="accuracy", baseline_run="registry:toy@production", margin=-0.02)
    assert workspace.repro() == ["compose"]  # the same bytes: all that follows is as it was
    assert composed.read_bytes() == before
    given = ("lane=toy", "seed=2", f"{GATE}.baseline=accuracy", f"{GATE}.margin=-0.02", pointer)
    said = workspace.interlock("run", *given)
    assert f"run {second}: pass" in said
    (folder,) = (workspace.path / "artifacts/work").glob("toy-*")
    assert (folder / "params.yaml").read_bytes() == before
    assert first.encode() in before
    assert b"registry:" not in before
