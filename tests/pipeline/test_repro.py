"""`dvc repro` runs what a change touches and nothing else."""

import json
import shutil

import pytest

STAGES = ["prepare", "train", "evaluate", "export", "judge", "decide"]


def of(lane, *stages):
    return [f"{lane}-{stage}" for stage in stages]


def test_first_run_runs_everything_and_the_second_nothing(workspace):
    assert workspace.repro() == ["compose", *of("toy", *STAGES)]
    assert workspace.repro() == []
    verdict = json.loads((workspace.path / "artifacts/lanes/toy/judge/judgement.json").read_text())
    assert verdict["verdict"] == "pass"


@pytest.mark.slow
def test_one_lanes_parameter_runs_that_lane_alone(workspace):
    lane = workspace.path / "conf/lane/second.yaml"
    lane.write_text(
        "# @package _global_\ndefaults:\n  - override /data: numbers\n  - override /model: offset\n"
        "  - override /optimizer: plain\n  - override /trainer: steps\n  - override /gate: toy\n\n"
        "lane: {kind: toy, inputs: {}}\n"
    )
    workspace.edit("params.yaml", "[toy]", "[toy, second]")
    workspace.interlock("pipeline", "render")
    assert workspace.repro() == ["compose", *of("toy", *STAGES), *of("second", *STAGES)]

    workspace.edit("params.yaml", "lane_overrides: {}", "lane_overrides: {second: {lane: {optimizer: {lr: 0.4}}}}")
    assert workspace.repro() == ["compose", *of("second", *STAGES[1:])]


def test_a_gate_judges_again_and_never_trains(ran_workspace):
    workspace = ran_workspace
    workspace.edit("params.yaml", "overrides: {}\nlane", "overrides: {lane: {gates: {accuracy: {target: 0.95}}}}\nlane")
    ran = workspace.repro()
    assert ran == ["compose", *of("toy", "export", "judge", "decide")]
    assert "fail" in workspace.interlock("status", code=3)


def test_a_helper_of_one_stage_runs_what_depends_on_it(ran_workspace):
    workspace = ran_workspace
    page = workspace.path / "src/interlock/reports/decisions.py"
    page.write_text(page.read_text() + "\n# a remark\n")
    assert workspace.repro() == ["compose", "toy-decide"]


def test_a_stage_that_gives_the_same_again_stops_the_wave(ran_workspace):
    workspace = ran_workspace
    page = workspace.path / "src/interlock/stages/prepare.py"
    page.write_text(page.read_text() + "\n# a remark\n")
    assert workspace.repro() == ["compose", "toy-prepare"]


def test_a_new_import_is_watched_from_the_next_run_on(ran_workspace):
    workspace = ran_workspace
    page = workspace.path / "src/interlock/reports/figures.py"
    page.write_text(page.read_text() + "\nimport interlock.new_module  # noqa\n")
    module = workspace.path / "src/interlock/new_module.py"
    module.write_text("VALUE = 1\n")
    assert "toy-evaluate" in workspace.repro()
    assert workspace.repro() == []
    module.write_text("VALUE = 2\n")
    ran = workspace.repro()
    assert "toy-evaluate" in ran
    assert "toy-train" not in ran


def test_a_stage_refuses_code_that_dvc_was_not_told_of(ran_workspace):
    workspace = ran_workspace
    page = workspace.path / "src/interlock/stages/train.py"
    page.write_text(page.read_text() + "\n# a remark\n")
    output = workspace.run("python", "pipelines/train.py", "toy", code=1)
    assert "params/stages.json: toy.train.code: the code was changed after DVC looked at it" in output
    assert "way out: dvc repro again" in output


def test_refused_configuration_leaves_the_last_good_files(ran_workspace):
    workspace = ran_workspace
    composed = workspace.path / "params/toy.yaml"
    before = composed.read_text()
    workspace.edit("params.yaml", "overrides: {}\nlane", "overrides: {lane: {optimizer: {lrr: 1}}, seed: true}\nlane")
    output = workspace.run("dvc", "repro", code=255)
    assert "2 faults" in output
    assert "did you mean: lane.optimizer.lr" in output
    assert composed.read_text() == before


def test_metrics_and_plots_are_shown_by_dvc(ran_workspace):
    workspace = ran_workspace
    assert "accuracy" in workspace.run("dvc", "metrics", "show")
    workspace.run("dvc", "plots", "show", "--out", "plots")
    assert "step" in (workspace.path / "plots/index.html").read_text()


def test_deleted_outputs_come_back_from_the_cache(ran_workspace):
    workspace = ran_workspace
    shutil.rmtree(workspace.path / "artifacts/lanes")
    assert workspace.repro() == []
    assert (workspace.path / "artifacts/lanes/toy/judge/judgement.json").is_file()


def test_works_without_git(make_workspace):
    workspace = make_workspace(git=False)
    assert workspace.repro() == ["compose", *of("toy", *STAGES)]
