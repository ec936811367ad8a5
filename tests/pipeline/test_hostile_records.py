"""Recorded answers and decisions that somebody changed: never believed, never an accept of a non-pass, told by name."""

import contextlib
import json
import os
import random
import shutil
from dataclasses import replace

import pytest
from hostile_oracle import breaches
from hostile_path import KEY, KEY_ENV, base_configuration, models
from hostile_proposals import forward, good
from hostile_server import HostileServer, Said
from hostile_worlds import promoted
from toy_homes import toy_run

from interlock.contracts.answer import Answer
from interlock.contracts.decision import Decision
from interlock.decisions import policies
from interlock.decisions.answers import Answers, Replaying, answer_bytes
from interlock.errors import InterlockError, ProvenanceError
from interlock.provenance.canonical import pretty_json
from interlock.registry.decided import decisions
from interlock.registry.derive import rebuild
from interlock.registry.verify import verify_run
from interlock.runs.deciding.checking import check
from interlock.runs.deciding.deciding import ask, asker_of, context_of, ledger_of
from interlock.runs.deciding.recording import record
from interlock.runs.deciding.replaying import replay
from interlock.runs.deciding.standing import standing_judgement

WAY = ("openai_compatible", "tools")


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv(KEY_ENV, KEY)


class Decided:
    """A run that failed, and what a model decided about it: a retrain with another learning rate."""

    def __init__(self, home, run_id, configured):
        self.home, self.run_id, self.configured = home, run_id, configured

    @property
    def row(self):
        return next(row for row in decisions(self.home, self.run_id) if row.policy == "llm")

    @property
    def folder(self):
        return self.home / self.row.path

    @property
    def decision(self):
        return Decision.model_validate_json((self.folder / "decision.json").read_bytes())

    @property
    def answers(self):
        return self.home / "runs" / self.run_id / "answers"

    @property
    def answer(self):
        return next(self.answers.glob("*/001.json"))

    @property
    def context(self):
        judgement = standing_judgement(self.home, self.run_id)
        return context_of(self.home, self.run_id, self.configured, judgement=judgement)

    def forge(self, path=None, **changes):
        """Write another proposal into the recorded answer, in the very form in which answers are written."""
        path = path or self.answer
        answer = Answer.model_validate_json(path.read_bytes())
        proposal = answer.proposal | changes.pop("proposal", {})
        path.write_bytes(answer_bytes(answer.model_copy(update={"proposal": proposal, **changes})))

    def replay(self):
        return replay(self.home, self.row, self.decision)

    def stage_decides(self):
        """What the stage `decide` makes of the record: the best answer, cited by nobody."""
        llm = self.configured.llm.model_copy(update={"mode": "replay"})
        asker = Replaying(Answers(self.answers))
        return policies.build("dir_models", self.configured.agents, llm, asker).decide(self.context)

    def broken(self):
        """What `interlock verify` and `interlock why` find."""
        links = [link for link in verify_run(self.home, self.run_id).links if link.state == "broken"]
        return [str(link) for link in links] + list(check(self.home, self.row, self.decision).problems)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The home, made once."""
    folder = tmp_path_factory.mktemp("records")
    home = folder / "home"
    run_id = toy_run(home, folder / "work", "lane.model.value=0.2")
    os.environ[KEY_ENV] = KEY
    with HostileServer() as server:
        configured = replace(base_configuration(), llm=models(server.urls, WAY))
        decided = Decided(home, run_id, configured)
        wanted = {"action": "retrain", "proposed_overrides": [{"key": "lane.optimizer.lr", "value": 0.25}]}
        server.script([Said(payload=json.dumps(_good(decided.context) | wanted))])
        record(home, ask(home, run_id, configured), made_at="2999-01-01T00:00:00+00:00")
    del os.environ[KEY_ENV]
    assert decided.decision.action == "retrain"
    assert decided.broken() == []
    return decided


def _good(context):
    return good(random.Random(1), context)


@pytest.fixture
def decided(finished, tmp_path):
    """A copy of it."""
    shutil.copytree(finished.home, tmp_path / "home", symlinks=True)
    return Decided(tmp_path / "home", finished.run_id, finished.configured)


def test_untouched_it_replays(decided):
    assert decided.replay().same
    assert decided.stage_decides().action == "retrain"
    assert pretty_json(decided.replay().decision) == (decided.folder / "decision.json").read_text()


@pytest.mark.parametrize("action", ["accept", "go", "waive", "reject", "escalate"])
def test_another_action_in_a_recorded_answer(decided, action):
    decided.forge(proposal={"action": action, "proposed_overrides": []})
    with pytest.raises(ProvenanceError, match="no recorded answer has the digest that the decision cites"):
        decided.replay()
    made = decided.stage_decides()
    assert made.action in ("retrain", "reject", "escalate")
    assert (made.policy == "llm") == (action in ("reject", "escalate"))  # inside the set a forger chooses, as a model
    assert decided.broken() != []


@pytest.mark.parametrize(
    "change",
    [
        {"proposed_overrides": [{"key": "lane.optimizer.lr", "value": 99.0}]},
        {"proposed_overrides": [{"key": "lane.gates.accuracy.target", "value": 0.0}]},
        {"proposed_overrides": [{"key": "lane.optimizer.lr", "value": True}]},
        {"proposed_overrides": [{"key": "lane.optimizer.lr", "value": "0.3"}]},
        {"proposed_overrides": [{"key": "lane.optimizer.lr", "value": 0.3}] * 2},
        {"reasons": [{"text": "It reaches 99 of them.", "evidence": ["verdict"]}]},
        {"reasons": [{"text": "It passes.", "evidence": ["gate.invented"]}]},
        {"verdict": "pass"},
        {"confidence": 1},
        {"\x1b[2J\u202e": "pass"},
        {"action": "\x1b[2J\u202e"},
        {"reasons": [{"text": "\x1b[2J\u202e", "evidence": ["\x1b[2J\u202e"]}]},
    ],
    ids=lambda change: json.dumps(change)[:60],
)
def test_a_recorded_proposal_is_held_to_the_same_bounds(decided, change):
    decided.forge(proposal=change)
    made = decided.stage_decides()
    assert made.policy == "rules"
    assert breaches(made, decided.context) == []


def test_an_answer_to_another_question(decided):
    answer = Answer.model_validate_json(decided.answer.read_bytes())
    other = answer.model_copy(update={"key": "0" * 64})
    decided.answer.write_bytes(answer_bytes(other))
    for again in (decided.replay, decided.stage_decides):
        with pytest.raises(ProvenanceError, match="answers another question"):
            again()
    assert decided.broken() != []


def test_a_question_that_was_changed(decided):
    path = decided.answer.with_name("question.json")
    path.write_text(path.read_text().replace("escalate", "accept"))
    for again in (decided.replay, decided.stage_decides):
        with pytest.raises(ProvenanceError, match="is not the question of its folder"):
            again()


def test_another_layout_of_the_same_answer(decided):
    decided.answer.write_text(json.dumps(json.loads(decided.answer.read_text())))
    with pytest.raises(ProvenanceError, match="was changed after it was written"):
        decided.replay()


def test_an_answer_that_is_gone(decided):
    decided.answer.unlink()
    with pytest.raises(ProvenanceError, match="no recorded answer"):
        decided.replay()
    assert decided.broken() != []


def test_an_answer_put_before_the_one_that_was_given(decided):
    """Numbers order answers, so a forged 000 is the first; the decision goes on citing the one that it rests on."""
    forged = decided.answer.with_name("000.json")
    shutil.copy(decided.answer, forged)
    decided.forge(forged, proposal={"action": "accept", "proposed_overrides": []})
    assert decided.replay().same
    assert decided.stage_decides().policy == "rules"
    assert any("answers" in text for text in decided.broken())


@pytest.mark.parametrize("special", ["fifo", "/dev/zero", "/etc/passwd", "folder"])
@pytest.mark.timeout(20)
def test_what_is_no_file(decided, special):
    decided.answer.unlink()
    path = next(decided.answers.glob("*")) / "001.json"
    if special == "fifo":
        os.mkfifo(path)
    elif special == "folder":
        path.mkdir()
    else:
        path.symlink_to(special)
    for again in (decided.replay, decided.stage_decides):
        with pytest.raises(InterlockError) as caught:
            again()
        assert "root:" not in str(caught.value)
    assert decided.broken() != []


def test_what_a_kill_leaves_behind_keeps_nothing_from_going_on(decided):
    folder = decided.answer.parent
    (folder / ".answer.abc123.part").write_bytes(b'{"action": "acc')
    assert decided.replay().same
    assert decided.stage_decides().action == "retrain"
    context = decided.context
    asker = asker_of(decided.configured, Answers(decided.answers), ledger_of(decided.configured))
    assert asker is not None
    record(
        decided.home,
        ask(decided.home, decided.run_id, replace(decided.configured, llm=decided.configured.llm)),
        made_at="2999-01-02T00:00:00+00:00",
    )
    assert context == decided.context


@pytest.mark.parametrize("name", ["../../x", "..", "", "0" * 63, "0" * 64 + "/../x", "A" * 64, "\u0660" * 64])
def test_a_key_is_no_path(decided, name):
    with pytest.raises(ProvenanceError, match="is no key of a question"):
        Answers(decided.answers).recorded(name)


FORGED = {
    "accepted": {"action": "accept", "verdict": "pass", "proposed_overrides": {}},
    "rejected": {"action": "reject", "proposed_overrides": {}},
    "other override": {"proposed_overrides": {"lane.optimizer.lr": 0.75}},
    "by a person": {"policy": "person", "person": "Ada"},
    "no trail": {"trail": []},
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_decision_is_found(decided, name):
    path = decided.folder / "decision.json"
    path.write_text(pretty_json(json.loads(path.read_text()) | FORGED[name]))
    links = [str(link) for link in verify_run(decided.home, decided.run_id).links if link.state == "broken"]
    assert any("decision" in text for text in links), links
    assert list(promoted(decided.home)) == []


def test_a_forged_decision_beside_the_true_one_is_found(decided):
    """Another folder with an accept in it: well-formed, and of a verdict that nobody gave."""
    said = json.loads((decided.folder / "decision.json").read_text()) | FORGED["accepted"] | {"decision_id": "a" * 64}
    folder = decided.folder.with_name("a" * 64)
    shutil.copytree(decided.folder, folder)
    (folder / "decision.json").write_text(pretty_json(said))
    for _ in range(2):
        links = [str(link) for link in verify_run(decided.home, decided.run_id).links if link.state == "broken"]
        assert any("aaaa" in text for text in links), links
        assert list(promoted(decided.home)) == []
        with contextlib.suppress(InterlockError):
            rebuild(decided.home)  # the log is made anew from the archive, forged files and all


def test_a_forged_context_does_not_replay(decided):
    path = decided.folder / "context.json"
    said = json.loads(path.read_text())
    said["rows"] = [row | {"verdict": "pass", "cause": None, "observed": 1.0} for row in said["rows"]]
    path.write_text(pretty_json(said | {"verdict": "pass", "allowed": ["accept", "escalate"]}))
    with contextlib.suppress(InterlockError):
        assert not decided.replay().same
    assert decided.broken() != []


def test_a_hostile_model_cannot_be_replayed_into_an_accept(decided):
    """The forger also knows which facts to cite: the proposal is perfect but for the verdict."""
    decided.forge(proposal=forward(random.Random(5), decided.context))
    made = decided.stage_decides()
    assert (made.policy, made.action) == ("rules", "retrain")
    assert made.trail[-1].outcome in ("schema", "guard")
