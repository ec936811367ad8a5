"""Asking whoever decides upon an archived run, and recording it: once, whole, and the bytes that the stage sees."""

import json

import pytest

from interlock.contracts.answer import Outcome
from interlock.contracts.decision import Action
from interlock.contracts.lineage import LineageBlock
from interlock.decisions import journal
from interlock.decisions.person import PersonsChoice
from interlock.errors import DecisionError, NotRecordedError
from interlock.provenance.canonical import pretty_json
from interlock.registry import archive
from interlock.registry.decided import decisions, spent
from interlock.registry.derive import news
from interlock.registry.events import read_events
from interlock.registry.kept import kept_proposals
from interlock.registry.layout import run_folder
from interlock.registry.queries import find_run
from interlock.registry.spending import spend
from interlock.runs.deciding import deciding
from interlock.runs.deciding.deciding import ask
from interlock.runs.deciding.recording import record

WHEN = "2026-03-01T10:00:00+00:00"


def by_hand(home, run):
    return [row for row in decisions(home, run) if row.source == "command"]


def kinds(home, run):
    return [event.kind for event, _ in read_events(home) if event.subject == run]


def test_the_archive_shows_the_bytes_that_the_stage_saw(home, run, configured):
    (row,) = decisions(home, run)
    decided = ask(home, run, configured)
    assert pretty_json(decided.context) == (home / row.path / "context.json").read_text()
    assert pretty_json(decided.decision) == (home / row.path / "decision.json").read_text()


def test_recording_twice_changes_nothing(home, run, with_model, model):
    decided = ask(home, run, with_model)
    first = record(home, decided, made_at=WHEN)
    kept = {path: path.read_bytes() for path in sorted(first.folder.iterdir())}
    assert (decided.decision.policy, len(decided.asked), first.events) == ("llm", 1, 3)
    again = ask(home, run, with_model)
    second = record(home, again, made_at="2027-01-01T00:00:00+00:00")
    assert (again.decision, again.asked, second.events) == (decided.decision, frozenset(), 0)
    assert {path: path.read_bytes() for path in sorted(first.folder.iterdir())} == kept
    assert model.asked == 1
    assert [entry.decision_id for entry in journal.read(home)].count(decided.decision.decision_id) == 1
    assert find_run(home, run).decision_id == decided.decision.decision_id


def test_what_it_cost_is_said_once_in_log_index_and_report(home, run, with_model, model):
    folder = record(home, ask(home, run, with_model), made_at=WHEN).folder
    record(home, ask(home, run, with_model), made_at=WHEN)
    assert kinds(home, run).count("spent") == 1
    (row,) = spent(home, run)
    assert (row.calls, row.tokens_in, row.tokens_out, row.usd) == (1, 900, 100, 0.0042)
    assert spend(run_folder(home, run)).usd == 0.0042
    report = (folder / "lane_report.yaml").read_text()
    assert "tokens: 1000" in report
    assert "cost_usd: 0.0042" in report


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.SERVER_ERROR, Outcome.MALFORMED, Outcome.OVER_BUDGET])
def test_a_model_that_gives_nothing_leaves_it_to_the_rules(home, run, configured, with_model, model, outcome):
    model.outcome = outcome
    decided = ask(home, run, with_model)
    assert (decided.decision.policy, decided.decision.trail[0].outcome) == ("rules", outcome)
    assert decided.decision.action is ask(home, run, configured).decision.action
    record(home, decided, made_at=WHEN)
    assert kinds(home, run).count("spent") == 1, "what failed was paid for, too"


def test_a_forbidden_proposal_is_refused_and_kept_in_the_trail(home, run, with_model, model):
    model.proposal = {**model.proposal, "action": "accept", "proposed_overrides": []}
    decision = ask(home, run, with_model).decision
    assert decision.action is not Action.ACCEPT
    assert decision.trail[0].proposal["action"] == "accept"
    assert decision.trail[0].outcome is not Outcome.ANSWERED


def test_replay_alone_without_an_answer_is_an_error_and_changes_nothing(home, run, with_model):
    before = kinds(home, run)
    llm = with_model.llm.model_copy(update={"mode": "replay"})
    changed = type(with_model)(**{**vars(with_model), "llm": llm})
    with pytest.raises(NotRecordedError, match="nobody has recorded"):
        ask(home, run, changed)
    assert kinds(home, run) == before
    assert not (run_folder(home, run) / "answers").exists()


def test_a_person_decides_inside_the_same_set(home, run, configured):
    choice = PersonsChoice(by="Ada", action=Action.REJECT, reason="{gate.accuracy.observed} is too little")
    decided = ask(home, run, configured, choice=choice)
    record(home, decided, made_at=WHEN)
    row = find_run(home, run)
    assert (row.action, decided.decision.person) == ("reject", "Ada")
    with pytest.raises(DecisionError, match="not allowed"):
        ask(home, run, configured, choice=PersonsChoice(by="Ada", action=Action.ACCEPT, reason="because"))


def test_the_lineage_of_a_recorded_decision_is_taken_up_again(home, run, earlier, configured):
    first = ask(home, run, configured, lineage=LineageBlock(parent_run=earlier, attempt=2))
    assert (first.context.attempts, first.context.parent_run) == (2, earlier)
    assert first.decision.action is Action.ESCALATE, "two failures, and nobody approved more"
    record(home, first, made_at="2099-03-01T10:00:00+00:00")
    assert ask(home, run, configured).context == first.context


@pytest.mark.parametrize("cut", range(8))
def test_cut_off_at_any_write_it_is_either_there_or_not(home, run, with_model, model, monkeypatch, cut):
    decided = ask(home, run, with_model)
    writes = []

    def write(path, text):
        if len(writes) == cut:
            raise KeyboardInterrupt
        writes.append(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    with monkeypatch.context() as patched:
        patched.setattr(archive, "write_atomic", write)
        if cut < 7:
            with pytest.raises(KeyboardInterrupt):
                record(home, decided, made_at=WHEN)
            assert by_hand(home, run) == []
            assert find_run(home, run).action == "retrain"
    news(home, kept_proposals(home, run))
    record(home, decided, made_at=WHEN)
    (row,) = by_hand(home, run)
    assert row.decision_id == find_run(home, run).decision_id
    assert json.loads((home / row.path / "when.json").read_text())["at"] == WHEN


def test_a_person_is_shown_what_only_a_person_may_do(home, run, configured, monkeypatch):
    shown = []
    real = deciding.build_context

    def watched(*known, policy, **named):
        shown.append(policy)
        return real(*known, policy=policy, **named)

    monkeypatch.setattr(deciding, "build_context", watched)
    ask(home, run, configured)
    ask(home, run, configured, choice=PersonsChoice(by="Ada", action=Action.REJECT, reason="enough"))
    assert shown == ["rules", "person"]
