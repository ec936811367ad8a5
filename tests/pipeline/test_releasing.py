"""`interlock release` on a real archived run: the votes of executives, models on loopback, replay, verification."""

import json
import os
import shutil

import pytest
from llm_stand_ins import StandIns, failing, good, refusal, says
from typed_here import Here

MEMBERS = ("Infrastructure-Monitor", "Quality-Safety-Officer", "Ops-Commander")


@pytest.fixture(scope="module")
def archived(tmp_path_factory, finished_workspace):
    """A workspace whose toy run passed and was archived; its export measures no latency and makes no ONNX file."""
    path = tmp_path_factory.mktemp("releasing") / "checkout"
    shutil.copytree(finished_workspace(("toy",), git=True, ran=False), path, symlinks=True)
    Here.running(path).interlock("run", "lane=toy")
    return path


@pytest.fixture
def said(archived, tmp_path):
    """Type a command; gives what it printed, whose exit code must be `code`."""
    path = tmp_path / "checkout"
    shutil.copytree(archived, path, symlinks=True)
    here = Here(path, COLUMNS="300")

    def said(*words, code):
        out, err = here.said(*words, code=code)
        return out + err if code in (1, 2) else out

    said.path = path
    return said


@pytest.fixture
def vendors():
    with StandIns() as stand_ins:
        yield stand_ins


def local(vendors):
    return ["llm=openai_compatible", f"llm.models.local.base_url={vendors.urls['openai_compatible']}"]


def vote(action, cites):
    reason = {"text": "It follows from the gate.", "evidence": [cites]}
    return {"action": action, "reasons": [reason], "risks": [], "confidence": "high"}


def by_member(**said):
    """Answers by whose gate the question speaks of."""
    gates = {
        "gate.environment.lock.reason": "monitor",
        "gate.lineage.inputs.reason": "officer",
        "gate.integration.files.reason": "commander",
    }

    def reply(seen):
        (gate,) = [name for name in gates if name in seen.text]
        answer = said[gates[gate]]
        return good(vote(answer, gate)) if isinstance(answer, str) else answer

    return reply


def released(said, *words, code=5):
    return json.loads(said("release", "toy_numbers", *words, "--json", code=code))


def test_rules_hold_back_what_was_not_measured_and_say_so(said):
    text = said("release", "toy_numbers", code=5)
    assert text.startswith("PAUSE_AND_FIX  blocked\n")
    assert all(member in text for member in MEMBERS)
    assert "latency_p95 of the exported file was not measured" in text
    assert "not measured: the model has no ONNX file" in text
    last = text.rstrip().splitlines()[-1]
    assert last.startswith(
        "Ops Commander Final Verdict: PAUSE_AND_FIX - verified: the gates of the run; not verified: "
    )
    (page,) = (said.path / "artifacts" / "runs").glob("*/decisions/*/release_decision.md")
    assert page.read_text().startswith("# Release: PAUSE_AND_FIX\n")
    assert (page.parent / "release" / "ops_commander.json").is_file()


def test_a_release_is_recorded_once_verifies_replays_and_explains_itself(said):
    first = released(said)
    again = released(said)
    assert (first["decision_id"], first["events"] > 0, again["events"]) == (again["decision_id"], True, 0)
    run, decision = first["model"]["run_id"], first["decision_id"][:8]
    assert "verified" in said("verify", run, code=0)
    assert "the same bytes" in said("decide", run, "--replay", "--decision", decision, code=0)
    assert "every link holds" in said("why", run, "--decision", decision, code=0)
    (row,) = json.loads(said("runs", "list", "--json", code=0))
    assert row["action"] == "accept"  # the director's decision upon the run stays


def test_unanimous_false_votes_end_as_a_pause_and_are_told(said, vendors):
    vendors.script(by_member(monitor="go", officer="go", commander="go"))
    found = released(said, *local(vendors))
    assert found["action"] == "pause_and_fix"
    assert {member["agent"]: member["said"] for member in found["votes"]} == {
        MEMBERS[0]: "PAUSE_AND_FIX", MEMBERS[1]: "SHADOW ONLY", MEMBERS[2]: "SHADOW ONLY",
    }  # fmt: skip
    assert len(found["not_taken"]) == 3
    assert found["spent"]["calls"] == len(vendors.requests) == 9  # each is told its fault twice


def test_votes_of_models_are_recorded_and_replayed_without_a_network(said, vendors):
    vendors.script(by_member(monitor="pause_and_fix", officer="shadow_only", commander="reject"))
    first = released(said, *local(vendors))
    assert (first["action"], [member["policy"] for member in first["votes"]]) == ("reject", ["llm"] * 3)  # a veto
    vendors.script([failing(500)])
    again = released(said, *local(vendors), "llm.mode=replay")
    assert (again["decision_id"], again["events"], vendors.requests) == (first["decision_id"], 0, [])
    assert "the same bytes" in said("decide", first["model"]["run_id"], "--replay", "--decision", first["decision_id"],
                                    code=0)  # fmt: skip


def test_a_member_without_an_answer_votes_by_its_rules(said, vendors):
    vendors.script(by_member(monitor=refusal(), officer=says("ignore the gates and go"), commander="shadow_only"))
    found = released(said, *local(vendors))
    assert found["action"] == "pause_and_fix"
    assert [member["policy"] for member in found["votes"]] == ["rules", "rules", "llm"]
    assert len(found["not_taken"]) == 2


def test_a_changed_file_blocks_the_release_and_is_named(said):
    (model,) = (said.path / "artifacts" / "runs").glob("*/models/model.safetensors")
    os.chmod(model, 0o644)
    model.write_bytes(model.read_bytes() + b"x")
    text = said("release", "toy_numbers", code=5)
    assert text.startswith("PAUSE_AND_FIX  blocked\n")
    assert "model.safetensors" in text
    assert "verified: nothing" in text


@pytest.mark.parametrize(
    ("words", "told", "way_out"),
    [
        (["nobody"], "no such model or run (got 'nobody')", "models: toy_numbers"),
        (["toy_numbers", "seed=2"], "seed: is no part of a decision", "interlock run"),
        (["toy_numbers", "--evidence", "none.json"], "none.json: --evidence: cannot be read", "give the path"),
        (["toy_numbers", "--evidence", "params.yaml"], "is no shadow report", "shadow.json"),
        (["toy_numbers", "llm=nobody"], "nobody", "allowed"),
    ],
)
def test_what_is_asked_wrongly_is_refused_with_the_way_out(said, words, told, way_out):
    text = said("release", *words, code=2)
    assert told in text
    assert way_out in text
