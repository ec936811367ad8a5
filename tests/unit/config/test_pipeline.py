"""dvc.yaml is rendered from the configuration and the code, and a stale one is refused."""

import shutil
from pathlib import Path

import pytest
import yaml

from interlock.config.params import compose_workspace
from interlock.config.pipeline import render, require_rendered, write_rendered
from interlock.errors import ConfigError, DataError

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def workspace(tmp_path):
    for name in ("src/interlock", "pipelines", "conf"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "requirements.lock", tmp_path)
    return tmp_path


def rendered(workspace, overrides="{}", lanes="[query_tower]"):
    (workspace / "params.yaml").write_text(
        f"experiment: default\nlanes: {lanes}\noverrides: {overrides}\nlane_overrides: {{}}\n"
    )
    return yaml.safe_load(render(workspace, compose_workspace(workspace)))


def test_stages_in_order_with_their_inputs(workspace):
    stages = rendered(workspace)["stages"]
    names = ["prepare", "train", "evaluate", "export", "judge", "decide"]
    assert list(stages) == ["compose", *(f"query_tower-{stage}" for stage in names)]
    handed = [dep for dep in stages["query_tower-judge"]["deps"] if dep.startswith("artifacts/")]
    assert handed == [f"artifacts/lanes/query_tower/{name}/outputs.json" for name in ("train", "evaluate", "export")]
    outs = ["params/query_tower.yaml", "params/composed.json"]
    assert stages["compose"]["outs"] == [{name: {"persist": True}} for name in outs]


def test_a_stage_depends_on_its_own_code_and_no_other(workspace):
    stages = rendered(workspace)["stages"]
    deps = {name: set(stage["deps"]) for name, stage in stages.items()}
    lane = "src/interlock/lanes/query_tower"
    assert f"{lane}/export.py" in deps["query_tower-export"]
    assert f"{lane}/export.py" not in deps["query_tower-train"]
    assert f"{lane}/train.py" not in deps["query_tower-evaluate"]
    assert not any("lanes/query_tower/model" in dep for dep in deps["query_tower-judge"])
    assert not any(dep.startswith("src/interlock/gates") for dep in deps["query_tower-train"])
    assert not any("docstrings" in dep for dep in deps["query_tower-train"])


def test_gates_are_parameters_of_the_judge_and_not_of_training(workspace):
    stages = rendered(workspace)["stages"]
    seen = {name: stage["params"][0]["params/query_tower.yaml"] for name, stage in stages.items() if name != "compose"}
    assert "lane.gates" in seen["query_tower-judge"]
    assert "lane.gates" not in seen["query_tower-train"]
    assert seen["query_tower-prepare"] == ["lane.kind", "lane.data"]


def test_outside_data_is_watched(workspace, tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    overrides = "{data: beir, lane: {data: {path: corpus, name: mine}}}"
    assert "corpus" in rendered(workspace, overrides)["stages"]["query_tower-prepare"]["deps"]
    folder.rmdir()
    with pytest.raises(DataError, match="no such file or folder"):
        rendered(workspace, overrides)


def test_a_stale_file_is_refused_and_named(workspace):
    rendered(workspace)
    experiments = compose_workspace(workspace)
    with pytest.raises(ConfigError, match="compose, query_tower-prepare"):
        require_rendered(workspace, experiments)
    assert write_rendered(workspace, experiments)
    assert not write_rendered(workspace, experiments)
    require_rendered(workspace, experiments)
    path = workspace / "dvc.yaml"
    path.write_text(path.read_text().replace("- lane.gates", "- lane.gate"))
    with pytest.raises(ConfigError, match="query_tower-export, query_tower-judge"):
        require_rendered(workspace, experiments)
