"""The journal: one line for each decision, and no line that was changed."""

import json
import multiprocessing

import pytest
from decision_worlds import Raises, Says, context, go_votes, nothing, release, row

from interlock.contracts.agent import QuorumPolicy
from interlock.contracts.answer import Outcome
from interlock.contracts.decision import Action
from interlock.contracts.verdict import Verdict
from interlock.decisions import journal
from interlock.decisions.guarded import SAID, Guard
from interlock.decisions.quorum import Quorum
from interlock.decisions.rules.by_kind import Rules
from interlock.errors import ProvenanceError
from interlock.provenance import chain

FAILED = context(row("r_at_5"))
BY_RULES = Rules().decide(FAILED)
REFUSED = Guard(Says(Action.ACCEPT), Rules()).decide(FAILED)
MANY = [Guard(Raises(nothing(outcome)), Rules()).decide(FAILED) for outcome in sorted(SAID)]


def test_a_line_tells_what_was_tried_refused_and_decided(tmp_path):
    entry = journal.write(tmp_path, REFUSED)
    assert journal.read(tmp_path) == (entry,)
    assert (entry.decision_id, entry.action, entry.policy) == (REFUSED.decision_id, Action.RETRAIN, "rules")
    assert entry.overrides == {"lane.model.temperature": 0.035}
    [tried] = entry.tried
    assert (tried.outcome, tried.proposal["action"]) == (Outcome.GUARD, "accept")
    assert "is not allowed to llm" in tried.told


def test_votes_stand_in_it(tmp_path):
    members = go_votes()
    config = QuorumPolicy(kind="quorum", members=tuple(members), chair="ops_commander")
    entry = journal.write(tmp_path, Quorum(config, members).decide(release()))
    assert (entry.kind, entry.action, set(entry.votes.values())) == ("release", Action.GO, {Action.GO})


def test_the_same_decision_stands_once(tmp_path):
    first = journal.write(tmp_path, BY_RULES)
    assert journal.write(tmp_path, BY_RULES) == first
    journal.write(tmp_path, REFUSED)
    assert journal.write(tmp_path, BY_RULES) == first
    assert [entry.decision_id for entry in journal.read(tmp_path)] == [BY_RULES.decision_id, REFUSED.decision_id]


def test_nothing_decided_is_an_empty_journal(tmp_path):
    assert journal.read(tmp_path) == ()
    with pytest.raises(ProvenanceError, match="does not know this decision"):
        journal.check(tmp_path, BY_RULES)


@pytest.mark.parametrize("change", ["action", "dropped", "swapped"])
def test_a_changed_line_is_found(tmp_path, change):
    others = [Guard(Raises(nothing(outcome)), Rules()).decide(FAILED) for outcome in (Outcome.TIMEOUT, Outcome.EMPTY)]
    for decision in (BY_RULES, *others):
        journal.write(tmp_path, decision)
    path = journal.journal_path(tmp_path)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(
        {
            "action": "".join([lines[0].replace('"retrain"', '"accept"'), *lines[1:]]),
            "dropped": "".join([lines[0], lines[2]]),
            "swapped": "".join([lines[1], lines[0], lines[2]]),
        }[change]
    )
    assert chain.verify(path) is not None
    for act in (journal.read, lambda home: journal.write(home, REFUSED), lambda home: journal.check(home, BY_RULES)):
        with pytest.raises(ProvenanceError, match="the chain is broken"):
            act(tmp_path)


def test_a_decision_that_was_changed_afterwards_is_found(tmp_path):
    journal.write(tmp_path, REFUSED)
    assert journal.check(tmp_path, REFUSED)
    forged = REFUSED.model_copy(update={"action": Action.ESCALATE, "proposed_overrides": {}, "trail": ()})
    for act in (journal.check, journal.write):
        with pytest.raises(ProvenanceError, match=r"something else of decision \w{12}: tried, action, overrides"):
            act(tmp_path, forged)


def test_a_whole_line_of_another_form_is_named(tmp_path):
    chain.append(journal.journal_path(tmp_path), {"decision_id": "x"})
    with pytest.raises(ProvenanceError, match=r"line 1.*not a valid line"):
        journal.read(tmp_path)


def test_a_torn_line_is_written_again(tmp_path):
    journal.write(tmp_path, BY_RULES)
    path = journal.journal_path(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    assert journal.read(tmp_path) == ()
    journal.write(tmp_path, BY_RULES)
    assert [json.loads(line)["seq"] for line in path.read_text().splitlines()] == [1]


def test_many_writers_at_once_write_each_decision_once(tmp_path):
    fork = multiprocessing.get_context("fork")
    barrier = fork.Barrier(4)
    workers = [fork.Process(target=_write_all, args=(tmp_path, barrier, number)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    found = [entry.decision_id for entry in journal.read(tmp_path)]
    assert sorted(found) == sorted(made.decision_id for made in MANY)


def _write_all(home, barrier, number):
    """All at the same time, and at any time each another one: else they would write over each other unnoticed."""
    for decision in MANY[number:] + MANY[:number]:
        barrier.wait(timeout=30)
        journal.write(home, decision)


def test_verdicts_and_costs_survive(tmp_path):
    passed = Guard(Raises(nothing()), Rules()).decide(context(row("r_at_5", Verdict.PASS)))
    entry = journal.write(tmp_path, passed)
    assert (entry.verdict, entry.usage) == (Verdict.PASS, passed.usage)
