"""Recorded answers: found again, never changed, never believed when changed, and never lost to another writer."""

import hashlib
import json
import multiprocessing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from llm_questions import GOOD, question
from llm_stand_ins import MODEL

from interlock.contracts.answer import Answer, Call, Outcome, Usage
from interlock.contracts.llm import Model
from interlock.decisions.answers import Answers, Auto, Live, Replaying, answer_bytes, given_by
from interlock.errors import ProvenanceError
from interlock.provenance.canonical import sha256_json

ASKED = question(Model(provider="anthropic", model=MODEL, context_tokens=2000))
OTHER = question(Model(provider="google", model=MODEL, context_tokens=2000))


def _answer(asked=ASKED, outcome=Outcome.ANSWERED, **changes):
    proposal = GOOD if outcome is Outcome.ANSWERED else None
    call = Call(outcome=outcome, usage=Usage(calls=1, tokens_in=7))
    fields = {"proposal": proposal, "calls": (call,), "asked_at": "2026-11-21T12:00:00+00:00"} | changes
    return Answer(key=asked.key, agent=asked.agent, model=asked.model_id, outcome=outcome, **fields)


class Voice:
    """Somebody who answers, with these outcomes one after the other."""

    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)

    def ask(self, asked):
        return given_by(_answer(asked, self.outcomes.pop(0)))


@pytest.fixture
def answers(tmp_path):
    return Answers(tmp_path / "answers")


def test_what_was_recorded_is_found_with_its_digest(answers):
    given_ = answers.record(ASKED, _answer())
    path = answers.folder / ASKED.key / "001.json"
    assert given_.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert answers.recorded(ASKED.key) == (given_,)
    assert answers.best(ASKED.key) == given_
    assert answers.recorded(OTHER.key) == ()


def test_anybody_can_read_what_was_asked(answers):
    answers.record(ASKED, _answer())
    asked = json.loads((answers.folder / ASKED.key / "question.json").read_bytes())
    assert sha256_json(asked) == ASKED.key
    assert [message["content"] for message in asked["messages"]] == [message.content for message in ASKED.messages]
    assert asked["model"] == f"anthropic/{MODEL}"
    assert "proposed_overrides" in asked["schema"]["properties"]


def test_the_first_proposal_is_the_best_and_a_failure_only_without_one(answers):
    failed = answers.record(ASKED, _answer(outcome=Outcome.TIMEOUT))
    assert answers.best(ASKED.key) == failed
    first = answers.record(ASKED, _answer())
    answers.record(ASKED, _answer(told="again"))
    assert answers.best(ASKED.key) == first
    names = sorted(path.name for path in (answers.folder / ASKED.key).iterdir())
    assert names == ["001.json", "002.json", "003.json", "question.json"]


def test_numbers_above_a_thousand_stay_in_order(answers):
    answers.record(ASKED, _answer(outcome=Outcome.EMPTY))
    (answers.folder / ASKED.key / "001.json").rename(answers.folder / ASKED.key / "999.json")
    answers.record(ASKED, _answer())
    assert [item.answer.outcome for item in answers.recorded(ASKED.key)] == ["empty", "answered"]


def test_an_answer_to_another_question_is_not_recorded(answers):
    with pytest.raises(ProvenanceError, match="another question"):
        answers.record(OTHER, _answer())
    assert not answers.folder.exists()


@pytest.mark.parametrize("key", ["", "../../etc", "a" * 63, "A" * 64, f"{'a' * 64}\n"])
def test_keys_stay_inside_the_folder(answers, key):
    with pytest.raises(ProvenanceError, match="no key"):
        answers.recorded(key)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data())
def test_no_changed_byte_is_believed(answers, data):
    """Any byte of any file: the answer is refused by name, or it is byte for byte what was written."""
    given_ = answers.best(ASKED.key) or answers.record(ASKED, _answer())
    path = answers.folder / ASKED.key / data.draw(st.sampled_from(["001.json", "question.json"]))
    written = path.read_bytes()
    place = data.draw(st.integers(0, len(written) - 1))
    value = data.draw(st.integers(0, 255).filter(lambda byte: byte != written[place]))
    path.write_bytes(written[:place] + bytes([value]) + written[place + 1 :])
    try:
        if path.name == "question.json" and _same_json(path, written):
            assert answers.recorded(ASKED.key) == (given_,)
        else:
            # Another canonical answer to the same question is one that was not given: only its digest tells.
            with pytest.raises(ProvenanceError) as refused:
                Replaying(answers, {ASKED.key: given_.sha256}).ask(ASKED)
            assert ASKED.key in str(refused.value.path)
    finally:
        path.write_bytes(written)


def _same_json(path, written):
    """White space does not change a question."""
    try:
        return json.loads(path.read_bytes()) == json.loads(written)
    except ValueError:
        return False


def _truncate(path):
    path.write_bytes(path.read_bytes()[:-20])


def _another_key(path):
    path.write_bytes(answer_bytes(_answer(OTHER)))


def _another_model(path):
    path.write_bytes(answer_bytes(_answer().model_copy(update={"model": "google/other"})))


def _reformat(path):
    path.write_text(json.dumps(json.loads(path.read_text())))


def _more(path):
    path.write_text(json.dumps(json.loads(path.read_text()) | {"approved": True}))


def _huge(path):
    path.write_bytes(b" " * (9 << 20))


def _folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [_truncate, _another_key, _another_model, _reformat, _more, _huge, _folder])
def test_a_damaged_answer_is_an_error_that_names_the_file(answers, damage):
    answers.record(ASKED, _answer())
    path = answers.folder / ASKED.key / "001.json"
    damage(path)
    for asker in (Replaying(answers), Auto(answers, Voice(Outcome.ANSWERED))):
        with pytest.raises(ProvenanceError) as refused:
            asker.ask(ASKED)
        assert refused.value.path == path


def test_a_file_larger_than_any_answer_is_not_read(answers):
    answers.record(ASKED, _answer())
    _huge(answers.folder / ASKED.key / "001.json")
    with pytest.raises(ProvenanceError, match="is larger than any answer"):
        answers.recorded(ASKED.key)


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), _truncate, lambda path: path.write_text("[]")])
def test_an_answer_without_its_question_is_an_error(answers, damage):
    answers.record(ASKED, _answer())
    path = answers.folder / ASKED.key / "question.json"
    damage(path)
    with pytest.raises(ProvenanceError) as refused:
        answers.recorded(ASKED.key)
    assert refused.value.path == path


def test_leftovers_of_a_crash_are_no_answers(answers):
    answers.record(ASKED, _answer(outcome=Outcome.EMPTY))
    folder = answers.folder / ASKED.key
    (folder / ".answer.x1.part").write_bytes(answer_bytes(_answer())[:50])
    (folder / ".question.json.x2.part").write_bytes(b"{")
    assert [item.answer.outcome for item in answers.recorded(ASKED.key)] == [Outcome.EMPTY]


def test_a_crash_before_the_answer_leaves_a_question_that_is_asked_again(answers):
    answers.record(ASKED, _answer())
    (answers.folder / ASKED.key / "001.json").unlink()
    assert answers.best(ASKED.key) is None
    assert Auto(answers, Voice(Outcome.ANSWERED)).ask(ASKED).answer.proposal == GOOD


def _record_many(folder, count, all_together):
    for number in range(count):
        all_together.wait()
        Answers(folder).record(ASKED, _answer(told=f"{multiprocessing.current_process().name} {number}"))


def test_writers_at_the_same_time_get_numbers_of_their_own(answers):
    context = multiprocessing.get_context("fork")
    given_ = (answers.folder, 10, context.Barrier(4))
    writers = [context.Process(target=_record_many, args=given_) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 4
    assert len({item.answer.told for item in answers.recorded(ASKED.key)}) == 40


def test_a_replay_has_no_voice(answers):
    first, again = (Replaying(answers).ask(ASKED) for _ in range(2))
    assert first.answer.outcome is Outcome.NOT_RECORDED
    assert first == again, "no clock in it"
    recorded = answers.record(ASKED, _answer())
    assert Replaying(answers).ask(ASKED) == recorded
    assert Replaying(answers).ask(OTHER).answer.outcome is Outcome.NOT_RECORDED


def test_a_cited_answer_is_that_very_one(answers):
    first = answers.record(ASKED, _answer(outcome=Outcome.TIMEOUT))
    answers.record(ASKED, _answer())
    assert Replaying(answers, {ASKED.key: first.sha256}).ask(ASKED) == first
    assert Replaying(answers, {}).ask(ASKED).answer.outcome is Outcome.NOT_RECORDED


def test_a_cited_answer_that_is_gone_is_no_miss(answers):
    cited = {ASKED.key: answers.record(ASKED, _answer()).sha256}
    (answers.folder / ASKED.key / "001.json").unlink()
    with pytest.raises(ProvenanceError, match="no recorded answer has the digest") as refused:
        Replaying(answers, cited).ask(ASKED)
    assert ASKED.key in str(refused.value.path)


def test_auto_asks_once_and_then_remembers(answers):
    voice = Voice(Outcome.TIMEOUT, Outcome.ANSWERED)
    outcomes = [Auto(answers, voice).ask(ASKED).answer.outcome for _ in range(4)]
    assert outcomes == ["timeout", "answered", "answered", "answered"]
    assert voice.outcomes == []
    assert Replaying(answers).ask(ASKED).answer.outcome == "answered"


def test_live_asks_every_time_and_keeps_all(answers):
    live = Live(answers, Voice(Outcome.ANSWERED, Outcome.REFUSED))
    assert [live.ask(ASKED).answer.outcome for _ in range(2)] == ["answered", "refused"]
    assert len(answers.recorded(ASKED.key)) == 2
