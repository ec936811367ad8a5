"""Everything that a decision names is looked at: files, answers, context, actions, its own id."""

import contextlib
import json
import random

import pytest

from interlock.contracts.verification import Link
from interlock.errors import InterlockError
from interlock.provenance.canonical import pretty_json
from interlock.registry.decided import decisions
from interlock.registry.derive import DECISION, read_statement
from interlock.registry.layout import run_folder
from interlock.registry.queries import find_run
from interlock.runs.deciding.chain import chain
from interlock.runs.deciding.checking import check, decision_links
from interlock.runs.deciding.deciding import ask
from interlock.runs.deciding.evidence import ArchivedFiles
from interlock.runs.deciding.recording import record
from interlock.runs.deciding.standing import decision_of

WHEN = "2026-03-01T10:00:00+00:00"


@pytest.fixture
def decided(home, run, with_model, model):
    """The folder of a model's decision."""
    return record(home, ask(home, run, with_model), made_at=WHEN).folder


def looked(home, run):
    return check(home, *decision_of(home, find_run(home, run)))


def states(home, run):
    return {link.state for link in decision_links(home, run)}


def change(path, edit):
    values = json.loads(path.read_text())
    edit(values)
    path.write_text(pretty_json(values))


def test_an_honest_decision_holds(home, run, decided):
    assert looked(home, run).problems == ()
    assert states(home, run) == {"holds"}
    assert all(isinstance(link, Link) for link in decision_links(home, run))


def test_every_fact_that_any_decision_was_shown_stands_where_it_says(home, run):
    (row,) = decisions(home, run)
    context = looked(home, run).context
    files = ArchivedFiles(home, run, home / row.path)
    checked = [files.check(item) for item in context.evidence]
    assert len(checked) > 30
    assert [item for item in checked if item.problem or not item.path] == []
    assert {item.file for item in checked} >= {
        "judge/judgement.json", "evaluate/measurements.json", "train/outputs.json", "decide/settings.json",
        "train/loss.csv",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "edit", "said"),
    [
        ("context.json", lambda values: values.update(attempts=2), "give the id"),
        ("context.json", lambda values: values["evidence"].pop(0), "give the id"),
        ("decision.json", lambda values: values.update(confidence="high"), ""),
        ("decision.json", lambda values: values["evidence"][0].update(value="better"), "is not a fact of this context"),
        ("decision.json", lambda values: values["reasons"][0].update(text="R@5 rose to 0.93"), "numerals"),
        ("decision.json", lambda values: values.update(proposed_overrides={"lane.seed": 7}), "lane.seed"),
        ("decision.json", lambda values: values["trail"][0].update(answer_sha256="0" * 64), "recorded answer"),
    ],
)
def test_a_changed_statement_is_found(home, run, decided, name, edit, said):
    change(decided / name, edit)
    problems = " ".join(looked(home, run).problems)
    assert said in problems
    if said:
        assert "broken" in states(home, run)
    row, decision = decision_of(home, find_run(home, run))
    assert list(chain(home, row, decision).broken()), "the log has other bytes, or a link does not hold"


@pytest.mark.parametrize("pattern", ["judgements/*/judgement.json", "answers/*/001.json"])
def test_a_byte_anywhere_in_what_it_rests_on_is_found(home, run, decided, pattern):
    (path,) = run_folder(home, run).glob(pattern)
    whole, chance = path.read_bytes(), random.Random(7)
    for _ in range(25):
        position = chance.randrange(len(whole))
        other = bytes([whole[position] ^ (1 << chance.randrange(7))])
        path.write_bytes(whole[:position] + other + whole[position + 1 :])
        with contextlib.suppress(InterlockError, UnicodeDecodeError):  # or it is refused outright
            assert looked(home, run).problems, (path.name, position)
    path.write_bytes(whole)
    assert looked(home, run).problems == ()


def test_a_file_that_is_gone_is_named(home, run, decided):
    (path,) = run_folder(home, run).glob("judgements/*/judgement.json")
    path.unlink()
    assert any("the archive has no such file" in problem for problem in looked(home, run).problems)


def test_a_decision_without_its_context_is_told_and_not_believed_whole(home, run, decided):
    (decided / "context.json").unlink()
    assert looked(home, run).context is None
    assert "unchecked" in states(home, run)
    assert read_statement(decided / DECISION).run_id == run
