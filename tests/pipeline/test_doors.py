"""Every spelling that `interlock explain` prints works, and all doors give the same run."""

import json
import re

import pytest

KEY = "lane.optimizer.lr"


def lr_of(workspace):
    text = (workspace.path / "params/toy.yaml").read_text()
    return float(re.search(r"^\s+lr: (.+)$", text, re.M).group(1))


def spelled(workspace, door):
    return json.loads(workspace.interlock("explain", KEY, "--json"))["doors"][door].replace("0.5", "0.25")


def run_ids(workspace):
    return {run["run_id"] for run in json.loads(workspace.interlock("runs", "list", "--json"))}


def test_all_doors_give_the_same_run(workspace):
    texts = {
        door: spelled(workspace, door)
        for door in ("params.yaml, then dvc repro", "one experiment", "without DVC", "sweep")
    }
    workspace.run(*texts["without DVC"].split())
    first = run_ids(workspace)
    assert len(first) == 1

    workspace.run(*texts["sweep"].replace("OTHER", "0.75").split())
    both = run_ids(workspace)
    assert len(both) == 2
    assert first < both

    workspace.run("bash", "-c", texts["one experiment"])
    assert lr_of(workspace) == 0.25
    workspace.interlock("sync")
    assert run_ids(workspace) == both

    workspace.run("git", "checkout", "--quiet", "params.yaml")
    workspace.edit("params.yaml", "overrides: {}\nlane", f"{texts['params.yaml, then dvc repro']}\nlane")
    workspace.repro()
    assert lr_of(workspace) == 0.25
    workspace.interlock("sync")
    assert run_ids(workspace) == both


def test_the_experiment_file(workspace):
    file, text = spelled(workspace, "experiment file").split(": ", 1)
    path = workspace.path / file.replace("NAME", "mine")
    path.write_text(
        f"# @package _global_\nexperiment: {{name: mine}}\n{text.strip('{}').split(':')[0]}: "
        + text.split(": ", 1)[1].removesuffix("}")
        + "\n"
    )
    workspace.edit("params.yaml", "experiment: default", "experiment: mine")
    workspace.interlock("compose")
    assert lr_of(workspace) == 0.25


@pytest.mark.parametrize(
    "command",
    [
        ("interlock", "run", "lane=toy", "lane.optimizer.lrr=1"),
        ("interlock", "run", "-m", "lane=toy", "lane.optimizer.lrr=1,2"),
        ("interlock", "run", "lane=toy", "+lane.optimizer.lrr=1"),
        ("interlock", "validate", "lane=toy", "lane.optimizer.lrr=1"),
    ],
)
def test_mistyped_keys_are_refused_with_the_nearest(workspace, command):
    output = workspace.run(*command, code=2)
    assert "did you mean: lane.optimizer.lr" in output
    assert run_ids(workspace) == set()


def test_hydra_flags_work(workspace):
    assert "lr: 0.5" in workspace.interlock("run", "lane=toy", "--cfg", "job", "--resolve")
    extra = workspace.path / "more" / "trainer"
    extra.mkdir(parents=True)
    (extra / "short.yaml").write_text("# @package lane.trainer\nsteps: 7\n")
    path = f"hydra.searchpath=[file://{workspace.path / 'more'}]"
    assert "steps: 7" in workspace.interlock("run", "lane=toy", path, "trainer=short", "--cfg", "job")
    assert "pickle" in workspace.interlock("run", "lane=toy", "--experimental-rerun=x", code=2)


def test_a_sweep_answers_with_its_worst_verdict(workspace):
    output = workspace.interlock("run", "-m", "lane=toy", "lane.optimizer.lr=0.5,0.00001", code=3)
    assert re.findall(r"^run \w+: (\w+)", output, re.M) == ["pass", "fail"]
