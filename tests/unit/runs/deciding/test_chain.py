"""The tree from a decision down to what it rests on, and the runs that led there."""

import shutil

import pytest

from interlock.contracts.lineage import LineageBlock
from interlock.errors import UsageError
from interlock.registry.layout import run_folder
from interlock.registry.queries import find_run
from interlock.runs.deciding.chain import chain
from interlock.runs.deciding.deciding import ask
from interlock.runs.deciding.recording import record
from interlock.runs.deciding.standing import decision_of, judged_run, place_of

WHEN = "2026-03-01T10:00:00+00:00"


def tree(home, run):
    return chain(home, *decision_of(home, find_run(home, run)))


def nodes(node, kind):
    found = [node] if node.kind == kind else []
    return found + [item for child in node.children for item in nodes(child, kind)]


def test_reasons_lead_to_facts_with_file_and_digest(home, run, with_model, model):
    record(home, ask(home, run, with_model), made_at=WHEN)
    root = tree(home, run)
    assert (root.state, list(root.broken())) == ("ok", [])
    (reason,) = nodes(root, "reason")
    (fact,) = reason.children
    assert fact.text == fact.about["id"] == "gate.accuracy.reason", "its words stand in the sentence above"
    assert fact.about["pointer"].startswith("judge/judgement.json#/rows/")
    assert len(fact.about["sha256"]) == 64
    assert (home / fact.about["path"]).is_file()
    (tried,) = nodes(root, "tried")
    assert tried.state == "ok"
    assert "1,000 tokens, $0.0042" in tried.text
    assert nodes(root, "change")[0].text == "lane.optimizer.lr  0.5 → 0.125"
    gates = {node.about["gate"]: node.state for node in nodes(root, "gate")}
    assert gates == {"accuracy": "ok", "over_base": "ok", "converged": "ok", "loads": "told"}
    assert {"run", "model", "measured", "data", "code", "settings", "lock"} <= {
        node.kind for node in (*nodes(root, "run"), *nodes(root, "run")[0].children)
    }


def test_the_runs_that_led_here_are_named_nearest_first(home, run, earlier, configured):
    record(home, ask(home, run, configured, lineage=LineageBlock(parent_run=earlier, attempt=2)), made_at=WHEN)
    (before,) = nodes(tree(home, run), "led here")
    assert before.about["run_id"] == earlier
    assert "fail → retrain with lane.optimizer.lr=" in before.text
    assert before.state == "ok"
    shutil.rmtree(run_folder(home, earlier))
    (before,) = nodes(tree(home, run), "led here")
    assert (before.state, before.about) == ("told", {"run_id": earlier})


def test_a_lineage_in_a_circle_ends(home, run, earlier, configured):
    record(home, ask(home, run, configured, lineage=LineageBlock(parent_run=earlier, attempt=2)), made_at=WHEN)
    record(home, ask(home, earlier, configured, lineage=LineageBlock(parent_run=run, attempt=2)), made_at=WHEN)
    assert [node.about["run_id"] for node in nodes(tree(home, run), "led here")] == [earlier]


def test_a_changed_model_file_and_a_changed_card_are_found(home, run):
    path = run_folder(home, run) / "models" / "model.safetensors"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b" ")
    (broken,) = tree(home, run).broken()
    assert (broken.kind, broken.text) == ("model", "model.safetensors")
    card = run_folder(home, run) / "models" / "run_card.json"
    card.chmod(0o644)
    card.write_text(card.read_text() + "\n")
    assert {node.kind for node in tree(home, run).broken()} == {"model", "run"}


def test_a_changed_judgement_and_a_changed_answer_are_found_with_their_files(home, run, with_model, model):
    record(home, ask(home, run, with_model), made_at=WHEN)
    for name, kind in (("judgements/*/judgement.json", "judgement"), ("answers/*/001.json", "tried")):
        (path,) = run_folder(home, run).glob(name)
        whole = path.read_bytes()
        path.chmod(0o644)
        path.write_bytes(whole + b" ")
        (node,) = nodes(tree(home, run), kind)
        assert node.state == "broken"
        assert path.is_relative_to(home / node.about["path"])
        path.write_bytes(whole)
    assert list(tree(home, run).broken()) == []


def test_what_was_not_judged_or_is_not_known_is_refused_with_what_there_is(home, run, earlier):
    with pytest.raises(UsageError, match="no such run") as unknown:
        judged_run(home, "zzzz")
    assert run in unknown.value.hint
    shutil.rmtree(run_folder(home, run) / "judgements")
    with pytest.raises(UsageError, match="not judged"):
        judged_run(home, run)
    shutil.rmtree(run_folder(home, earlier) / "models")
    with pytest.raises(UsageError, match="no card"):
        judged_run(home, earlier)


def test_one_of_several_decisions_is_named_by_the_beginning_of_its_id(home, run, with_model, model):
    rules = decision_of(home, find_run(home, run))[1]
    record(home, ask(home, run, with_model), made_at=WHEN)
    row = find_run(home, run)
    assert decision_of(home, row)[1].policy == "llm"
    assert decision_of(home, row, rules.decision_id[:8])[1] == rules
    with pytest.raises(UsageError, match="no such decision") as refused:
        decision_of(home, row, "zz")
    assert "retrain by llm" in refused.value.hint
    assert "retrain by rules" in refused.value.hint


def test_a_run_that_nothing_led_to_is_the_first(home, run):
    assert place_of(home, run) == LineageBlock(parent_run=None, attempt=1)
    shutil.rmtree(run_folder(home, run) / "decisions")
    assert place_of(home, run) == LineageBlock(parent_run=None, attempt=1)
