"""`interlock answer` on lanes that DVC ran: one verdict, one file, one exit code; and on job cards."""

import json
import shutil

import pytest
import yaml
from typed_here import Here


@pytest.fixture(scope="module")
def answered(tmp_path_factory, finished_workspace):
    """A workspace with two finished lanes where DVC has them, the second made from the first."""
    path = tmp_path_factory.mktemp("answering") / "checkout"
    shutil.copytree(finished_workspace(("toy", "follower"), git=True, ran=False), path, symlinks=True)
    return Here.running(path).finished("toy", "follower")


@pytest.fixture
def workspace(answered, tmp_path):
    return answered.copied(tmp_path / "checkout")


def file_of(workspace, name="job_answer.yaml"):
    (found,) = (workspace.path / "artifacts" / "answers").glob(f"*/{name}")
    return found


def test_lanes_that_pass_are_accepted_together(workspace):
    text = workspace.interlock("answer")
    assert text.startswith("accept  pass  toy+follower-")
    said = yaml.safe_load(file_of(workspace).read_text())
    assert [lane["state"] for lane in said["lanes"]] == ["completed", "completed"]
    assert {"Mgr-Models-02": "Training (follower)"} in said["managers_used"]
    assert file_of(workspace, "decision.md").read_text().startswith("# Decision: accept\n")
    before = file_of(workspace).read_bytes()
    workspace.interlock("answer", "toy", "follower")
    assert file_of(workspace).read_bytes() == before


def test_the_exit_code_is_the_folded_verdict_and_lies_are_told(make_workspace):
    """A lane that DVC ran and that fails, with a report that says it passes."""
    piped = make_workspace()
    workspace = Here(piped.path)
    workspace.edit("params.yaml", "lane_overrides: {}", "lane_overrides: {toy: {lane: {model: {value: 0.3}}}}")
    piped.run("dvc", "repro", "--quiet", "toy-decide")
    report = workspace.path / "artifacts/lanes/toy/decide/lane_report.yaml"
    text = report.read_text()
    report.unlink()
    report.write_text(text.replace("verdict: fail", "verdict: pass"))
    found = json.loads(workspace.said("answer", "toy", "--json", code=3)[0])
    assert (found["verdict"], found["lanes"][0]["verdict"]) == ("fail", "fail")
    assert any("its lane report says verdict pass, its judgement says fail" in remark for remark in found["remarks"])


def test_a_lane_that_is_not_finished_blocks_and_is_told(workspace):
    shutil.rmtree(workspace.path / "artifacts/lanes/follower/decide")
    text = workspace.interlock("answer", code=5)
    assert text.startswith("repair  blocked")
    assert "decide is not up to date" in text
    assert "missing" in text


def test_what_is_asked_wrongly_is_refused(workspace):
    assert "params.yaml has toy, follower" in workspace.interlock("answer", "nobody", code=2)
    assert "a lane answers once" in workspace.interlock("answer", "toy", "toy", code=2)
    assert "there is no such job" in workspace.interlock("answer", "--job", "JOB-9", code=2)
    assert "two kinds of jobs" in workspace.interlock("answer", "toy", "--job", "JOB-9", code=2)


CARD = """\
id: {name}
role: director
lane: Models
model_type: toy
task: estimate a mean
hyperparameters:
  steps: {steps}
expected_artifacts:
  - path: "artifacts/runs/{{RUN_ID}}/models/eval_report.md"
acceptance:
  - check: "accuracy>={accuracy}"
"""


def test_job_cards_are_answered_together_and_what_they_lack_is_told(make_workspace):
    processes = make_workspace()
    workspace = Here(processes.path)
    for name, steps, accuracy in (("jc-1", 20, 0.8), ("jc-2", 21, 0.99)):
        (workspace.path / f"{name}.yaml").write_text(CARD.format(name=name, steps=steps, accuracy=accuracy))
    processes.interlock("job", "submit", "jc-1.yaml")  # the director starts its managers as such
    processes.interlock("job", "submit", "jc-2.yaml", code=3)
    found = json.loads(workspace.said("answer", "--job", "jc-1", "--job", "jc-2", "--json", code=3)[0])
    first, second = found["lanes"]
    assert (first["lane"], first["verdict"], first["state"]) == ("jc-1", "pass", "completed")
    assert (second["lane"], second["verdict"]) == ("jc-2", "fail")
    assert found["verdict"] == "fail"
    assert first["actuals"]["duration_mins"] > 0

    (workspace.path / f"artifacts/runs/{first['run_id']}/models/eval_report.md").unlink()
    found = json.loads(workspace.said("answer", "--job", "jc-1", "--json", code=5)[0])
    assert (found["verdict"], found["lanes"][0]["state"]) == ("blocked", "failed")
    assert any("eval_report.md, which its card asks for" in remark for remark in found["remarks"])

    for judged in (workspace.path / "artifacts/work").glob("toy-*/judge/judgement.json"):
        text = judged.read_text()
        judged.unlink()
        judged.write_text(text.replace('"fail"', '"pass"'))
    found = json.loads(workspace.said("answer", "--job", "jc-2", "--json", code=5)[0])
    assert found["lanes"][0]["state"] == "missing"
    assert any("jc-2: judgement.json: " in remark for remark in found["remarks"])
