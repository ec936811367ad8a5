"""`interlock decide` and `interlock why` on real archived runs, with stand-ins for language models on loopback."""

import json
import os
import shutil
import signal
import subprocess
import time

import pytest
from llm_stand_ins import KEY, StandIns, failing, good, refusal, slow
from typed_here import Here

REASON = {"text": "{gate.accuracy.reason}: it is pulled aside", "evidence": ["gate.accuracy.reason"]}
RETRAIN = {
    "action": "retrain",
    "reasons": [REASON],
    "risks": [],
    "proposed_overrides": [{"key": "lane.optimizer.lr", "value": 0.125}],
    "confidence": "medium",
}
ACCEPT = {**RETRAIN, "action": "accept", "proposed_overrides": []}


@pytest.fixture(scope="module")
def failed(tmp_path_factory, finished_workspace):
    """A workspace whose one run was judged, failed and decided upon by the rules; copied by every test."""
    path = tmp_path_factory.mktemp("deciding") / "checkout"
    shutil.copytree(finished_workspace(("toy",), git=True, ran=False), path, symlinks=True)
    here = Here.running(path)
    here.edit("params.yaml", "\noverrides: {}\n", "\noverrides: {lane: {model: {value: 0.05}}}\n")
    here.finished("toy").interlock("sync")
    return path


@pytest.fixture
def piped(make_workspace):
    """The same as DVC makes it, with processes of its own."""
    workspace = make_workspace()
    workspace.env.update({"STAND_IN_API_KEY": KEY, "COLUMNS": "400"})
    workspace.edit("params.yaml", "\noverrides: {}\n", "\noverrides: {lane: {model: {value: 0.05}}}\n")
    workspace.repro()
    workspace.interlock("sync")
    return workspace


@pytest.fixture
def here(failed, tmp_path):
    path = tmp_path / "checkout"
    shutil.copytree(failed, path, symlinks=True)
    return Here(path, STAND_IN_API_KEY=KEY)


@pytest.fixture
def started(here, open_workspace):
    """Start `interlock decide` as a process of its own, which Ctrl-C reaches as it does from a shell."""
    env = open_workspace(here.path).env | here.env

    def started(run, *words):
        return subprocess.Popen(
            ["interlock", "decide", run, *words], cwd=here.path, env=env, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip

    return started


@pytest.fixture
def vendors():
    with StandIns() as stand_ins:
        yield stand_ins


def run_of(workspace):
    (row,) = json.loads(workspace.interlock("runs", "list", "--json"))
    return row["run_id"]


def claude(vendors):
    """A model with a price in conf, at the address of the stand-in."""
    url, key = vendors.urls["anthropic"], "STAND_IN_API_KEY"
    return [
        "llm=anthropic",
        "llm.order=[sonnet]",
        f"llm.models.sonnet.base_url={url}",
        f"llm.models.sonnet.key_env={key}",
    ]


def local(vendors):
    return ["llm=openai_compatible", f"llm.models.local.base_url={vendors.urls['openai_compatible']}"]


def decide(workspace, run, *words, code=0):
    return workspace.interlock("decide", run, *words, code=code)


def decided(workspace, run, *words):
    """As JSON, whatever is said on stderr beside it."""
    return json.loads(workspace.said("decide", run, *words, "--json")[0])


def archive(workspace, run):
    return workspace.path / "artifacts" / "runs" / run


def row_of(workspace):
    (row,) = json.loads(workspace.interlock("runs", "list", "--json"))
    return row["action"], row["decision_id"]


def test_the_rules_decide_and_say_that_nobody_was_asked(here):
    run = run_of(here)
    pipeline = row_of(here)
    text = decide(here, run[:6])
    assert "no language model is configured" in text
    assert "retrain" in text
    assert row_of(here) == pipeline, "the rules come to the same everywhere"
    assert "the same bytes" in decide(here, run, "--replay")
    assert "every link holds" in here.interlock("why", run)
    assert "verified" in here.interlock("verify", run)
    assert " 0 new events" in here.interlock("sync")


def test_a_model_is_asked_once_and_replayed_for_ever(here, vendors):
    run = run_of(here)
    vendors.script([good(RETRAIN)])
    first = decided(here, run, *claude(vendors))
    assert (first["decision"]["policy"], first["decision"]["action"]) == ("llm", "retrain")
    assert len(first["asked"]) == len(vendors.requests) == 1
    assert first["spent"]["usd"] > 0
    second = decided(here, run, *claude(vendors))
    assert (second["decision"], second["asked"], second["events"]) == (first["decision"], [], 0)
    assert len(vendors.requests) == 1
    assert second["spent"]["calls"] == 0
    assert row_of(here) == ("retrain", first["decision"]["decision_id"])

    vendors.__exit__(None, None, None)
    del here.env["STAND_IN_API_KEY"]
    assert "the same bytes" in decide(here, run, "--replay")
    assert "every link holds" in here.interlock("why", run)
    (links,) = [json.loads(here.interlock("verify", run, "--json"))["links"]]
    assert {"holds"} == {link["state"] for link in links if link["section"] in ("answers", "decisions")}


@pytest.mark.slow
def test_live_asks_whatever_is_recorded_and_both_answers_stay(here, vendors):
    run = run_of(here)
    vendors.script([good(RETRAIN), good({**RETRAIN, "confidence": "low"})])
    first = decided(here, run, *claude(vendors))
    second = decided(here, run, *claude(vendors), "llm.mode=live")
    assert len(vendors.requests) == 2
    assert (first["asked"], first["decision"]["confidence"]) == (second["asked"], "medium")
    assert second["decision"]["confidence"] == "low"
    assert row_of(here)[1] == second["decision"]["decision_id"], "the newest stands"
    assert "the same bytes" in decide(here, run, "--replay", first["decision"]["decision_id"])
    here.interlock("verify", run)


@pytest.mark.slow
def test_two_at_the_same_time_ask_once(here, started, vendors):
    run = run_of(here)
    vendors.script([slow(1.0, RETRAIN)])
    both = [started(run, *claude(vendors), "--json") for _ in range(2)]
    found = [json.loads(process.communicate(timeout=120)[0]) for process in both]
    assert len(vendors.requests) == 1
    assert found[0]["decision"] == found[1]["decision"]
    assert sorted(len(item["asked"]) for item in found) == [0, 1]
    here.interlock("verify", run)


def test_what_it_cost_stands_in_log_card_report_and_survives_a_lost_log(here, vendors):
    run = run_of(here)
    vendors.script([good(RETRAIN)])
    spent = decided(here, run, *claude(vendors))["spent"]
    shown = json.loads(here.interlock("runs", "show", run, "--json"))
    (row,) = shown["spent"]
    assert (row["agent"], row["calls"], row["usd"]) == ("dir_models", 1, spent["usd"])
    assert f"{spent['usd']:,.4f}" in here.interlock("runs", "show", run)
    folder = archive(here, run) / "decisions" / shown["run"]["decision_id"]
    assert f"cost_usd: {spent['usd']}" in (folder / "lane_report.yaml").read_text()
    here.interlock("report", run, "--out", "page.html")
    assert f"{spent['usd']:,.4f}" in (here.path / "page.html").read_text()
    shutil.rmtree(here.path / "artifacts" / "registry")
    here.interlock("registry", "rebuild")
    found = json.loads(here.interlock("runs", "show", run, "--json"))
    assert (found["spent"], found["run"]["action"]) == (shown["spent"], "retrain")
    here.interlock("sync")  # the journal, too
    here.interlock("verify", run)


def test_the_next_model_is_asked_when_one_fails_and_the_rules_when_all_do(here, vendors):
    run = run_of(here)
    models = [
        "llm=fallback", "llm.retries_max=0",
        *(word for word in (*claude(vendors), *local(vendors)) if not word.startswith(("llm=", "llm.order="))),
        "llm.order=[sonnet,local]",
    ]  # fmt: skip
    vendors.script(lambda seen: failing(500) if seen.provider == "anthropic" else good(RETRAIN))
    found = decided(here, run, *models)["decision"]
    assert [step["outcome"] for step in found["trail"]] == ["server_error", "answered"]
    assert "the same bytes" in decide(here, run, "--replay")
    vendors.script(lambda seen: refusal() if seen.provider == "anthropic" else failing(500))
    text = decide(here, run, *models, "llm.sample=2")
    assert "no model gave a decision that holds" in text
    assert "declined" in text
    assert "server error" in text
    assert "the same bytes" in decide(here, run, "--replay")


def test_what_the_guard_refuses_is_told_and_never_becomes_an_action(here, vendors):
    run = run_of(here)
    vendors.script([good(ACCEPT)])
    text = decide(here, run, *claude(vendors), "llm.corrections_max=1")
    assert len(vendors.requests) == 2
    assert "the rules" in text
    assert row_of(here)[0] == "retrain"


def test_over_budget_nobody_is_asked_and_the_rules_decide(here, vendors):
    run = run_of(here)
    vendors.script([good(RETRAIN)])
    text = decide(here, run, *claude(vendors), "budget.usd=0.00001")
    assert vendors.requests == []
    assert "over budget" in text
    assert "the rules" in text
    here.interlock("verify", run)


def test_without_key_or_server_the_rules_decide_and_a_replay_without_an_answer_is_an_error(here, vendors):
    run = run_of(here)
    before = row_of(here)
    del here.env["STAND_IN_API_KEY"]
    assert "STAND_IN_API_KEY" in decide(here, run, *claude(vendors))
    text = decide(here, run, *local(vendors), "llm.mode=replay", code=1)
    assert "nobody has recorded" in text
    assert "way out" in text
    assert row_of(here)[0] == before[0]
    vendors.__exit__(None, None, None)
    assert "cannot be reached" in decide(here, run, *local(vendors), "llm.retries_max=0")
    here.interlock("verify", run)


def test_the_pipeline_replays_what_was_recorded_and_is_cached_afterwards(piped, vendors):
    here = Here(piped.path, STAND_IN_API_KEY=KEY)
    run = run_of(here)
    vendors.script([good(RETRAIN)])
    model = f"llm.models.local.base_url={vendors.urls['openai_compatible']}"
    piped.edit(
        "params.yaml",
        "overrides: {lane: {model: {value: 0.05}}}\nlane_overrides: {}",
        "overrides: {lane: {model: {value: 0.05}}, llm: openai_compatible}\n"
        f"lane_overrides: {{toy: {{llm.models.local.base_url: '{model.partition('=')[2]}'}}}}",
    )
    assert "interlock decide" in piped.run("dvc", "repro", code=255), "it asks nobody by itself"
    assert vendors.requests == []
    found = decided(here, run)
    assert len(vendors.requests) == 1
    vendors.__exit__(None, None, None)
    assert piped.repro() == ["toy-decide"]
    stage = piped.path / "artifacts" / "lanes" / "toy" / "decide"
    kept = piped.path / "artifacts" / found["folder"]
    for name in ("context.json", "settings.json", "decision.json", "decision.md"):
        assert (stage / name).read_bytes() == (kept / name).read_bytes(), name
    assert piped.repro() == []
    here.interlock("sync")
    here.interlock("verify", run)
    assert row_of(here) == ("retrain", found["decision"]["decision_id"])


def test_a_person_picks_inside_the_same_set(here):
    run = run_of(here)
    by = ("--as", "Ada Lovelace", "--reason", "{gate.accuracy.observed} is near, a smaller step may do")
    refused = decide(here, run, *by, "--action", "accept", code=2)
    assert "not allowed" in refused
    assert "way out" in decide(here, run, *by, "--action", "waive", code=2)
    assert "--as NAME" in decide(here, run, "--action", "reject", code=2)
    assert "dir_models" in decide(here, run, "--as", "dir_models", "--action", "reject", "--reason", "no", code=2)
    text = decide(here, run, *by, "--action", "retrain", "--set", "lane.optimizer.lr=0.2")
    assert "Ada Lovelace" in text
    assert "0.45 is near" in text
    assert row_of(here)[0] == "retrain"
    assert "the same bytes" in decide(here, run, "--replay")
    assert "verified" in here.interlock("verify", run)
    decide(here, run, *by, "--action", "reject")
    assert row_of(here)[0] == "reject"
    here.interlock("sync")
    assert row_of(here)[0] == "reject", "the pipeline's older decision does not return"


@pytest.mark.parametrize(
    ("how", "code"), [(signal.SIGKILL, -9), pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow)]
)
def test_cut_off_in_the_middle_of_a_question_nothing_half_written_is_believed(here, started, vendors, how, code):
    run = run_of(here)
    before = row_of(here)
    vendors.script([slow(30.0, RETRAIN)])
    process = started(run, *claude(vendors))
    deadline = time.monotonic() + 60
    while not vendors.requests and time.monotonic() < deadline:
        time.sleep(0.05)
    assert vendors.requests, "it never asked"
    os.kill(process.pid, how)
    output = process.communicate(timeout=30)[0]
    assert process.returncode == code, output
    assert row_of(here) == before
    assert not list((archive(here, run) / "answers").glob("*/[0-9]*.json"))
    vendors.script([good(RETRAIN)])
    assert "asked just now" in decide(here, run, *claude(vendors))
    here.interlock("verify", run)


def test_a_decision_whose_command_was_killed_before_it_was_told_is_made_up_for(here, vendors):
    """Archived, and no event: as a kill between the two leaves it."""
    run = run_of(here)
    log = here.path / "artifacts" / "registry"
    copy = here.path.parent / "log"
    shutil.copytree(log, copy)
    decide(here, run, "--as", "Ada", "--action", "reject", "--reason", "enough")
    shutil.rmtree(log)
    shutil.copytree(copy, log)
    assert row_of(here)[0] == "retrain"
    assert "no event names it" in here.interlock("verify", run, code=1)
    here.interlock("sync")
    assert row_of(here)[0] == "reject"
    here.interlock("verify", run)


def test_tampered_evidence_answers_and_contexts_are_found(here, vendors):
    run = run_of(here)
    vendors.script([good(RETRAIN)])
    folder = here.path / "artifacts" / decided(here, run, *claude(vendors))["folder"]
    (answer,) = (archive(here, run) / "answers").glob("*/001.json")
    (judgement,) = (archive(here, run) / "judgements").glob("*/judgement.json")
    for path, old, new, said in (
        (answer, '"medium"', '"high"', "recorded answer"),
        (judgement, '"observed": 0.45', '"observed": 0.46', "digest"),
        (folder / "context.json", '"attempts": 1', '"attempts": 2', "the id"),
        (folder / "decision.json", '"medium"', '"high"', "other bytes"),
    ):
        whole = path.read_text()
        assert old in whole
        path.write_text(whole.replace(old, new))
        text = here.interlock("why", run, code=1)
        assert all(words in text for words in ("broken", said, "way out")), (path.name, text)
        here.interlock("verify", run, code=1)
        path.write_text(whole)
    answer.unlink()
    assert "missing" in here.interlock("why", run, code=1)
    assert "way out" in decide(here, run, "--replay", code=1)
    assert "answers" in here.interlock("verify", run, code=1)


def test_a_team_mate_gets_answers_and_decisions_and_replays_them(here, vendors, tmp_path):
    run = run_of(here)
    vendors.script([good(RETRAIN)])
    decided(here, run, *claude(vendors))
    vendors.__exit__(None, None, None)
    here.interlock("push", "--remote", str(tmp_path / "shared"))
    path = tmp_path / "second"
    shutil.copytree(here.path, path, symlinks=True, ignore=shutil.ignore_patterns("artifacts"))
    other = Here(path)
    other.interlock("pull", "--remote", str(tmp_path / "shared"))
    assert "the same bytes" in decide(other, run, "--replay")
    assert "every link holds" in other.interlock("why", run)
    assert json.loads(other.interlock("runs", "show", run, "--json"))["spent"]
    assert "verified" in other.interlock("verify", run)
    other.interlock("gc")
    assert "the same bytes" in decide(other, run, "--replay")


def test_bad_inputs_say_what_is_there(here):
    run = run_of(here)
    assert f"known: {run}" in decide(here, "ffff", code=2)
    assert f"known: {run}" in here.interlock("why", "ffff", code=2)
    assert "did you mean" in decide(here, run, "llm=antropic", code=2)
    assert "no such decision" in here.interlock("why", run, "--decision", "zz", code=2)
    shutil.rmtree(archive(here, run) / "decisions")
    assert "interlock decide" in here.interlock("why", run, code=2)
