"""How a tree is shown: marks that need no colour, what is broken first, a way out."""

import pytest

from interlock.commands.why import _count, _line, _show
from interlock.contracts.decision import Action, Decision, Evidence, Statement
from interlock.contracts.verdict import Verdict
from interlock.runs.deciding.chain import Node

RUN = "0123456789abcdef"  # pragma: allowlist secret
FACT = Node(
    kind="fact", text="gate.a.observed = 0.4", state="ok",
    about={"pointer": "judge/judgement.json#/rows/0/observed", "sha256": "ab" * 32},
)  # fmt: skip
BROKEN = Node(kind="fact", text="gate.b.observed = 0.9", state="broken", problem="stands in a file of another digest")


def tree(*facts):
    reason = Node(kind="reason", text="[bold]too[/] low", children=facts)
    return Node(kind="decision", text="retrain, by the rules", state="ok", children=(reason,))


DECISION = Decision(
    agent="dir_models", decision_id="2" * 64, judgement_id="1" * 64, run_id=RUN, lane="toy", verdict=Verdict.FAIL,
    action=Action.REJECT, reasons=(Statement(text="low", evidence=("verdict",)),), confidence="low", policy="rules",
    evidence=(Evidence(id="verdict", value="fail", pointer="p"),),
)  # fmt: skip


@pytest.fixture
def shown(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")

    def show(root):
        _show(root, DECISION, list(root.broken()))
        return capsys.readouterr().out

    return show


def test_a_whole_tree_says_how_many_links_were_looked_at(shown):
    text = shown(tree(FACT))
    assert "every link holds: 2 looked at now" in text
    assert "judge/judgement.json#/rows/0/observed  abababababab" in text
    assert "[bold]too[/] low" in text, "words of a model are no markup"


def test_a_broken_link_is_named_below_with_a_way_out(shown):
    text = shown(tree(FACT, BROKEN))
    assert "1 of 3 links broken, first at:" in text
    assert "gate.b.observed = 0.9: stands in a file of another digest" in text
    assert f"way out: interlock verify {RUN[:8]}" in text


@pytest.mark.parametrize(("node", "mark"), [(FACT, "ok "), (BROKEN, "BROKEN "), (tree().children[0], "- ")])
def test_marks_are_words_where_the_terminal_has_no_signs(node, mark):
    assert str(_line(node, True)).startswith(mark)


def test_only_what_was_checked_counts():
    assert _count(tree(FACT, BROKEN)) == 3


def test_json_has_the_whole_tree():
    plain = tree(FACT, BROKEN).as_json()
    fact, broken = plain["children"][0]["children"]
    assert (fact["state"], fact["sha256"], broken["problem"]) == ("ok", "ab" * 32, BROKEN.problem)
