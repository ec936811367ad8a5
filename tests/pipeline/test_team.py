"""Two clones that share nothing but git and a folder: what one promotes the other sees, verified."""

import json
import shutil

import pytest


@pytest.fixture
def clones(make_workspace, tmp_path):
    """Two checkouts of one repository, with a folder as DVC's default remote; the first one has run."""
    first = make_workspace("first", ran=True)
    first.run("dvc", "remote", "add", "--default", "shared", str(tmp_path / "remote"))
    first.interlock("sync")
    first.run("git", "add", "--all")
    first.run("git", "commit", "--quiet", "--message", "results")
    path = tmp_path / "second"
    first.run("git", "clone", "--quiet", str(first.path), str(path))
    env = first.env | {"PYTHONPATH": first.env["PYTHONPATH"].replace(str(first.path), str(path))}
    return first, type(first)(path, env)


def models(workspace):
    return json.loads(workspace.interlock("registry", "list", "--json"))


def promote(workspace, to, *, model=None, by="Ada", code=0):
    name = model or models(workspace)[0]["id"]
    return workspace.interlock(
        "registry", "promote", name, "--to", to, "--by", by, "--reason", "better than before", code=code
    )


def approve(workspace, *, model=None, purpose="first_release", by="Ada", code=0):
    name = model or models(workspace)[0]["id"]
    return workspace.interlock("approve", name, "--for", purpose, "--by", by, "--reason", "seen in staging", code=code)


def test_one_promotes_and_the_other_sees_it_verified(clones):
    first, second = clones
    promote(first, "staging")
    assert "nobody was asked yet" in promote(first, "production", code=1)
    approve(first)
    assert "no release decision was asked for: interlock release toy" in promote(first, "production")
    first.interlock("push")
    assert models(second) == []
    second.interlock("pull")
    (model,) = models(second)
    assert (model["stage"], model["promoted_by"]) == ("production", "Ada")
    assert models(first) == [model]
    second.interlock("verify", "--all")
    assert "production" in second.interlock("registry", "show", model["id"])
    assert "by Ada" in first.interlock("status")

    # The other takes it back for what comes after: news goes both ways.
    path = second.path / "artifacts" / "registry" / "events.jsonl"
    assert not path.exists() or "promoted" not in path.read_text()
    first.run("dvc", "push")
    second.run("dvc", "pull")
    assert second.repro() == []
    second.interlock("sync")
    second.interlock("push")
    first.interlock("pull")
    assert models(first) == models(second)
    first.interlock("verify", "--all")


def test_a_run_with_one_changed_byte_on_the_way_is_refused_and_named(clones, tmp_path):
    first, second = clones
    first.interlock("push")
    (model,) = models(first)
    folder = tmp_path / "remote" / "interlock" / "objects"
    path = folder / model["sha256"][:2] / model["sha256"]
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.chmod(0o644)
    path.write_bytes(bytes(data))

    said = second.interlock("pull", code=1)
    assert model["run_id"] in said
    assert "differs from its recorded digest" in said
    assert models(second) == []
    assert not (second.path / "artifacts" / "runs" / model["run_id"]).exists()

    first.interlock("push", "--repair")
    second.interlock("pull")
    assert [found["id"] for found in models(second)] == [model["id"]]
    second.interlock("verify", "--all")


@pytest.mark.slow
def test_two_promotions_unaware_of_each_other_are_contested_until_one_is_made_again(clones):
    first, second = clones
    first.interlock("push")
    second.interlock("pull")
    second.interlock("run", "lane=toy", "seed=2")
    one, other = models(first)[0]["id"], next(item["id"] for item in models(second) if item["seed"] == 2)
    promote(first, "staging", model=one, by="Ada")
    promote(second, "staging", model=other, by="Bo")
    for workspace in (first, second, first, second):
        workspace.interlock("push")
        workspace.interlock("pull")
    seen = [{item["id"]: (item["stage"], item["contested_by"]) for item in models(place)} for place in clones]
    assert seen[0] == seen[1]
    assert sorted(stage for stage, _ in seen[0].values()) == ["retired", "staging"]
    assert {name: rivals for name, (_, rivals) in seen[0].items()} == {one: [other], other: [one]}
    assert "CONTESTED" in first.interlock("status")
    assert "contested" in second.interlock("registry", "list")

    promote(first, "staging", model=one)
    first.interlock("push")
    second.interlock("pull")
    assert [item["contested_by"] for item in models(second)] == [[], []]
    assert next(item["stage"] for item in models(second) if item["id"] == one) == "staging"
    for workspace in clones:
        workspace.interlock("verify", "--all")


@pytest.mark.slow
def test_one_asks_and_the_other_says_yes_from_another_home(clones):
    first, second = clones
    promote(first, "staging")
    promote(first, "production", code=1)
    first.interlock("push")
    second.interlock("pull")
    (asked,) = json.loads(second.interlock("approvals", "list", "--json"))["approvals"]
    assert (asked["state"], asked["purpose"]) == ("requested", "first_release")
    approve(second, model=asked["model"], by="Bo")
    second.interlock("push")
    first.interlock("pull")
    promote(first, "production")
    first.interlock("push")
    second.interlock("pull")
    for workspace in clones:
        (seen,) = json.loads(workspace.interlock("approvals", "list", "--json"))["approvals"]
        assert (seen["state"], seen["by"]) == ("used", "Bo")
        workspace.interlock("verify", "--all")
        assert f"approval {seen['id'][:12]}" in first.interlock("status")
    assert models(first) == models(second)


def test_nothing_but_a_pass_under_the_present_gates_is_promoted(workspace):
    workspace.repro()
    workspace.interlock("sync")
    (model,) = models(workspace)
    assert f"promote {model['id']} --to shadow or staging" in promote(workspace, "production", code=2)
    assert "no such stage" in promote(workspace, "shelf", code=2)
    lower, higher = "overrides: {}\nlane", "overrides: {lane: {gates: {accuracy: {target: 0.99}}}}\nlane"
    workspace.edit("params.yaml", lower, higher)
    assert "used other gates" in promote(workspace, "staging", code=1)
    workspace.interlock("judge", model["run_id"], code=3)
    assert "newest verdict is fail" in promote(workspace, "staging", code=1)
    workspace.edit("params.yaml", higher, lower)
    workspace.interlock("judge", model["run_id"])
    promote(workspace, "staging")
    path = workspace.path / "artifacts" / model["path"]
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert "its run does not verify" in promote(workspace, "production", code=1)


def test_without_a_folder_to_share_the_way_out_is_said(workspace):
    assert "dvc remote add --default" in workspace.interlock("push", code=2)
    workspace.run("dvc", "remote", "add", "--default", "away", "s3://bucket/team")
    assert "is not a folder" in workspace.interlock("pull", code=2)
    assert "nobody has pushed here yet" in workspace.interlock("pull", "--remote", "elsewhere", code=1)
    shutil.rmtree(workspace.path / "artifacts", ignore_errors=True)
    assert "nothing to share yet" in workspace.interlock("push", "--remote", "elsewhere")
