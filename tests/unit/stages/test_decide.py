"""Decide believes no judgement that is not one, asks nobody, and gives the same bytes for the same run."""

import hashlib
import json
import re
from pathlib import Path

import pytest
import yaml
from judged_lanes import ROOT, judged_lane
from pydantic import TypeAdapter

from interlock.contracts.agent import Agent
from interlock.contracts.answer import Answer, Call, Outcome, Usage
from interlock.contracts.decision import Decision, DecisionContext
from interlock.contracts.llm import LanguageModels
from interlock.decisions import policies
from interlock.decisions.answers import Answers
from interlock.decisions.context import lane_context
from interlock.decisions.settings import settings_of
from interlock.errors import StageError
from interlock.provenance.canonical import canonical_json
from interlock.provenance.closure import import_closure
from interlock.provenance.digest import sha256_file
from interlock.stages import decide
from interlock.stages.progress import Silent

FAILED = "lane.gates.accuracy.target=0.95"
WITH_MODELS = (FAILED, "llm=fallback", "llm.order=[sonnet,gemini,local]")


@pytest.fixture
def judged(tmp_path, monkeypatch):
    lane = judged_lane(tmp_path)
    monkeypatch.setenv("INTERLOCK_HOME", str(lane.home))
    return lane.place


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """A failed run whose director asks language models."""
    lane = judged_lane(tmp_path, *WITH_MODELS)
    monkeypatch.setenv("INTERLOCK_HOME", str(lane.home))
    return lane


def rewrite(place, text):
    """Write the judgement, and its digest into the record, so that only its content is wrong."""
    folder = place.folder / "judge"
    (folder / "judgement.json").write_text(text)
    for name in ("record.json", "outputs.json"):
        said = json.loads((folder / name).read_text())
        found = {"sha256": sha256_file(folder / "judgement.json"), "size_bytes": len(text)}
        said["artifacts"]["judgement.json"] = found
        (folder / name).write_text(json.dumps(said))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda text: text[:-20], "Invalid JSON"),
        (lambda text: text.replace('"verdict": "pass"', '"verdict": "fail"', 1), "the rows fold to fail"),
        (lambda text: "{}", "Field required"),
    ],
)
def test_a_judgement_that_is_not_valid_is_named(judged, change, problem):
    path = judged.folder / "judge" / "judgement.json"
    rewrite(judged, change(path.read_text()))
    with pytest.raises(StageError, match="the judgement is not valid") as refused:
        decide.run(judged, progress=Silent())
    assert problem in refused.value.message
    assert refused.value.path == path
    assert refused.value.hint == f"delete {path.parent} and run dvc repro"
    assert not (judged.folder / "decide" / "record.json").exists()


def outputs(place):
    """What decide writes, but for the two files that state durations."""
    folder = place.folder / "decide"
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if path.name not in ("observations.json", "lane_report.yaml", "record.json", "outputs.json")
    }


def test_a_valid_one_is_decided_about(judged):
    record = decide.run(judged, progress=Silent())
    assert record.facts["action"] == "accept"
    assert set(record.artifacts) == {"context.json", "settings.json", "decision.json", "decision.md"}
    folder = judged.folder / "decide"
    context = DecisionContext.model_validate_json((folder / "context.json").read_bytes())
    decision = Decision.model_validate_json((folder / "decision.json").read_bytes())
    assert (decision.policy, decision.agent, decision.run_id) == ("rules", "dir_models", context.run_id)
    assert (folder / "settings.json").read_text() == settings_of(context).text
    assert yaml.safe_load((folder / "lane_report.yaml").read_text())["actuals"]["tokens"] == 0


def test_it_gives_the_same_bytes_again(judged):
    decide.run(judged, progress=Silent())
    first = outputs(judged)
    assert len(first) == 4
    decide.run(judged, progress=Silent())
    assert outputs(judged) == first
    assert not re.search(rb"20[0-9]{2}-[0-9]{2}-[0-9]{2}T", b"".join(first.values()))


def test_facts_of_prepare_do_not_ask_for_its_data(judged):
    (judged.folder / "prepare" / "numbers.json").unlink()
    assert decide.run(judged, progress=Silent()).facts["action"] == "accept"


@pytest.mark.parametrize("mode", ["auto", "replay", "live"])
def test_an_answer_that_nobody_recorded_is_an_error_with_a_way_out(asked, mode):
    text = asked.place.params.read_text()
    assert "mode: auto" in text
    asked.place.params.write_text(text.replace("mode: auto", f"mode: {mode}"))
    with pytest.raises(StageError, match="would ask anthropic/claude") as refused:
        decide.run(asked.place, progress=Silent())
    run_id = asked.here.judgement.run_id
    assert "no answer to this question is recorded" in refused.value.message
    assert re.fullmatch(rf".*/runs/{run_id}/answers/[0-9a-f]{{64}}", str(refused.value.path))
    assert f"interlock decide {run_id}" in refused.value.hint
    assert not (asked.place.folder / "decide" / "record.json").exists()


class Recording:
    """Answers every question with what it is told, and records it."""

    def __init__(self, folder, *given):
        self.answers, self.given = Answers(folder), list(given)

    def ask(self, question):
        said = self.given.pop(0)
        is_failure = isinstance(said, Outcome)
        usage = Usage(calls=1, tokens_in=900, tokens_out=100, usd=0.0042, seconds=1.5)
        answer = Answer(
            key=question.key, agent=question.agent, model=question.model_id, asked_at="2026-01-01T00:00:00+00:00",
            outcome=said if is_failure else Outcome.ANSWERED, told="it took too long" if is_failure else "",
            proposal=None if is_failure else said,
            calls=(Call(outcome=said if is_failure else Outcome.ANSWERED, usage=usage),),
        )  # fmt: skip
        return self.answers.record(question, answer)


def record_answers(lane, *given):
    """Ask as `interlock decide` does: from the archive."""
    context = lane_context(lane.archived, lane.config)
    agents = TypeAdapter(dict[str, Agent]).validate_json(canonical_json(lane.config["agents"]))
    llm = LanguageModels.model_validate_json(canonical_json(lane.config["llm"]))
    asker = Recording(lane.home / "runs" / context.run_id / "answers", *given)
    return policies.build(context.agent, agents, llm, asker).decide(context)


PROPOSAL = {
    "action": "retrain",
    "reasons": [{"text": "{gate.accuracy.reason} , so it must learn faster", "evidence": ["gate.accuracy.reason"]}],
    "risks": [],
    "confidence": "medium",
    "proposed_overrides": [{"key": "lane.optimizer.lr", "value": 0.75}],
}


def test_recorded_answers_are_replayed_and_their_spend_is_reported(asked):
    live = record_answers(asked, Outcome.TIMEOUT, PROPOSAL)
    decide.run(asked.place, progress=Silent())
    folder = asked.place.folder / "decide"
    decision = Decision.model_validate_json((folder / "decision.json").read_bytes())
    assert decision == live
    assert (decision.action, decision.policy, decision.proposed_overrides) == (
        "retrain", "llm", {"lane.optimizer.lr": 0.75}
    )  # fmt: skip
    assert [step.outcome for step in decision.trail] == [Outcome.TIMEOUT, Outcome.ANSWERED]
    actuals = yaml.safe_load((folder / "lane_report.yaml").read_text())["actuals"]
    assert (actuals["tokens"], actuals["cost_usd"]) == (2000, 0.0084)
    page = (folder / "decision.md").read_text()
    assert "| `lane.optimizer.lr` | 0.5 | 0.75 |" in page
    assert "it did not answer in time: it took too long" in page


def test_when_all_models_failed_the_rules_decide_and_say_so(asked):
    live = record_answers(asked, Outcome.TIMEOUT, Outcome.REFUSED, {**PROPOSAL, "action": "accept"})
    decide.run(asked.place, progress=Silent())
    decision = Decision.model_validate_json((asked.place.folder / "decide" / "decision.json").read_bytes())
    assert decision == live
    assert (decision.policy, decision.action in ("escalate", "retrain")) == ("rules", True)
    assert [step.outcome for step in decision.trail] == [Outcome.TIMEOUT, Outcome.REFUSED, Outcome.SCHEMA]


def test_a_changed_answer_is_no_answer(asked):
    record_answers(asked, PROPOSAL)
    [path] = (asked.home / "runs" / asked.here.judgement.run_id / "answers").glob("*/001.json")
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    path.chmod(0o644)
    path.write_text(path.read_text().replace('"retrain"', '"accept"'))
    assert hashlib.sha256(path.read_bytes()).hexdigest() != before
    with pytest.raises(StageError, match="no answer to this question is recorded"):
        decide.run(asked.place, progress=Silent())


def closure(*stages):
    files = import_closure([str(ROOT / "pipelines" / f"{stage}.py") for stage in stages], source_root=ROOT / "src")
    return {path.relative_to(ROOT / "src").as_posix() for path in files if path.is_relative_to(ROOT / "src")}


def test_the_stage_can_ask_nobody_and_no_other_stage_decides():
    decides = closure("decide")
    assert "interlock/decisions/prompt.py" in decides
    assert not [name for name in decides if name.startswith("interlock/decisions/llm")]
    assert not [name for name in decides if name in ("interlock/decisions/archived.py", "interlock/registry/index.py")]
    others = closure("prepare", "train", "evaluate", "export", "judge")
    assert not [name for name in others if name.startswith("interlock/decisions/")]


def test_no_vendor_is_named_in_what_the_stage_imports():
    vendors = re.compile(
        r"^\s*(?:import|from)\s+(instructor|openai|anthropic|google|httpx|torch|sqlite3)\b", re.MULTILINE
    )
    for name in closure("decide"):
        if name.startswith("interlock/decisions/"):
            assert not vendors.search(Path(ROOT / "src" / name).read_text())
