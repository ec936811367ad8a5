"""dvc.yaml is rendered from the configuration and the code, and a stale one is refused."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from interlock.config.params import compose_workspace
from interlock.config.pipeline import render, require_rendered, write_declared, write_rendered
from interlock.contracts.stage import STAGES
from interlock.errors import ConfigError, DataError

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def workspace(tmp_path):
    """This checkout's code and configuration."""
    for name in ("src", "pipelines", "conf", "requirements.lock"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The same with files of its own; who edits one puts it back."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("src/interlock", "pipelines", "conf"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "requirements.lock", folder)
    return folder


def composed(workspace, overrides="{}", lanes="[query_tower]"):
    (workspace / "params.yaml").write_text(
        f"experiment: default\nlanes: {lanes}\noverrides: {overrides}\nlane_overrides: {{}}\n"
    )
    return compose_workspace(workspace)


def rendered(workspace, overrides="{}", lanes="[query_tower]"):
    return yaml.safe_load(render(workspace, composed(workspace, overrides, lanes)))


@pytest.fixture(scope="module")
def plain(copy):
    """The default experiment."""
    return composed(copy)


def test_stages_in_order_with_their_inputs(workspace):
    stages = rendered(workspace)["stages"]
    names = ["prepare", "train", "evaluate", "export", "judge", "decide"]
    assert list(stages) == ["compose", *(f"query_tower-{stage}" for stage in names)]
    handed = [dep for dep in stages["query_tower-judge"]["deps"] if dep.startswith("artifacts/")]
    assert handed == [f"artifacts/lanes/query_tower/{name}/outputs.json" for name in ("train", "evaluate", "export")]
    outs = ["params/query_tower.yaml", "params/stages.json", "params/composed.json"]
    assert stages["compose"]["outs"] == [{name: {"persist": True}} for name in outs]


def test_dvc_watches_the_digest_of_each_stage_and_the_keys_that_are_tuned(copy):
    stages = rendered(copy)["stages"]
    assert stages["compose"]["deps"] == ["conf", "pipelines", "src/interlock"]
    keys, code = stages["query_tower-prepare"]["params"]
    assert keys == {"params/query_tower.yaml": ["lane.kind", "lane.data", "lane.inputs", "lane.allow_unpassed"]}
    assert code == {"params/stages.json": ["query_tower.prepare.code"]}
    assert "lane.optimizer" in stages["query_tower-train"]["params"][0]["params/query_tower.yaml"]
    assert stages["query_tower-judge"]["params"] == [{"params/stages.json": ["query_tower.judge"]}]


def test_a_lane_depends_on_those_that_it_is_made_from(workspace):
    stages = rendered(workspace, lanes="[follower, toy]")["stages"]
    names = list(stages)
    assert names.index("toy-decide") < names.index("follower-prepare")
    made_from = {
        stage: [dep for dep in stages[f"follower-{stage}"]["deps"] if dep.startswith("artifacts/lanes/toy/")]
        for stage in STAGES
    }
    trained, verdict = "artifacts/lanes/toy/train/outputs.json", "artifacts/lanes/toy/judge/verdict.json"
    assert made_from == {
        "prepare": [trained, verdict],
        "train": [trained],
        "evaluate": [trained],
        "export": [],
        "judge": [],
        "decide": [],
    }


def declared(workspace, experiments):
    """What the compose stage would write for one lane."""
    write_declared(workspace, experiments)
    return json.loads((workspace / "params/stages.json").read_text())["query_tower"]


@pytest.fixture(scope="module")
def unedited(copy, plain):
    """What the compose stage writes for this checkout as it stands."""
    return declared(copy, plain)


def changed(before, after, what):
    return [stage for stage in STAGES if before[stage][what] != after[stage][what]]


@pytest.mark.parametrize(
    ("file", "stages"),
    [
        ("lanes/query_tower/export.py", ["export"]),
        ("lanes/query_tower/train.py", ["train"]),
        ("lanes/retrieval/datasets/docstrings.py", ["prepare"]),
        ("gates/statistics.py", ["evaluate", "export", "judge"]),
        ("commands/status.py", []),
    ],
)
def test_edited_code_changes_the_stages_that_can_run_it(copy, plain, unedited, file, stages):
    path = copy / "src/interlock" / file
    text = path.read_text()
    try:
        path.write_text(text + "# another comment\n")
        after = declared(copy, plain)
    finally:
        path.write_text(text)
    assert changed(unedited, after, "code") == stages
    assert changed(unedited, after, "config") == []


def test_an_override_changes_the_stages_that_read_its_key(copy, unedited):
    gates = declared(copy, composed(copy, "{lane: {gates: {r_at_5: {target: 0.6}}}}"))
    assert changed(unedited, gates, "config") == ["export", "judge"]
    seed = declared(copy, composed(copy, "{seed: 7}"))
    assert changed(unedited, seed, "config") == ["train", "evaluate", "export", "decide"]
    assert declared(copy, composed(copy, "{tracking: jsonl}")) == unedited


def test_outside_data_is_watched(workspace, tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    overrides = "{data: beir, lane: {data: {path: corpus, name: mine}}}"
    assert "corpus" in rendered(workspace, overrides)["stages"]["query_tower-prepare"]["deps"]
    folder.rmdir()
    with pytest.raises(DataError, match="no such file or folder"):
        rendered(workspace, overrides)


def test_a_stale_file_is_refused_and_named(workspace):
    experiments = composed(workspace)
    with pytest.raises(ConfigError, match="compose, query_tower-prepare"):
        require_rendered(workspace, experiments)
    assert write_rendered(workspace, experiments)
    assert not write_rendered(workspace, experiments)
    require_rendered(workspace, experiments)
    path = workspace / "dvc.yaml"
    path.write_text(path.read_text().replace("query_tower.judge", "query_tower.jury"))
    with pytest.raises(ConfigError, match="query_tower-judge"):
        require_rendered(workspace, experiments)
