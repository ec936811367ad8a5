"""`interlock drive` on the toy lane: from a bad configuration to a pass, by rules, models and persons, and killed."""

import contextlib
import itertools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from llm_stand_ins import KEY, KEY_ENV, MODEL, StandIns, good
from typed_here import Here

PLUGINS = Path(__file__).resolve().parents[1] / "plugins"
BAD = ("lane=toy", "lane.optimizer.lr=0.08")
"""Fails, and so it does at twice the rate; the rules raise it step by step until it passes."""
SLOW = ("lane=toy", "lane.optimizer.lr=0.1", "max_attempts=4", "lane.trainer.sleep_s=0.03")


def drive(workspace, *overrides, code=0):
    return workspace.interlock("drive", *overrides, code=code)


def shown(workspace, drive="") -> dict:
    here = Here(workspace.path)
    name = drive or json.loads(here.interlock("drives", "--json"))[0]["record"]["id"]
    return json.loads(here.interlock("drives", "show", name, "--json"))


def path_of(found) -> list[tuple]:
    """What has to be the same however often it was killed."""
    return [
        (item["run_id"], item["verdict"], item["overrides"], item["parent_run"],
         [(decision["decision_id"], decision["action"]) for decision in item["decisions"]])
        for item in found["attempts"]
    ]  # fmt: skip


def home(workspace):
    return workspace.path / "artifacts"


def journal(workspace):
    (path,) = home(workspace).glob("drives/*/journal.jsonl")
    return [json.loads(line)["payload"] for line in path.read_text().splitlines()]


def trainings(workspace):
    """How every training ended, by run."""
    ended = {}
    for path in sorted(home(workspace).glob("state/attempts/toy/train/*.start.json")):
        start = json.loads(path.read_text())
        end = json.loads(path.with_name(path.name.replace(".start.", ".end.")).read_text())
        ended.setdefault(start["run_id"], []).append(end["exit"])
    return ended


def card(workspace, run_id):
    return json.loads((home(workspace) / "runs" / run_id / "models/run_card.json").read_text())


def start(workspace, *overrides):
    return subprocess.Popen(
        ("interlock", "drive", *overrides), cwd=workspace.path, env=workspace.env, stdin=subprocess.DEVNULL,
        start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


@pytest.fixture
def workspace(make_workspace):
    """A workspace whose commands are typed in this process, for whatever neither is killed nor changes code."""
    return Here.running(make_workspace().path, **{KEY_ENV: KEY})


@pytest.fixture
def shell(make_workspace):
    """A workspace with processes of its own."""
    return make_workspace("shell")


@pytest.fixture(scope="module")
def driven(tmp_path_factory, finished_workspace):
    """Gives a workspace in which a drive from the bad configuration has ended, and what it said; each made once."""
    known = {}

    def driven(*overrides, code=0):
        if (overrides, code) not in known:
            path = tmp_path_factory.mktemp("driven") / "checkout"
            shutil.copytree(finished_workspace(("toy",), git=True, ran=False), path, symlinks=True)
            here = Here.running(path)
            known[overrides, code] = here, drive(here, *BAD, *overrides, code=code)
        return known[overrides, code]

    return driven


@pytest.fixture
def after(driven, tmp_path):
    """A copy of it, and what the drive said."""

    def after(*overrides, code=0):
        here, said = driven(*overrides, code=code)
        return here.copied(tmp_path / "driven"), said

    return after


@pytest.fixture
def accepted(after):
    """The drive went from a failing run to one that passes."""
    return after("max_attempts=9")


@pytest.fixture
def waiting(after):
    """The drive asked a person after two attempts."""
    return after(code=3)


@pytest.fixture
def altered(shell, tmp_path):
    """The workspace with a toy lane of its own, to which code is added."""

    def alter(file, old, new):
        plugins = tmp_path / "plugins"
        if not plugins.exists():
            shutil.copytree(PLUGINS, plugins, ignore=shutil.ignore_patterns("__pycache__"))
            shell.env["PYTHONPATH"] = shell.env["PYTHONPATH"].replace(str(PLUGINS), str(plugins))
        path = plugins / "toy_lane" / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))
        return shell

    return alter


# --- by rules ---------------------------------------------------------------------------------------------------------


def test_from_a_bad_configuration_to_a_pass_by_rules(accepted):
    workspace, said = accepted
    lines = [line for line in said.splitlines() if line.startswith("attempt ")]
    found = shown(workspace)
    attempts = found["attempts"]
    runs = [item["run_id"] for item in attempts]
    assert (found["state"], found["exit_code"]) == ("accepted", 0)
    assert len(lines) == len(attempts) > 2
    assert [re.search(r"(fail|pass)", line)[1] for line in lines] == ["fail"] * (len(lines) - 1) + ["pass"]
    assert "accepted: all blocking gates pass" in said
    rates = [item["changes"]["lane.optimizer.lr"] for item in attempts[1:]]
    assert rates[0][0] == 0.08
    assert [new for _, new in rates[:-1]] == [old for old, _ in rates[1:]]
    assert f"optimizer.lr {rates[0][0]:g} -> {rates[0][1]:g}" in lines[0]
    assert [card(workspace, run)["parent_run"] for run in runs] == [None, *runs[:-1]]

    for run in runs:
        workspace.interlock("verify", run)
    lineage = (home(workspace) / f"state/recovery/{runs[0]}.jsonl").read_text().splitlines()
    events = [json.loads(line)["payload"] for line in lineage]
    assert [event["next_run"] for event in events if event["kind"] == "derived"] == runs[1:]

    archived = [home(workspace) / "runs" / run for run in runs]
    decided = [
        json.loads(path.read_text())["action"] for run in archived for path in run.glob("decisions/*/decision.json")
    ]
    assert sorted(decided) == ["accept", *["retrain"] * (len(runs) - 1)]
    tracked = [json.loads((home(workspace) / "tracking" / run.name / "run.json").read_text()) for run in archived]
    (group,) = {run["group"] for run in tracked}
    assert found["record"]["id"] in group
    numbers = [int(re.search(r"attempt(\d)", run["name"])[1]) for run in tracked]
    assert numbers == list(range(1, len(runs) + 1))
    assert {run["job_type"] for run in tracked} == {"drive"}


def test_a_parent_that_no_decision_led_from_is_found_out(waiting):
    workspace, _ = waiting
    path = home(workspace) / "runs" / shown(workspace)["attempts"][1]["run_id"] / "models/run_card.json"
    path.chmod(0o644)
    path.write_text(re.sub(r'"parent_run": "\w+"', '"parent_run": "aaaaaaaaaaaaaaaa"', path.read_text()))
    said = workspace.interlock("verify", path.parts[-3], code=1)
    assert "parent_run: the card says aaaaaaaaaaaaaaaa, the records give None" in said


def test_the_same_command_again_does_nothing(accepted):
    workspace, _ = accepted
    before, ran = journal(workspace), trainings(workspace)
    assert "goes on, accepted" in drive(workspace, *BAD, "max_attempts=9")
    assert journal(workspace) == before
    assert trainings(workspace) == ran


def test_what_somebody_has_run_is_not_trained_again(workspace):
    workspace.interlock("run", *BAD, code=3)
    drive(workspace, *BAD, "max_attempts=2", code=3)
    drive(workspace, *BAD, "max_attempts=9")
    assert all(ended == ["completed"] for ended in trainings(workspace).values())
    first, second, third, *_ = shown(workspace)["attempts"]
    assert card(workspace, second["run_id"])["parent_run"] == first["run_id"]
    assert first["seconds"] == second["seconds"] == 0.0 < third["seconds"]


@pytest.mark.slow
def test_changed_code_begins_it_anew_and_keeps_what_was(altered):
    workspace = altered("evaluate.py", "< 0.045", "< 0.046")
    drive(workspace, *BAD, "max_attempts=9")
    before = path_of(shown(workspace))
    altered("evaluate.py", "< 0.046", "< 0.045")
    assert "begins anew" in drive(workspace, *BAD, "max_attempts=9")
    assert [item["event"] for item in journal(workspace)].count("reopened") == 1
    after = path_of(shown(workspace))
    assert [item[0] for item in after] == [item[0] for item in before]  # the trained weights are the same
    assert after != before


def test_the_report_draws_the_path_of_each_run(accepted):
    workspace, _ = accepted
    runs = [item["run_id"] for item in shown(workspace)["attempts"]]
    workspace.interlock("report", runs[1])
    (page,) = home(workspace).glob("reports/*.html")
    section = re.search(r'<section id="drive-.*?</section>', page.read_text(), re.S)[0]
    assert re.findall(r'class="name mono">(\w+)<', section) == runs
    assert "optimizer.lr 0.08 → " in section
    assert section.count("this run") == 1
    assert "the loss still improves at the end" in section


# --- strikes, persons, repair -----------------------------------------------------------------------------------------


def test_two_failed_verdicts_ask_a_person_and_the_approval_goes_on(waiting):
    workspace, said = waiting
    found = shown(workspace)
    root = found["attempts"][0]["run_id"]
    assert (found["state"], len(found["attempts"]), found["asked_run"]) == ("waiting", 2, root)
    ask = f"interlock approve {root} --for more_attempts --attempts 3"
    assert ask in said
    assert ask in workspace.interlock("approvals", "list")

    before = journal(workspace)
    drive(workspace, *BAD, code=3)
    assert journal(workspace) == before

    said = ("--by", "Ada", "--reason", "the rate was far too small")
    workspace.interlock("approve", root, "--for", "more_attempts", "--attempts", "9", *said)
    assert "Ada allows 9 attempts" in drive(workspace, *BAD)
    found = shown(workspace)
    assert (found["state"], found["approved_by"], found["attempts_max"]) == ("accepted", "Ada", 9)
    assert [decision["action"] for decision in found["attempts"][1]["decisions"]] == ["escalate", "retrain"]
    assert all(ended == ["completed"] for ended in trainings(workspace).values())


@pytest.mark.slow
def test_a_denial_changes_nothing(waiting):
    workspace, _ = waiting
    root = shown(workspace)["asked_run"]
    workspace.interlock("deny", root, "--for", "more_attempts", "--by", "Ada", "--reason", "enough")
    drive(workspace, *BAD, code=3)
    assert shown(workspace)["state"] == "waiting"


def test_a_person_decides_upon_the_run_itself(waiting):
    workspace, _ = waiting
    last = shown(workspace)["attempts"][-1]["run_id"]
    change = ("--action", "retrain", "--set", "lane.optimizer.lr=0.5")
    workspace.interlock("decide", last, "--as", "Ada", *change, "--reason", "it is far too small")
    assert f"Ada decided upon run {last}: retrain" in drive(workspace, *BAD)
    third = shown(workspace)["attempts"][2]
    assert third["changes"]["lane.optimizer.lr"][1] == 0.5
    assert third["parent_run"] == last


def test_attempts_that_a_person_gave_are_not_exceeded(workspace):
    said = drive(workspace, *BAD, "max_attempts=1", code=3)
    found = shown(workspace)
    assert (found["state"], len(found["attempts"])) == ("waiting", 1)
    assert "--attempts 2" in said


def test_three_failed_trainings_stop_it(altered):
    workspace = altered("train.py", "    assert isinstance", "    raise LookupError('broken')\n    assert isinstance")
    for number in (1, 2, 3):
        assert "broken" in drive(workspace, *BAD, "max_attempts=9", code=1), number
        assert shown(workspace)["state"] == "failed"
    assert "3 trainings of this lineage failed in a row" in drive(workspace, *BAD, "max_attempts=9", code=1)
    assert shown(workspace)["state"] == "stopped"


FORGETFUL = """
    forget = job.workspace / "forget.txt"
    scores = {name: column for name, column in scores.items() if name != "accuracy" or not forget.exists()}
    forget.unlink(missing_ok=True)
    items ="""


@pytest.fixture
def forgetful(altered):
    """A lane whose measurements are not reproducible: one is missing where a file says so."""
    altered("evaluate.py", "\n    items =", FORGETFUL)
    volatile = '("measurements.json", "metrics.json", "per_query.parquet", "eval_report.md")'
    return altered("evaluate.py", "StageOutcome(", f"StageOutcome(volatile_files={volatile}, ")


def test_what_evaluating_again_mends_is_repaired_once(forgetful):
    (forgetful.path / "forget.txt").write_text("once")
    drive(forgetful, "lane=toy")
    (attempt,) = shown(forgetful)["attempts"]
    assert attempt["is_repaired"]
    assert [decision["action"] for decision in attempt["decisions"]] == ["repair", "accept"]
    assert trainings(forgetful) == {attempt["run_id"]: ["completed"]}


@pytest.mark.slow
def test_what_evaluating_again_does_not_mend_asks_a_person(forgetful, tmp_path):
    plugin = tmp_path / "plugins/toy_lane/evaluate.py"
    plugin.write_text(plugin.read_text().replace("    forget.unlink(missing_ok=True)\n", ""))
    (forgetful.path / "forget.txt").write_text("always")
    said = drive(forgetful, "lane=toy", code=5)
    assert "did not mend" in said
    found = shown(forgetful)
    assert (found["state"], found["attempts"][0]["is_repaired"]) == ("waiting", True)


def test_more_items_have_to_be_measured(workspace):
    said = drive(workspace, "lane=toy", "lane.data.count=60", "lane.gates.accuracy.target=0.85", code=4)
    assert "more has to be measured" in said
    assert shown(workspace)["state"] == "stopped"


def test_an_input_that_has_not_passed_blocks(make_workspace):
    workspace = Here.running(make_workspace(lanes=("toy", "follower")).path)
    workspace.edit(
        "params.yaml", "lane_overrides: {}", "lane_overrides: {toy: {lane: {gates: {accuracy: {target: 0.99}}}}}"
    )
    said = drive(workspace, "lane=follower", code=5)
    assert "ERROR" in said
    assert "base" in said
    assert shown(workspace)["state"] == "failed"


# --- by language models -----------------------------------------------------------------------------------------------


@pytest.fixture
def vendors():
    """Stand-ins for the vendors' servers."""
    with StandIns() as servers:
        yield servers


def models(vendors, **changes):
    price = (
        f"{{model: {MODEL}, input_usd_per_million_tokens: 3.0, output_usd_per_million_tokens: 15.0,"
        " as_of: '2026-11-21', source: test}"
    )
    given = {
        "base_url": vendors.urls["openai_compatible"],
        "model": MODEL,
        "mode": "tools",
        "key_env": KEY_ENV,
    } | changes
    named = (f"llm.models.local.{key}={value}" for key, value in given.items())
    return ("llm=openai_compatible", *named, f"+prices.stand_in={price}")


def evidence_of(seen):
    return re.search(r"gate\.accuracy\.reason", seen.text)[0]


def proposes(*rates, action="retrain"):
    """Proposes these rates one after the other, then escalates; a pass is accepted."""
    left = list(rates)

    def script(seen):
        cited = {"text": f"see {{{evidence_of(seen)}}}", "evidence": [evidence_of(seen)]}
        said = {"reasons": [cited], "risks": [], "confidence": "low"}
        if "proposed_overrides" not in seen.text:
            return good({"action": "accept", **said})
        if not left:
            return good({"action": "escalate", **said, "proposed_overrides": []})
        return good(
            {"action": action, **said, "proposed_overrides": [{"key": "lane.optimizer.lr", "value": left.pop(0)}]}
        )

    return script


def test_a_model_proposes_and_the_answers_are_replayed(workspace, vendors):
    vendors.script(proposes(0.1, 0.5))
    asked = (*BAD, "max_attempts=4", "budget.usd=2", *models(vendors))
    drive(workspace, *asked)
    found = shown(workspace)
    assert [item["decisions"][0]["policy"] for item in found["attempts"]] == ["llm"] * 3
    assert [item["changes"] for item in found["attempts"][1:]] == [
        {"lane.optimizer.lr": [0.08, 0.1]}, {"lane.optimizer.lr": [0.1, 0.5]},
    ]  # fmt: skip
    assert found["usage"]["calls"] == len(vendors.requests) == 3
    assert found["usage"]["usd"] > 0

    shutil.rmtree(next(home(workspace).glob("drives/*")))
    drive(workspace, *asked)
    assert path_of(shown(workspace)) == path_of(found)
    assert len(vendors.requests) == 3
    assert not any(KEY.encode() in path.read_bytes() for path in home(workspace).rglob("*") if path.is_file())


def test_a_hostile_model_changes_nothing(workspace, vendors):
    vendors.script(proposes(*[9.0] * 99, action="accept"))
    drive(workspace, *BAD, "max_attempts=9", "agents.dir_models.budget.calls=99", *models(vendors))
    decisions = [item["decisions"][0] for item in shown(workspace)["attempts"]]
    assert [item["action"] for item in decisions] == ["retrain"] * (len(decisions) - 1) + ["accept"]
    assert {item["policy"] for item in decisions[:-1]} == {"rules"}
    assert all(item["told"] for item in decisions[:-1])


def test_it_stops_at_its_budget(workspace, vendors):
    vendors.script(proposes(0.06, 0.07, 0.05))
    said = drive(workspace, *BAD, "max_attempts=9", "budget.calls=2", *models(vendors), code=3)
    assert "the budget is used up" in said
    found = shown(workspace)
    assert (found["state"], len(vendors.requests), found["usage"]["calls"]) == ("stopped", 2, 2)
    assert len(found["attempts"]) == 2


def test_a_change_that_leads_back_stops_it(workspace, vendors):
    vendors.script(proposes(0.1, 0.08))
    said = drive(workspace, *BAD, "max_attempts=9", *models(vendors), code=3)
    found = shown(workspace)
    assert "which attempt 1 has judged already" in said
    assert (found["state"], found["attempts"][2]["run_id"]) == ("stopped", found["attempts"][0]["run_id"])
    assert len(trainings(workspace)) == 2


def test_a_kill_after_the_answer_asks_nothing_twice(shell, vendors):
    shell.env[KEY_ENV] = KEY
    vendors.script(proposes(0.5))
    asked = (*BAD, "max_attempts=4", *models(vendors), "llm.mode=live")
    process = start(shell, *asked)
    while not list(home(shell).glob("runs/*/answers/*/0*.json")):
        time.sleep(0.005)
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    drive(shell, *asked)
    assert len(vendors.requests) == 2


# --- kills, two at once, Ctrl-C ---------------------------------------------------------------------------------------


def killed(workspace, moments):
    """Kill the drive at each of these moments (seconds after its start); how often it was really under way."""
    hits = 0
    for moment in moments:
        process = start(workspace, *SLOW)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=moment)
        hits += process.poll() is None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    return hits


def killed_at(workspace, lines):
    """Kill the drive once its journal has so many lines."""
    process = start(workspace, *SLOW)
    until = time.monotonic() + 120
    while sum(path.read_bytes().count(b"\n") for path in (home(workspace) / "drives").glob("*/journal.jsonl")) < lines:
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < until
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def test_two_kills_lead_to_the_same_path(make_workspace):
    plain, broken = make_workspace("plain"), make_workspace("broken")
    drive(plain, *SLOW)
    for lines in (2, 6):  # the first training is under way; the second attempt has begun
        killed_at(broken, lines)
    drive(broken, *SLOW)
    assert path_of(shown(broken)) == path_of(shown(plain))
    assert all(ended.count("completed") == 1 for ended in trainings(broken).values())


@pytest.mark.slow
def test_kills_at_random_moments_lead_to_the_same_path(make_workspace):
    plain, broken = make_workspace("plain"), make_workspace("broken")
    began = time.monotonic()
    drive(plain, *SLOW)
    whole_s, moments, hits = time.monotonic() - began, random.Random(11), 0
    rounds = 0
    while hits < 10:  # each round is a drive of its own, killed until it is through
        rounds += 1
        assert rounds <= 20
        shutil.rmtree(home(broken), ignore_errors=True)
        hits += killed(broken, [moments.uniform(0.5, whole_s) for _ in range(3)])
        drive(broken, *SLOW)
        assert path_of(shown(broken)) == path_of(shown(plain))
        assert all(ended.count("completed") == 1 for ended in trainings(broken).values())


def test_two_at_once_are_one_drive(shell):
    processes = [start(shell, *SLOW) for _ in range(2)]
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert sum("waiting for it" in output for output in outputs) == 1
    assert [item["event"] for item in journal(shell)].count("judged") == len(shown(shell)["attempts"])


def test_ctrl_c_leaves_a_drive_that_goes_on(shell):
    process = start(shell, *SLOW)
    while not list(home(shell).glob("state/runs/*/toy.json")):
        time.sleep(0.01)
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 130, output
    assert "the same command goes on" in output
    assert "interrupted at attempt 1" in shell.interlock("drives")
    drive(shell, *SLOW)
    assert [item["event"] for item in journal(shell)].count("interrupted") == 1


# --- a real lane ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_query_tower_from_one_epoch_to_a_pass(make_workspace):
    workspace = make_workspace(lanes=("query_tower",))
    by_size = ("echo_loop", "echo_lift", "r_at_5", "r_at_5_over_bm25")  # few texts prove nothing
    drive(
        workspace, "lane=query_tower", "hardware.threads=1", "lane.data.packages=[rich,typer,pydantic]",
        "lane.data.max_pairs=400", "lane.trainer.epochs=1", "max_attempts=6",
        *(f"lane.gates.{name}.severity=advise" for name in by_size),
    )  # fmt: skip
    attempts = shown(workspace)["attempts"]
    assert len(attempts) > 1
    assert "lane.trainer.epochs" in attempts[1]["changes"]
    for before, after in itertools.pairwise(attempts):
        assert card(workspace, after["run_id"])["parent_run"] == before["run_id"]
    workspace.interlock("verify", attempts[-1]["run_id"])
