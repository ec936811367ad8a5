"""The answer to a job: believed from judgements alone, folded, and told where something is missing or contradicts."""

import json
import os

import pytest
import yaml
from decision_worlds import Scripted, agent, models, proposal

from interlock.contracts.decision import Action, Decision, DecisionContext
from interlock.contracts.experiment import Budget
from interlock.contracts.job_answer import JobAnswer
from interlock.contracts.llm import NoModel
from interlock.contracts.stage import Artifact
from interlock.contracts.verdict import Cause, Verdict
from interlock.decisions import journal
from interlock.decisions.evidence import evidence_faults
from interlock.errors import ConfigError, UsageError
from interlock.provenance.canonical import pretty_json
from interlock.provenance.digest import sha256_file
from interlock.provenance.environment import environment_digest
from interlock.runs.answering.answering import answer, architect, job_name, write
from interlock.runs.answering.lanes import LaneFound, card_lane, dvc_lane
from interlock.runs.deciding.configured import Configured
from interlock.stages.place import load_record

AGENTS = {"architect": agent(tier="architect"), "dir_models": agent()}
AT = "2026-03-02T12:00:00+00:00"


def configured(llm=None, agents=AGENTS):
    return Configured(
        agents=agents, llm=llm or NoModel(kind="none"), prices={}, budget=Budget(compute_hours_max=1.0),
        max_attempts=2, search_space={},
    )  # fmt: skip


def found(lanes, *names):
    environment = environment_digest(lanes.workspace)
    return [dvc_lane(lanes.workspace, name, environment=environment) for name in names]


def edit(path, change):
    os.chmod(path, 0o644)
    path.write_text(change(path.read_text()))


def test_lanes_are_read_from_their_judgements(lanes):
    good, bad, none = found(lanes, "good", "bad", "never")
    assert (good.verdict, bad.verdict, none.verdict) == (Verdict.PASS, Verdict.FAIL, Verdict.BLOCKED)
    assert good.problem == bad.problem == ""
    assert none.problem.startswith("prepare is not up to date")
    assert (none.row().cause, none.row().observed) == (Cause.MISSING, None)
    assert "accuracy" in bad.row().reason


def test_a_lane_report_that_lies_is_not_believed_and_told(lanes):
    report = lanes.folder("bad") / "decide" / "lane_report.yaml"
    edit(report, lambda text: text.replace("verdict: fail", "verdict: pass").replace("state: ", "state: completed #"))
    (bad,) = found(lanes, "bad")
    answered = answer(lanes.home, [bad], configured())
    assert (bad.verdict, answered.decision.verdict) == (Verdict.FAIL, Verdict.FAIL)
    assert answered.answer.lanes[0].state != "completed"
    told = "\n".join(answered.answer.remarks)
    assert "bad: its lane report says verdict pass, its judgement says fail, and that counts" in told
    assert "bad: its lane report was changed after it was written" in told
    assert "its director decided" in told


@pytest.mark.parametrize(("stage", "file"), [("judge", "judgement.json"), ("decide", "decision.json")])
def test_a_changed_record_makes_the_lane_missing(lanes, stage, file):
    edit(lanes.folder("bad") / stage / file, lambda text: text.replace("fail", "pass"))
    (bad,) = found(lanes, "bad")
    assert bad.verdict is Verdict.BLOCKED
    assert bad.judgement is None
    assert bad.problem


def test_a_decision_with_another_verdict_than_its_judgement_makes_the_lane_missing(lanes):
    """Also where the stage's own record was made to fit."""
    place = lanes.folder("bad") / "decide"
    values = json.loads((place / "decision.json").read_text())
    text = pretty_json({**values, "verdict": "pass", "action": "accept", "proposed_overrides": {}})
    edit(place / "decision.json", lambda before: text)
    record = load_record(place)
    said = Artifact(sha256=sha256_file(place / "decision.json"), size_bytes=len(text.encode()))
    record = record.model_copy(update={"artifacts": {**record.artifacts, "decision.json": said}})
    edit(place / "record.json", lambda before: pretty_json(record))
    edit(place / "outputs.json", lambda before: pretty_json(record.outputs()))
    (bad,) = found(lanes, "bad")
    assert bad.problem == "the decision says pass, the judgement fail; run dvc repro"
    assert bad.verdict is Verdict.BLOCKED


def test_a_missing_or_broken_lane_report_says_so_and_costs_nothing(lanes):
    path = lanes.folder("good") / "decide" / "lane_report.yaml"
    edit(path, lambda text: "[")
    (broken,) = found(lanes, "good")
    assert broken.verdict is Verdict.PASS
    assert "good: its lane report cannot be read, so nobody says what it took" in broken.remarks
    said = answer(lanes.home, [broken], configured()).answer
    assert (said.lanes[0].actuals, said.actuals.duration_mins) == (None, 0.0)
    assert said.lanes[0].acceptance_results["accuracy"] == 0.9


@pytest.mark.parametrize(
    ("names", "verdict", "action"),
    [
        (("good",), Verdict.PASS, Action.ACCEPT),
        (("good", "bad"), Verdict.FAIL, Action.RETRAIN),
        (("good", "never"), Verdict.BLOCKED, Action.REPAIR),
        (("bad", "never"), Verdict.FAIL, Action.RETRAIN),
    ],
)
def test_the_architect_decides_upon_all_of_them(lanes, names, verdict, action):
    decision = answer(lanes.home, found(lanes, *names), configured()).decision
    assert (decision.verdict, decision.action) == (verdict, action)
    assert (decision.kind, decision.agent, decision.run_id, decision.lane) == ("job", "architect", "", "")


def test_the_answer_sums_up_and_names_every_lane(lanes):
    answered = answer(lanes.home, found(lanes, "good", "bad", "never"), configured())
    said = answered.answer
    assert (said.lanes[0].state, said.lanes[2].state) == ("completed", "missing")
    assert said.lanes[0].acceptance_results["accuracy"] == 0.9
    took = [lane.report.actuals for lane in answered.lanes if lane.report]
    assert said.actuals.duration_mins == round(sum(item.duration_mins for item in took), 2)
    assert {"Mgr-Models-02": "Training (good)"} in said.managers_used
    assert any(remark.startswith("never: prepare is not up to date") for remark in said.remarks)


def test_what_is_written_is_complete_proves_itself_and_is_the_same_again(lanes):
    answered = answer(lanes.home, found(lanes, "good", "bad"), configured())
    folder = write(lanes.home, answered, made_at=AT)
    kept = folder / "decisions" / answered.decision.decision_id
    again = answer(lanes.home, found(lanes, "good", "bad"), configured())
    assert pretty_json(again.decision) == pretty_json(answered.decision)
    assert write(lanes.home, again, made_at="2027-01-01T00:00:00+00:00") == folder
    assert json.loads((kept / "when.json").read_text())["at"] == AT  # the first one stays
    assert Decision.model_validate_json((kept / "decision.json").read_bytes()) == answered.decision
    context = DecisionContext.model_validate_json((kept / "context.json").read_bytes())
    assert list(evidence_faults(context.evidence, lambda name: (kept / name).read_bytes())) == []
    values = yaml.safe_load((folder / "job_answer.yaml").read_text())
    assert JobAnswer.model_validate_json(json.dumps(values)) == answered.answer
    assert (folder / "decision.md").read_bytes() == (kept / "decision.md").read_bytes()
    assert journal.check(lanes.home, answered.decision).kind == "job"


def test_other_judgements_are_another_job(lanes):
    one, two = found(lanes, "good"), found(lanes, "bad")
    assert job_name(one) != job_name(two)
    assert job_name([*one, *two]).startswith("good+bad-")


def test_no_lane_and_a_lane_named_twice_are_refused(lanes):
    (good,) = found(lanes, "good")
    with pytest.raises(UsageError, match="at least one lane"):
        answer(lanes.home, [], configured())
    with pytest.raises(UsageError, match="a lane answers once"):
        answer(lanes.home, [good, good], configured())


def test_without_an_architect_nobody_answers(lanes):
    with pytest.raises(ConfigError, match="exactly one agent must be the architect"):
        architect({"dir_models": agent()})


def test_an_unknown_job_card_is_refused(lanes):
    with pytest.raises(UsageError, match="there is no such job"):
        card_lane(lanes.home, lanes.workspace, "JOB-1")


def test_a_model_may_ask_a_person_and_can_never_accept_a_fail(lanes):
    (bad,) = found(lanes, "bad")
    for said, policy in ((Action.ESCALATE, "llm"), (Action.ACCEPT, "rules")):
        asker = Scripted(proposal(said, cites=["gate.bad.reason"]))
        answered = answer(lanes.home, [bad], configured(models("one")), asker=asker)
        assert (answered.decision.verdict, answered.decision.policy) == (Verdict.FAIL, policy)
        assert answered.decision.action is not Action.ACCEPT
    assert answered.answer.actuals.tokens == answered.decision.usage.tokens > 0


def test_artifacts_that_a_card_asks_for_and_that_are_missing_block_a_pass(lanes):
    (good,) = found(lanes, "good")
    without = LaneFound(**vars(good) | {"missing_artifacts": ("artifacts/runs/x/models/report.pdf",)})
    assert (without.verdict, without.row().cause) == (Verdict.BLOCKED, Cause.MISSING)
    assert "report.pdf" in without.row().reason
    answered = answer(lanes.home, [without], configured())
    assert answered.answer.lanes[0].state == "failed"
    assert answered.decision.action is not Action.ACCEPT
