"""A lane that is made from another one, through the real commands: DVC, the runner, archive, proof and sharing."""

import json

import pytest

STAGES = ["prepare", "train", "evaluate", "export", "judge", "decide"]
TARGET = {"lane": {"gates": {"accuracy": {"target": 0.95}}}}
"""With this the toy lane fails, and what it trained stays the same."""


def of(lane, *stages):
    return [f"{lane}-{stage}" for stage in stages]


def params(workspace, **lane_overrides):
    """Write overrides by lane into params.yaml."""
    path = workspace.path / "params.yaml"
    head = path.read_text().partition("lane_overrides:")[0]
    path.write_text(f"{head}lane_overrides: {json.dumps(lane_overrides)}\n")


def run_of(workspace, lane):
    return json.loads((workspace.path / f"artifacts/lanes/{lane}/train/record.json").read_text())["run_id"]


def card_of(workspace, lane):
    folder = workspace.path / "artifacts/runs" / run_of(workspace, lane)
    return json.loads((folder / "models/run_card.json").read_text())


@pytest.fixture
def pair(make_workspace):
    """Both lanes, the dependant named first, run and archived."""
    workspace = make_workspace(lanes=("follower", "toy"), ran=True)
    workspace.interlock("sync")
    return workspace


@pytest.mark.slow
def test_what_is_made_from_a_lane_comes_after_it(make_workspace):
    workspace = make_workspace(lanes=("follower", "toy"))
    assert workspace.repro() == ["compose", *of("toy", *STAGES), *of("follower", *STAGES)]


def test_a_change_of_one_lane_runs_what_is_made_from_it(pair):
    assert pair.repro() == []
    first = run_of(pair, "follower")
    params(pair, toy={"lane": {"gates": {"accuracy": {"target": 0.81}}}})
    assert pair.repro() == ["compose", *of("toy", "export", "judge", "decide")], "the same verdict, another judgement"
    params(pair, follower={"lane": {"optimizer": {"lr": 0.4}}})
    assert pair.repro() == ["compose", *of("follower", *STAGES[1:])]
    params(pair, toy={"lane": {"optimizer": {"lr": 0.4}}})
    ran = pair.repro()
    assert ran == ["compose", *of("toy", *STAGES[1:]), *of("follower", *STAGES)]
    assert run_of(pair, "follower") != first
    assert pair.repro() == []


def test_a_failed_lane_stops_the_one_that_is_made_from_it(pair):
    before = run_of(pair, "follower")
    params(pair, toy=TARGET)
    said = pair.run("dvc", "repro", code=255)
    assert f"lane.inputs.base: may not be used: run {run_of(pair, 'toy')} has the verdict fail" in said
    assert "way out: use a run that passes, or say lane.allow_unpassed.base=true" in said
    assert "exited with 5" in said
    status = pair.interlock("status", code=3)
    assert f"may not be used: run {run_of(pair, 'toy')} has the verdict fail" in status
    refused = pair.interlock("run", "lane=follower", code=5)
    assert "base: lane toy as DVC has it" in refused

    params(pair, toy=TARGET, follower={"lane": {"allow_unpassed": {"base": True}}})
    assert pair.repro() == ["compose", "follower-prepare"], "a permission trains nothing again"
    assert run_of(pair, "follower") == before
    params(pair, toy=TARGET, follower={"seed": 2, "lane": {"allow_unpassed": {"base": True}}})
    pair.repro()
    pair.interlock("sync")
    assert card_of(pair, "follower")["observations"]["unpassed_inputs"] == {"base": "fail"}
    pair.interlock("verify", "--all")
    page = (pair.path / "report.html").as_posix()
    pair.interlock("report", run_of(pair, "follower"), "--out", page)
    assert "allowed although its verdict was fail" in (pair.path / "report.html").read_text()


@pytest.mark.slow
def test_an_archived_run_and_a_stage_of_the_registry_are_pinned(pair):
    toy = run_of(pair, "toy")
    params(pair, follower={"lane": {"inputs": {"base": f"run:{toy}"}}})
    pair.interlock("pipeline", "render")
    pair.repro()
    composed = (pair.path / "params/follower.yaml").read_text()
    pinned = card_of_pinned(pair)
    assert f"base: {pinned}" in composed
    assert pinned.startswith(f"run:{toy}@sha256:")
    params(pair, toy={"seed": 9}, follower={"lane": {"inputs": {"base": f"run:{toy}"}}})
    assert pair.repro() == ["compose", *of("toy", *STAGES[1:])], "an archived run is no part of the pipeline"
    pair.interlock("sync")
    pair.interlock("verify", "--all")

    model = next(row["id"] for row in json.loads(pair.interlock("registry", "list", "--json")) if row["run_id"] == toy)
    params(pair, follower={"lane": {"inputs": {"base": f"run:{toy}"}}})
    pair.repro()
    pair.interlock("judge", toy)
    pair.interlock("registry", "promote", model, "--to", "staging", "--by", "Ada", "--reason", "first")
    params(pair, follower={"lane": {"inputs": {"base": "registry:toy@staging"}}})
    assert pair.repro() == ["compose"], "the same bytes: all that follows is as it was"
    assert (pair.path / "params/follower.yaml").read_text() == composed

    weights = pair.path / "artifacts/runs" / toy / "models/model.safetensors"
    weights.chmod(0o644)
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    said = pair.interlock("run", "lane=follower", "seed=3", "lane.inputs.base=registry:toy@staging", code=1)
    assert f"a file of run {toy} was changed or is gone" in said


def card_of_pinned(workspace):
    record = json.loads((workspace.path / "artifacts/lanes/follower/train/record.json").read_text())
    return record["lane_inputs"]["base"]["reference"]


@pytest.mark.slow
def test_a_judgement_by_hand_is_seen_after_composing(pair):
    """An archived input's verdict is no file of the pipeline; composing writes down which it is."""
    toy = run_of(pair, "toy")
    params(pair, follower={"lane": {"inputs": {"base": f"run:{toy}"}}})
    pair.interlock("pipeline", "render")
    pair.repro()
    assert pair.repro() == []
    params(pair, toy=TARGET, follower={"lane": {"inputs": {"base": f"run:{toy}"}}})
    pair.interlock("judge", toy, code=3)
    said = pair.run("dvc", "repro", code=255)
    assert f"may not be used: run {toy} has the verdict fail" in said


@pytest.mark.slow
def test_it_is_reproduced_from_the_archived_input(pair):
    """The other lane has moved on, and fails by now: what is repeated is what was made then."""
    run = run_of(pair, "follower")
    params(pair, toy={"seed": 5, **TARGET})
    pair.run("dvc", "repro", code=255)
    assert "bit-exact" in pair.interlock("reproduce", run)


@pytest.mark.slow
def test_a_teammate_gets_the_chain(make_workspace, pair, tmp_path):
    run, toy = run_of(pair, "follower"), run_of(pair, "toy")
    other = make_workspace("other", lanes=("follower", "toy"))
    for workspace in (pair, other):
        workspace.run("dvc", "remote", "add", "--default", "shared", str(tmp_path / "shared"))
    pair.interlock("push")
    other.interlock("pull")
    assert f"input base -> run {toy}" in other.interlock("verify", run)
    assert ": pass" in other.interlock("run", "lane=follower", f"lane.inputs.base=run:{toy}")
    other.interlock("verify", "--all")


@pytest.mark.slow
def test_without_the_input_nothing_is_reproduced(pair):
    run, toy = run_of(pair, "follower"), run_of(pair, "toy")
    (pair.path / "artifacts/runs" / toy).rename(pair.path / "away")
    assert "that run is not in this archive" in pair.interlock("verify", run)
    said = pair.interlock("reproduce", run, code=1)
    assert f"the input base, run {toy}, is not in this archive" in said
