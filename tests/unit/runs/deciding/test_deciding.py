"""Asking whoever decides upon an archived run, and recording it: once, whole, and the bytes that the stage sees."""

import json
import shutil

import pytest
from toy_homes import ROOT, judge_by_hand

from interlock.contracts.answer import Outcome
from interlock.contracts.decision import Action
from interlock.contracts.drive import DrivenAttempt, DrivePath, DriveRecord, DriveState
from interlock.contracts.lineage import LineageBlock
from interlock.contracts.verdict import Verdict
from interlock.decisions import journal
from interlock.decisions.person import PersonsChoice
from interlock.errors import DecisionError, NotRecordedError, ProvenanceError, RegistryError
from interlock.provenance.canonical import pretty_json
from interlock.registry import archive
from interlock.registry.decided import decisions, spent
from interlock.registry.derive import news, rebuild
from interlock.registry.events import read_events
from interlock.registry.kept import kept_proposals
from interlock.registry.layout import run_folder
from interlock.registry.queries import find_run
from interlock.registry.spending import spend
from interlock.runs.deciding import deciding
from interlock.runs.deciding.deciding import ask
from interlock.runs.deciding.recording import keep, record
from interlock.runs.drive.person import decided_by_person
from interlock.runs.sync import sync_lane

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


def rewritten(path, change):
    """The file with other content, as somebody would leave it who wants it to be believed."""
    values = json.loads(path.read_text())
    change(values)
    path.chmod(0o644)
    path.write_text(pretty_json(values))


def passing(judgement):
    judgement["rows"] = [row for row in judgement["rows"] if row["verdict"] == "pass"]
    judgement["verdict"] = "pass"


def test_nobody_decides_upon_a_judgement_that_the_log_does_not_name(home, run, configured):
    (path,) = run_folder(home, run).glob("judgements/*/judgement.json")
    rewritten(path, passing)
    for choice in (None, PersonsChoice(by="Ada", action=Action.ACCEPT, reason="it passes")):
        with pytest.raises(RegistryError, match="not in the archive as the log names it"):
            ask(home, run, configured, choice=choice)


@pytest.mark.parametrize("name", ["records/export.skipped.json", "run_card.json"])
def test_nobody_decides_on_facts_that_the_card_or_the_log_does_not_name(home, run, configured, name):
    judge_by_hand(home, run, target=0.95)  # no stage's record says what it was made of
    changed = {"seed": 99} if name == "run_card.json" else {"facts": {"made_up": 1}}
    rewritten(run_folder(home, run) / "models" / name, lambda values: values.update(changed))
    with pytest.raises(ProvenanceError, match="the run card"):
        ask(home, run, configured)


@pytest.mark.parametrize("way", ["keep", "sync", "rebuild"])
def test_an_accept_that_no_judgement_bears_out_becomes_no_event(home, run, made, configured, way):
    """Dropped into the archive beside a failed judgement, as if `interlock decide` had been cut off there."""
    decided = ask(home, run, configured).decision
    forged = decided.model_copy(
        update={"verdict": Verdict.PASS, "action": Action.ACCEPT, "proposed_overrides": {}, "decision_id": "a" * 64}
    )
    files = {"decision.json": pretty_json(forged), "when.json": pretty_json({"at": WHEN, "source": "command"})}
    if way != "keep":
        folder = run_folder(home, run) / "decisions" / forged.decision_id
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text)
    tries = {
        "keep": lambda: keep(home, forged, files),
        "sync": lambda: sync_lane(made[0].parent / "work2", workspace=ROOT, home=home, track=False),
        "rebuild": lambda: rebuild(home),
    }
    with pytest.raises(RegistryError, match="no judgement of this run with the verdict pass bears it out"):
        tries[way]()
    assert find_run(home, run).action == "retrain"


def test_a_drive_follows_what_a_person_decided_once_an_event_says_so(home, run, configured):
    choice = PersonsChoice(by="Ada", action=Action.REJECT, reason="{gate.accuracy.observed} is too little")
    decided = ask(home, run, configured, choice=choice)
    last = DrivenAttempt(attempt=1, run_id=run, judgement_id=decided.decision.judgement_id)
    drive = DriveRecord(id="0" * 12, name="n", lane="toy", command=(), asked={}, begun_at=WHEN)
    path = DrivePath(record=drive, state=DriveState.WAITING, attempts=(last,), attempts_max=2, updated_at=WHEN)
    folder = run_folder(home, run) / "decisions" / decided.decision.decision_id
    folder.mkdir()
    (folder / "decision.json").write_text(pretty_json(decided.decision))
    assert decided_by_person(home, path) is None
    shutil.rmtree(folder)
    record(home, decided, made_at=WHEN)
    assert decided_by_person(home, path) == decided.decision


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
