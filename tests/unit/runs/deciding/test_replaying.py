"""The same decision again: same bytes, or what differs, or why it cannot be made."""

import json

import pytest

from interlock.contracts.decision import Action
from interlock.decisions import language
from interlock.decisions.answers import Answers, Live
from interlock.decisions.person import PersonsChoice
from interlock.errors import NotRecordedError, ProvenanceError
from interlock.provenance.canonical import pretty_json
from interlock.registry.layout import run_folder
from interlock.registry.queries import find_run
from interlock.runs.deciding import deciding
from interlock.runs.deciding.deciding import ask
from interlock.runs.deciding.recording import record
from interlock.runs.deciding.replaying import replay
from interlock.runs.deciding.standing import decision_of

WHEN = "2026-03-01T10:00:00+00:00"


def again(home, run):
    return replay(home, *decision_of(home, find_run(home, run)))


@pytest.fixture
def folder(home, run, with_model, model):
    return record(home, ask(home, run, with_model), made_at=WHEN).folder


def test_that_of_the_pipeline_is_made_again_from_its_record(home, run):
    found = again(home, run)
    assert (found.same, found.answers) == (True, 0)


def test_that_of_a_model_is_made_again_without_asking(home, run, folder, model):
    found = again(home, run)
    assert (found.same, found.answers, model.asked) == (True, 1, 1)


def test_that_of_a_person_is_made_again(home, run, configured):
    values = {"lane.optimizer.lr": 0.25}
    choice = PersonsChoice(by="Ada", action=Action.RETRAIN, reason="a smaller step", overrides=values)
    record(home, ask(home, run, configured, choice=choice), made_at=WHEN)
    assert again(home, run).same


def test_a_changed_decision_names_what_differs(home, run, folder):
    path = folder / "decision.json"
    values = json.loads(path.read_text())
    path.write_text(pretty_json({**values, "confidence": "high"}))
    found = again(home, run)
    assert not found.same
    assert found.differences == ('confidence: recorded "high", made again "medium"',)
    path.write_text(json.dumps(values))
    assert again(home, run).differences == ("layout",)


def test_an_answer_that_is_gone_or_changed_is_an_error_that_names_it(home, run, folder):
    (path,) = run_folder(home, run).glob("answers/*/001.json")
    whole = path.read_text()
    path.write_text(whole.replace('"medium"', '"high"'))
    with pytest.raises(ProvenanceError, match="cites"):
        again(home, run)
    path.unlink()
    with pytest.raises(ProvenanceError, match="cites"):
        again(home, run)


def test_other_words_of_a_later_version_are_no_difference_but_told(home, run, folder, monkeypatch):
    real = language.prompt

    def reworded(*known):
        shown = real(*known)
        first = shown.messages[0].model_copy(update={"content": f"{shown.messages[0].content} Be brief."})
        return type(shown)(**{**vars(shown), "messages": (first, *shown.messages[1:])})

    monkeypatch.setattr(language, "prompt", reworded)
    with pytest.raises(NotRecordedError, match="other words"):
        again(home, run)


@pytest.mark.parametrize(("name", "said"), [("context.json", "no context"), ("policy.json", "which policy")])
def test_a_missing_part_is_named(home, run, folder, name, said):
    (folder / name).unlink()
    with pytest.raises(ProvenanceError, match=said):
        again(home, run)


def test_a_policy_of_another_version_is_named(home, run, folder):
    (folder / "policy.json").write_text('{"agents": {}}')
    with pytest.raises(ProvenanceError, match="llm"):
        again(home, run)


def test_each_decision_rests_on_the_answer_that_it_cites(home, run, with_model, model, folder, monkeypatch):
    first = decision_of(home, find_run(home, run))[1]
    other = type(model)({**model.proposal, "confidence": "low"})
    answers = Answers(run_folder(home, run) / "answers")
    monkeypatch.setattr(deciding, "asker_of", lambda *known: Live(answers, other))
    record(home, ask(home, run, with_model), made_at="2026-03-01T11:00:00+00:00")
    row = find_run(home, run)
    second = decision_of(home, row)[1]
    assert (first.confidence, second.confidence) == ("medium", "low")
    for decision in (first, second):
        found = replay(home, *decision_of(home, row, decision.decision_id))
        assert found.same
        assert found.decision == decision
