"""What language models cost a run: from the answers' files, once, and again from them when the log is lost."""

import shutil

import pytest
from lane_folders import RUN, LaneFolder

from interlock.contracts.answer import Answer, Call, Outcome, Usage
from interlock.errors import RegistryError
from interlock.provenance.canonical import pretty_json, sha256_json
from interlock.registry.admission import _answer_place
from interlock.registry.archive import read_card
from interlock.registry.decided import spent
from interlock.registry.derive import news, rebuild
from interlock.registry.events import Proposal, events_path, read_events
from interlock.registry.kept import kept_proposals
from interlock.registry.layout import run_folder
from interlock.registry.spending import recorded_answers, spend, spent_proposals
from interlock.registry.verify import verify_run
from interlock.runs.sync import sync_lane

KEY = "ab" * 32


@pytest.fixture
def home(honest_home, tmp_path):
    shutil.copytree(honest_home[0], tmp_path / "home", symlinks=True)
    return tmp_path / "home"


@pytest.fixture
def run(honest_home):
    return honest_home[1]


def answer(home, run, number=1, *, key=KEY, calls=1, usd=0.25, at="2026-03-01T10:00:00+00:00", text=None):
    usage = Usage(calls=1, tokens_in=100, tokens_out=10, usd=usd, seconds=1.0)
    found = Answer(
        key=key, agent="dir_models", model="openai_compatible/m", outcome=Outcome.REFUSED, told="no",
        calls=(Call(outcome=Outcome.REFUSED, usage=usage),) * calls, asked_at=at,
    )  # fmt: skip
    path = run_folder(home, run) / "answers" / key / f"{number:03d}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(pretty_json(found) if text is None else text)
    return path


def told(home, run):
    return [event.body["usd"] for event, _ in read_events(home) if event.kind == "spent" and event.subject == run]


def write(home, run):
    return news(home, [*spent_proposals(home, run), *kept_proposals(home, run)])


def broken(home, run):
    return [(link.section, link.detail) for link in verify_run(home, run).links if link.state == "broken"]


def test_each_answer_is_told_once_however_often_it_is_looked_at(home, run):
    answer(home, run, 1)
    answer(home, run, 2, calls=2, usd=0.5, at="2026-03-02T10:00:00+00:00")
    answer(home, run, 3, calls=0, at="2026-03-03T10:00:00+00:00")
    assert write(home, run) == 3
    assert write(home, run) == 0
    assert told(home, run) == [0.25, 1.0]
    (row,) = spent(home, run)
    assert (row.answers, row.calls, row.tokens_in, row.usd) == (2, 3, 300, 1.25)
    assert spend(run_folder(home, run)) == Usage(calls=3, tokens_in=300, tokens_out=30, usd=1.25, seconds=3.0)
    assert broken(home, run) == []


def test_a_lost_log_is_made_again_with_what_was_spent(home, run):
    answer(home, run)
    write(home, run)
    before = spent(home, run)
    shutil.rmtree(events_path(home).parent)
    rebuild(home)
    assert told(home, run) == [0.25]
    assert spent(home, run) == before
    assert broken(home, run) == []


def test_the_same_answer_in_two_logs_was_paid_for_once(home, run):
    answer(home, run)
    (proposal,) = spent_proposals(home, run)
    other = Proposal(kind="spent", subject=run, body={**proposal.body, "seconds": 2.0})
    news(home, [proposal, other])
    assert [(row.usd, row.seconds) for row in spent(home, run)] == [(0.25, 1.0)], "as it was said first"


@pytest.mark.parametrize("text", ["", "{}", "[1]", "\ufeff{}"])
def test_a_file_that_is_no_answer_is_refused_by_name(home, run, text):
    path = answer(home, run, text=text)
    with pytest.raises(RegistryError) as refused:
        recorded_answers(run_folder(home, run))
    assert refused.value.path == path
    assert recorded_answers(run_folder(home, run), skip_damaged=True) == ()
    news(home, kept_proposals(home, run))
    assert ("answers" in {section for section, _ in broken(home, run)}) is True


def test_verification_finds_what_log_and_answers_say_differently(home, run):
    path = answer(home, run)
    news(home, kept_proposals(home, run))
    assert ("answers", "no event says what it cost") in broken(home, run)
    write(home, run)
    assert broken(home, run) == []
    path.write_text(path.read_text().replace("0.25", "0.05"))
    first = next(detail for section, detail in broken(home, run) if section == "answers")
    assert first == "it is not the answer that the log recorded"
    assert {section for section, _ in broken(home, run)} == {"answers"}
    path.unlink()
    assert ("answers", "the archive has no such answer") in broken(home, run)
    answer(home, run, key="cd" * 32).rename(run_folder(home, run) / "answers" / KEY / "001.json")
    assert any("it answers the question" in detail for _, detail in broken(home, run))


def test_a_card_states_what_was_spent_before_it_was_written(tmp_path):
    answer(tmp_path / "home", RUN, usd=0.5)
    LaneFolder(tmp_path / "lane").finish(until="judge")
    sync_lane(tmp_path / "lane", workspace=tmp_path, home=tmp_path / "home")
    answer(tmp_path / "home", RUN, 2, usd=7.0, at="2026-04-01T10:00:00+00:00")
    write(tmp_path / "home", RUN)
    spending = read_card(tmp_path / "home", RUN).observations.spend
    assert (spending.tokens, spending.cost_usd) == (110, 0.5)
    found = [link.name for link in verify_run(tmp_path / "home", RUN).links if "run card: obs" in link.name]
    assert found == [], "later answers change no card"
    path = run_folder(tmp_path / "home", RUN) / "answers" / KEY / "001.json"
    path.write_text(path.read_text().replace("0.5", "0.4"))
    found = [link.name for link in verify_run(tmp_path / "home", RUN).links if "run card: obs" in link.name]
    assert found == ["stage records -> run card: observations.spend"]


def test_a_question_proves_itself(home, run):
    asked = {"model": "openai_compatible/m"}
    path = answer(home, run, key=sha256_json(asked)).with_name("question.json")
    path.write_text(pretty_json(asked))
    write(home, run)
    assert broken(home, run) == []
    path.write_text(pretty_json({"model": "another/m"}))
    assert any("its folder says" in detail for _, detail in broken(home, run))


def test_an_answer_of_another_home_gets_the_next_free_number(home, run):
    first = answer(home, run, 1)
    folder, name = run_folder(home, run), f"answers/{KEY}/001.json"
    import hashlib

    own = hashlib.sha256(first.read_bytes()).hexdigest()
    assert _answer_place(folder, name, own) == name
    assert _answer_place(folder, name, "0" * 64) == f"answers/{KEY}/002.json"
    second = answer(home, run, 2, usd=0.75)
    theirs = hashlib.sha256(second.read_bytes()).hexdigest()
    assert _answer_place(folder, name, theirs) == f"answers/{KEY}/002.json", "it is here already"
    assert _answer_place(folder, f"answers/{KEY}/question.json", "0" * 64) == f"answers/{KEY}/question.json"
    assert _answer_place(folder, f"answers/{'cd' * 32}/001.json", "0" * 64) == f"answers/{'cd' * 32}/001.json"


def test_a_decision_by_hand_stays_the_newest_until_the_pipeline_comes_to_another(home, run):
    def said(action, decision, **more):
        body = {"judgement_id": "1" * 64, "lane": "toy", "sha256": decision * 64, "decision_id": decision * 64}
        return Proposal(kind="decided", subject=run, body={**body, "action": action, **more})

    def newest():
        return [event.body["action"] for event, _ in read_events(home) if event.kind == "decided"][-1]

    news(home, [said("retrain", "a")])
    assert news(home, [said("reject", "b", source="command")]) == 1
    assert news(home, [said("retrain", "a")]) == 0, "a sync finds nothing new in the pipeline"
    assert newest() == "reject"
    assert news(home, [said("escalate", "c")]) == 1
    assert newest() == "escalate"
    assert news(home, [said("reject", "b", source="command")]) == 0
