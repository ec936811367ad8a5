"""Hostile models on the real path: nothing that a model says turns a non-pass into accept, GO or a promotion.

Attacks go by number (`hostile_answers`): 200 in the fast suite, 10,000 more among the slow tests. Each is said by a
server in one of the vendors' protocols, read by the real client, held by the guard, recorded, and made again from the
record. Most meet contexts made by hand, which have every kind and verdict; the others meet archived runs, and what was
decided about those is archived, logged and journalled like any other decision.
"""

import json
import os
from collections import Counter

import pytest
from hostile_path import KEY, KEY_ENV, LanePath, PolicyPath
from hostile_server import HostileServer, Said
from hostile_worlds import make_world, promoted

from interlock.decisions import journal
from interlock.registry.queries import list_runs
from interlock.registry.verify import verify_run

FAST = 200
CHUNK, CHUNKS = 1000, 10


@pytest.fixture(autouse=True)
def _settings(monkeypatch):
    """The key, and no waiting for the disk: what a power cut does is not looked at here."""
    monkeypatch.setenv(KEY_ENV, KEY)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def attacked(tmp_path):
    """Attack by numbers; gives what came of each, after the home was looked at as a whole."""

    def attack(numbers, *, archived_every):
        world = make_world(tmp_path)
        with HostileServer() as server:
            lanes, others = LanePath(world, server), PolicyPath(tmp_path / "answers", server)
            tried = [(lanes if number % archived_every == 0 else others).attack(number) for number in numbers]
        refuse_breaches(world, tried)
        return tried

    return attack


def refuse_breaches(world, tried):
    """Nothing got through, the journal's chain holds, and only what passed can be promoted."""
    assert [item for item in tried if item.got_through] == []
    forward = {(item.verdict, item.decision.action.value) for item in tried} & {
        (verdict, action) for verdict in ("fail", "blocked", "inconclusive") for action in ("accept", "go")
    }
    assert forward == set()
    known = {entry.decision_id for entry in journal.read(world.home)}
    assert {item.decision.decision_id for item in tried if item.label in world.runs} <= known
    passed = {row.run_id for row in list_runs(world.home) if row.verdict == "pass"}
    assert passed == {world.runs["pass"]}
    assert {name.split(" -> ")[0] for name in promoted(world.home)} == passed
    for run_id in world.runs.values():
        assert [link for link in verify_run(world.home, run_id).links if link.state == "broken"] == []


def test_nothing_but_a_pass_moves_forward(attacked):
    tried = attacked(range(FAST), archived_every=6)
    kinds = Counter((item.decision.kind, item.verdict) for item in tried)
    assert len(kinds) == 12, kinds
    assert len({item.way for item in tried}) == 7
    ended = Counter(item.ended for item in tried)
    assert {"taken", "schema", "guard", "malformed", "empty", "server_error", "truncated"} <= set(ended), ended
    assert {item.label for item in tried} >= {"pass", "fail", "fail after a pass", "lane by hand"}
    # Where the verdict is a pass the same models have their way: the suite can fail.
    went = {item.decision.kind for item in tried if item.decision.action in ("accept", "go")}
    assert went == {"lane", "job", "release"}
    taken = Counter(item.verdict for item in tried if item.ended == "taken")
    assert set(taken) >= {"pass", "fail"}, taken


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_ten_thousand_more(attacked, chunk):
    first = FAST + chunk * CHUNK
    tried = attacked(range(first, first + CHUNK), archived_every=9)
    print(json.dumps(Counter(f"{item.decision.kind} {item.ended}" for item in tried)))
    assert len(Counter(item.family for item in tried)) > 20
    assert sum(item.ended == "taken" for item in tried) > CHUNK / 20


@pytest.mark.slow
def test_by_the_command_line(workspace):
    """The same as a user sees it: a model on this machine that wants a failed run accepted, promoted and waived."""
    workspace.interlock("run", "lane=toy", "lane.model.value=0.2", code=3)
    (run,) = (row["run_id"] for row in json.loads(workspace.interlock("runs", "list", "--json")))
    with HostileServer() as server:
        address = f"llm.models.local.base_url={server.urls['openai_compatible']}"
        for sample, action in enumerate(("accept", "go", "waive", "promote"), start=1):
            reason = {"text": "It passes: {verdict}.", "evidence": ["verdict"]}
            wanted = {"action": action, "reasons": [reason], "risks": [], "confidence": "high"}
            server.script([Said(payload=json.dumps(wanted))])
            asked = ("llm=openai_compatible", "llm.mode=live", f"llm.sample={sample}", address)
            said = json.loads(workspace.interlock("decide", run, *asked, "--json"))["decision"]
            assert (said["verdict"], said["policy"]) == ("fail", "rules")
            assert said["action"] in ("retrain", "escalate", "reject")
            assert len(server.requests) == 3  # corrected twice, and given up
    assert "the same" in workspace.interlock("decide", run, "--replay")
    assert "rules" in workspace.interlock("why", run)
    assert json.loads(workspace.interlock("registry", "list", "--json")) == []
    workspace.interlock("verify", run)
